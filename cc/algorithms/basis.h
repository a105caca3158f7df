// A basis that is a function of the subspace which orthonormal columns span. No TensorFlow header comes in here.
#ifndef TFQZ_BASIS_H_
#define TFQZ_BASIS_H_

#include <cstdint>
#include <vector>

#include "pencil/lapack.h"
#include "pencil/matrix.h"

namespace tfqz {

// Holds the workspace for matrices of one size; use one per thread.
template <typename T>
class BasisFinder {
 public:
  // Throws std::bad_alloc. `n` >= 1.
  explicit BasisFinder(int n);

  // Multiplies the first `count` columns of x, row-major n x n, which are orthonormal, by the unitary matrix that makes them lower
  // triangular with a positive diagonal at chosen rows: to `basis`, with zeros behind them, and to `rows`, -1 behind them.
  void operator()(const T* x, int count, T* basis, int32_t* rows);

 private:
  using R = Real<T>;

  const int n_;
  Matrices<T> matrices_;
  const Matrix<T> X_;
  std::vector<R> lengths_;
  std::vector<T> v_, product_;
};

}  // namespace tfqz

#endif  // TFQZ_BASIS_H_
