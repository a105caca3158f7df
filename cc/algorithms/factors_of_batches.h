// The factors of one element among those of a batch, and what they are where it failed. No TensorFlow header.
#ifndef TFQZ_ALGORITHMS_FACTORS_OF_BATCHES_H_
#define TFQZ_ALGORITHMS_FACTORS_OF_BATCHES_H_

#include <algorithm>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "pencil/factors.h"
#include "pencil/lapack.h"

namespace tfqz {

// The place of one element in arrays of factors.
template <typename T>
Factors<T> at(const Factors<T>& all, int n, int64_t index) {
  const auto matrix = [&](T* factor) { return factor == nullptr ? nullptr : factor + index * n * n; };
  return {matrix(all.s), matrix(all.t), matrix(all.q), matrix(all.z), all.alpha + index * n, all.beta + index * n};
}

template <typename T>
ConstFactors<T> at(const ConstFactors<T>& all, int n, int64_t index) {
  const int64_t matrix = index * n * n;
  return {all.s + matrix, all.t + matrix, all.q + matrix, all.z + matrix};
}

template <typename T>
void fill_matrix(T* matrix, int n) {
  std::fill_n(matrix, static_cast<std::size_t>(n) * n, T(std::numeric_limits<Real<T>>::quiet_NaN()));
}

template <typename T>
void fill(const Factors<T>& factors, int n) {
  const Real<T> nan = std::numeric_limits<Real<T>>::quiet_NaN();
  for (T* matrix : {factors.s, factors.t, factors.q, factors.z}) {
    if (matrix != nullptr) fill_matrix(matrix, n);
  }
  std::fill_n(factors.alpha, n, std::complex<Real<T>>(nan, nan));
  std::fill_n(factors.beta, n, T(nan));
}

}  // namespace tfqz

#endif  // TFQZ_ALGORITHMS_FACTORS_OF_BATCHES_H_
