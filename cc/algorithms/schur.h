// The Schur form of one matrix: A = Z T Z^H, Z unitary, T upper triangular (for real dtypes quasi upper triangular), in the canonical
// form of canonical.h. No TensorFlow header comes in here.
#ifndef TFQZ_SCHUR_H_
#define TFQZ_SCHUR_H_

#include <memory>

#include "pencil/lapack.h"
#include "pencil/matrix.h"

namespace tfqz {

// Where one matrix's results go: row-major n x n matrices.
template <typename T>
struct SchurFactors {
  T *t, *z;
};

// Holds the workspace for matrices of one size; use one per thread, for as many matrices as there are. One that std::shared_ptr owns can be
// interrupted; after that it is of no use.
template <typename T>
class SchurSolver : public std::enable_shared_from_this<SchurSolver<T>> {
 public:
  // Throws std::bad_alloc. `n` >= 1.
  explicit SchurSolver(int n);

  // `a` is row-major and finite. Where info is not 0 the contents of `factors` mean nothing.
  Outcome operator()(const T* a, const SchurFactors<T>& factors);

 private:
  Outcome call_driver(LapackInt lwork);

  int n_;
  Matrices<T> matrices_;
  Matrix<T> T_, Z_;
  std::unique_ptr<T[]> eigenvalues_;      // wr and wi of real dtypes, w of complex ones
  std::unique_ptr<Real<T>[]> real_work_;  // of complex dtypes
  std::unique_ptr<T[]> work_;
  LapackInt lwork_;
};

}  // namespace tfqz

#endif  // TFQZ_SCHUR_H_
