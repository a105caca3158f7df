// The thin singular value decomposition of one matrix. No TensorFlow header.
#ifndef TFQZ_ALGORITHMS_SVD_H_
#define TFQZ_ALGORITHMS_SVD_H_

#include <memory>
#include <vector>

#include "algorithms/householder.h"
#include "pencil/lapack.h"

namespace tfqz {

// Holds the workspace for matrices of one size; use one per thread. One that std::shared_ptr owns can be interrupted; after that it is of
// no use.
template <typename T>
class SvdSolver : public std::enable_shared_from_this<SvdSolver<T>> {
 public:
  // Throws std::bad_alloc. `m`, `n` >= 1.
  SvdSolver(int m, int n);

  // b = u diag(s) v^H, all row-major: b m x n and finite, u m x p, v n x p with p = min(m, n), s descending. Where info is not 0 the
  // contents of the results mean nothing.
  Outcome operator()(const T* b, T* u, Real<T>* s, T* v);

 private:
  bool decompose(bool by_halves, T* u, Real<T>* s, LapackInt* info);
  LapackInt divide_and_conquer(T* u, Real<T>* s, LapackInt lwork);
  LapackInt iterate(T* u, Real<T>* s, LapackInt lwork);

  const int m_, n_, p_;
  Buffer<T> B_, V_;
  std::vector<T> work_;
  std::vector<Real<T>> real_work_;
  std::vector<LapackInt> integer_work_;
  // Of a call apart.
  std::vector<T> u_;
  std::vector<Real<T>> s_;
};

}  // namespace tfqz

#endif  // TFQZ_ALGORITHMS_SVD_H_
