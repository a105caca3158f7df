// The QZ iteration of one pencil, in the machine's vectors: several times faster than LAPACK's xHGEQZ and xLAQZ0 for pencils of middle
// size. No TensorFlow header comes in here, and none of Highway's.
#ifndef TFQZ_QZ_ITERATION_H_
#define TFQZ_QZ_ITERATION_H_

#include <memory>

#include "pencil/fork.h"
#include "pencil/matrix.h"
#include "vectors/simd.h"

namespace tfqz {

// Holds the workspace for pencils of one size; use one per thread.
template <typename T>
class QzIteration {
 public:
  virtual ~QzIteration() = default;

  // From any S, and T upper triangular, both with entries of modulus around 1 or less, and unitary Q, Z, such that A = Q S Z^H, B = Q T
  // Z^H, to S (quasi) upper triangular, T upper triangular and, in 2 x 2 blocks, diag(a, d). Q and Z may be absent, or Q; without Z nothing
  // of S and T is right but their diagonal blocks. S is triangular already beside the rows and columns first..last. False if it doesn't
  // converge: then the matrices are what they were.
  virtual bool operator()(Matrix<T> S, Matrix<T> T_, Matrix<T> Q, Matrix<T> Z, int first, int last) = 0;
};

template <typename T>
std::unique_ptr<QzIteration<T>> make_iteration(const Simd& simd, int n, Fork fork);

}  // namespace tfqz

#endif  // TFQZ_QZ_ITERATION_H_
