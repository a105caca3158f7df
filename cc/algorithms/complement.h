// A basis of the orthogonal complement that is a function of the subspace. No TensorFlow header.
#ifndef TFQZ_ALGORITHMS_COMPLEMENT_H_
#define TFQZ_ALGORITHMS_COMPLEMENT_H_

#include <cstdint>
#include <vector>

#include "algorithms/householder.h"
#include "pencil/lapack.h"

namespace tfqz {

// Holds the workspace for matrices of one size; use one per thread.
template <typename T>
class ComplementFinder {
 public:
  // Throws std::bad_alloc. `l` > `p` >= 0.
  ComplementFinder(int l, int p);

  // The orthogonal complement of the range of x, row-major l x p, whose columns are orthonormal: to `basis`, row-major l x d with
  // d = l - p, orthonormal columns that are lower triangular with a positive diagonal at chosen rows, in ascending order: to `rows`, d. NaN
  // if x is not finite.
  void operator()(const T* x, T* basis, int32_t* rows);

  // The same for a small `basis` that is any orthonormal one.
  void triangularize(T* basis, int32_t* rows);

 private:
  using R = Real<T>;

  void choose_in_loops(Columns<T> y, int32_t* rows);
  void choose_in_blocks(Columns<T> x, int32_t* rows);
  void triangularize_by_lapack(Columns<T> y, const int32_t* rows);

  const int l_, p_, d_;
  const bool small_;
  Householder<T> householder_;
  Buffer<T> X_, raw_, P_, block_, chosen_, others_;
  std::vector<T> tau_, v_;
  std::vector<R> lengths_;
};

}  // namespace tfqz

#endif  // TFQZ_ALGORITHMS_COMPLEMENT_H_
