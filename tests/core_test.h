// What the tests of the mathematics share: memory for factors, and residuals.
#ifndef TFQZ_CORE_TEST_H_
#define TFQZ_CORE_TEST_H_

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdio>
#include <limits>
#include <vector>

#include "pencil/factors.h"
#include "pencil/lapack.h"

namespace {

constexpr int kBatch = 2;

template <typename T>
struct Arrays {
  explicit Arrays(int n)
      : s(kBatch * n * n), t(s), q(s), z(s), beta(kBatch * n), alpha(kBatch * n), factors{s.data(), t.data(),     q.data(),
                                                                                          z.data(), alpha.data(), beta.data()} {}

  std::vector<T> s, t, q, z, beta;
  std::vector<std::complex<tfqz::Real<T>>> alpha;
  tfqz::Factors<T> factors;
};

// max |A - Q S Z^H| over max(m, n) eps, for entries of order 1.
template <typename T>
double residual(int m, int n, const T* a, const T* s, const T* q, const T* z) {
  double largest = 0;
  for (int i = 0; i < m; ++i) {
    std::vector<std::complex<double>> row(n);
    for (int l = 0; l < n; ++l) {
      for (int k = 0; k < m; ++k) row[l] += std::complex<double>(q[i * m + k]) * std::complex<double>(s[k * n + l]);
    }
    for (int j = 0; j < n; ++j) {
      std::complex<double> sum = -std::complex<double>(a[i * n + j]);
      for (int l = 0; l < n; ++l) sum += row[l] * std::conj(std::complex<double>(z[j * n + l]));
      largest = std::max(largest, std::abs(sum));
    }
  }
  return largest / (std::max(m, n) * std::numeric_limits<tfqz::Real<T>>::epsilon());
}
template <typename T>
double residual(int n, const std::vector<T>& a, const Arrays<T>& arrays) {
  double largest = 0;
  const std::size_t size = static_cast<std::size_t>(n) * n;
  for (std::size_t k = 0; k < kBatch; ++k) {
    largest = std::max(largest, residual(n, n, &a[k * size], &arrays.s[k * size], &arrays.q[k * size], &arrays.z[k * size]));
  }
  return largest;
}

}  // namespace

#endif  // TFQZ_CORE_TEST_H_
