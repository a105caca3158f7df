// What a decomposition, a reordering and their derivatives read and write: row-major n x n matrices, and n entries each of eigenvalues. No
// TensorFlow header.
#ifndef TFQZ_PENCIL_FACTORS_H_
#define TFQZ_PENCIL_FACTORS_H_

#include <complex>

#include "pencil/lapack.h"

namespace tfqz {

// Where one pencil's results go: null for those that aren't wanted.
template <typename T>
struct Factors {
  T *s, *t, *q, *z;
  std::complex<Real<T>>* alpha;
  T* beta;
};

// Factors in canonical form.
template <typename T>
struct ConstFactors {
  const T *s, *t, *q, *z;
};

// Cotangents of factors and, unless they are null, of eigenvalues.
template <typename T>
struct Cotangents {
  const T *s, *t, *q, *z;
  const std::complex<Real<T>>* alpha;
  const T* beta;
};

// Two matrices: of a pencil, right-hand sides, or unknowns.
template <typename T>
struct Pair {
  T *first, *second;
};

// What there is to compute. The canonical form of S and T is one of Z, so that these three go together.
enum class Parts { kEigenvalues, kAllButQ, kAll };

template <typename T>
Parts wanted(const Factors<T>& factors) {
  if (factors.q != nullptr) return Parts::kAll;
  return factors.s != nullptr || factors.t != nullptr || factors.z != nullptr ? Parts::kAllButQ : Parts::kEigenvalues;
}

}  // namespace tfqz

#endif  // TFQZ_PENCIL_FACTORS_H_
