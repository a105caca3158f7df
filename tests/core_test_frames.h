// Rectangular matrices: frames, and balancing.
#ifndef TFQZ_CORE_TEST_FRAMES_H_
#define TFQZ_CORE_TEST_FRAMES_H_

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "algorithms/balance.h"
#include "algorithms/frames.h"
#include "algorithms/whole_gradients.h"
#include "core_test.h"

namespace {

// max |X - Y Y^H X| over n eps, for the n x k X that `entry` gives and the n x p Y: what Y's orthonormal columns leave of X.
template <typename T, typename Entry>
double left_of(int n, int k, int p, const T* y, const Entry& entry) {
  double largest = 0;
  for (int j = 0; j < k; ++j) {
    std::vector<std::complex<double>> inside(p);
    for (int i = 0; i < n; ++i) {
      for (int c = 0; c < p; ++c) inside[c] += std::conj(std::complex<double>(y[i * p + c])) * std::complex<double>(entry(i, j));
    }
    for (int i = 0; i < n; ++i) {
      std::complex<double> rest = entry(i, j);
      for (int c = 0; c < p; ++c) rest -= std::complex<double>(y[i * p + c]) * inside[c];
      largest = std::max(largest, std::abs(rest));
    }
  }
  return largest / (n * std::numeric_limits<tfqz::Real<T>>::epsilon());
}

// Rectangular pencils, wide and tall, of full rank and not.
template <typename T>
void check_frames(const char* dtype, int m, int n) {
  std::mt19937 generator(m);
  std::normal_distribution<double> normal;
  const int p = std::min(m, n), l = std::max(m, n), d = l - p, size = m * n;
  std::vector<T> a(kBatch * size), b(a), x(kBatch * l * p), basis(kBatch * l * d), u(kBatch * m * p), v(kBatch * n * p), together(l * l);
  for (auto* entries : {&a, &b}) {
    for (T& entry : *entries) entry = static_cast<T>(normal(generator));
  }
  // Of the second b two rows, or columns, are the same.
  for (int i = 0; i < l; ++i) (m < n ? b[size + n + i] : b[size + i * n + 1]) = m < n ? b[size + i] : b[size + i * n];
  std::vector<int32_t> ranks(kBatch), rows(kBatch * d);
  std::vector<T> a_inner(kBatch * p * p), b_inner(a_inner);
  tfqz::CompressBatch<T> compression(m, n, kBatch, -1, m > n, a.data(), b.data(), {}, {},
                                     {x.data(), ranks.data(), a_inner.data(), b_inner.data()},
                                     /*fill_failures=*/false);
  compression.run(0, kBatch);
  tfqz::ComplementBatch<T> complement(l, p, kBatch, x.data(), basis.data(), rows.data());
  complement.run(0, kBatch);
  double compressed = 0, completed = 0, decomposed = 0;
  for (int k = 0; k < kBatch; ++k) {
    const T *B = &b[k * size], *X = &x[k * l * p], *N = &basis[k * l * d];
    compressed =
        std::max(compressed, left_of(l, p, p, X, [&](int i, int j) { return m < n ? tfqz::conjugate(B[j * n + i]) : B[i * n + j]; }));
    for (int i = 0; i < l; ++i) {
      std::copy_n(X + i * p, p, &together[i * l]);
      std::copy_n(N + i * d, d, &together[i * l + p]);
    }
    completed = std::max(completed, left_of(l, l, l, together.data(), [&](int i, int j) { return T(i == j ? 1 : 0); }));
    if (ranks[k] != p - k) compressed = std::numeric_limits<double>::infinity();
  }
  std::vector<tfqz::Real<T>> s(kBatch * p);
  tfqz::SvdBatch<T> svd(m, n, b.data(), u.data(), s.data(), v.data(), /*fill_failures=*/false);
  svd.run(0, kBatch);
  for (int k = 0; k < kBatch; ++k) {
    decomposed = std::max(decomposed, left_of(m, n, p, &u[k * m * p], [&](int i, int j) { return b[k * size + i * n + j]; }));
    decomposed =
        std::max(decomposed, left_of(n, m, p, &v[k * n * p], [&](int i, int j) { return tfqz::conjugate(b[k * size + j * n + i]); }));
  }
  const std::string failure = svd.failure({kBatch});
  if (!failure.empty()) {
    std::printf("svd %s %d failure: %s\n", dtype, m, failure.c_str());
    return;
  }
  Arrays<T> inner(p);
  const tfqz::Factors<T>& f = inner.factors;
  tfqz::QzBatch<T> decomposition(p, kBatch, a_inner.data(), b_inner.data(), {}, {}, f, /*fill_failures=*/false);
  decomposition.run(0, kBatch);
  std::vector<T> S(kBatch * size), T_(S), Q(kBatch * m * m), Z(kBatch * n * n);
  tfqz::ExtendBatch<T> extension(m, n, m > n, a.data(), {}, x.data(), basis.data(), {f.s, f.t, f.q, f.z},
                                 {S.data(), T_.data(), Q.data(), Z.data(), nullptr, nullptr});
  extension.run(0, kBatch);
  double extended = decomposition.failure({kBatch}).empty() ? 0 : std::numeric_limits<double>::infinity();
  for (int k = 0; k < kBatch; ++k) {
    for (const auto& [of, factor] : {std::pair(&a, &S), std::pair(&b, &T_)}) {
      extended = std::max(extended, residual(m, n, of->data() + k * size, factor->data() + k * size, &Q[k * m * m], &Z[k * n * n]));
    }
  }
  // S and T are as long as A and B, along which neither Q nor Z changes.
  std::vector<T> s_bar(kBatch * size), t_bar(s_bar), q_bar(Q.size()), z_bar(Z.size()), a_bar(kBatch * size), b_bar(a_bar);
  for (auto* entries : {&s_bar, &t_bar, &q_bar, &z_bar}) {
    for (T& entry : *entries) entry = static_cast<T>(normal(generator));
  }
  tfqz::WholeGradientBatch<T> gradient(m, n, kBatch, {S.data(), T_.data(), Q.data(), Z.data()},
                                       {s_bar.data(), t_bar.data(), q_bar.data(), z_bar.data(), nullptr, nullptr}, rows.data(),
                                       {a_bar.data(), b_bar.data()}, tfqz::one_after_the_other());
  gradient.run(0, kBatch);
  double along = 0;
  for (int k = 0; k < kBatch; ++k) {
    for (const auto& [x_bar, x, y_bar, y] : {std::tuple(&a_bar, &a, &s_bar, &S), std::tuple(&b_bar, &b, &t_bar, &T_)}) {
      double difference = 0, length = 0, square = 0;
      for (int i = k * size; i < (k + 1) * size; ++i) {
        difference += std::real(tfqz::conjugate((*x_bar)[i]) * (*x)[i] - tfqz::conjugate((*y_bar)[i]) * (*y)[i]);
        length += std::norm((*x_bar)[i]), square += std::norm((*x)[i]);
      }
      along = std::max(along, std::abs(difference) / std::sqrt(length * square) / (l * std::numeric_limits<tfqz::Real<T>>::epsilon()));
    }
  }
  std::printf("whole_gradient %s %d residual: %.3g\n", dtype, m, along);
  std::printf("extend %s %d residual: %.3g\n", dtype, m, extended);
  std::printf("compress %s %d residual: %.3g\n", dtype, m, compressed);
  std::printf("complement %s %d residual: %.3g\n", dtype, m, completed);
  std::printf("svd %s %d residual: %.3g\n", dtype, m, decomposed);
}

// The largest factor between sums of rows, or of columns, that should be equal; of matrices in the middle of which a row and a column are
// 0.
template <typename R>
void check_balance(const char* dtype, int m, int n, bool similarity) {
  std::mt19937 generator(m);
  std::uniform_real_distribution<double> exponent(-30, 30);
  std::vector<R> matrices(kBatch * m * n);
  for (R& entry : matrices) entry = static_cast<R>(std::exp2(exponent(generator) / 3));
  for (int k = 0; k < kBatch; ++k) {
    for (int i = 0; i < m; ++i) matrices[(k * m + i) * n + n / 2] = 0;
    for (int j = 0; j < n; ++j) matrices[(k * m + m / 2) * n + j] = 0;
  }
  std::vector<int32_t> left(kBatch * m), right(kBatch * n);
  tfqz::BalanceBatch<R> batch(m, n, similarity, matrices.data(), left.data(), right.data());
  batch.run(0, kBatch);
  double largest = 0;
  for (int k = 0; k < kBatch; ++k) {
    std::vector<double> rows(m), columns(n);
    for (int i = 0; i < m; ++i) {
      for (int j = 0; j < n; ++j) {
        if (similarity && i == j) continue;
        const double entry = std::ldexp(matrices[(k * m + i) * n + j], left[k * m + i] + right[k * n + j]);
        rows[i] += entry, columns[j] += entry;
      }
    }
    for (int i = 0; i < m; ++i) {
      if (i != m / 2) largest = std::max(largest, similarity ? rows[i] / columns[i] : rows[i] / rows[0]);
    }
  }
  std::printf("balance %s %d residual: %.3g\n", dtype, m, largest);
}

}  // namespace

#endif  // TFQZ_CORE_TEST_FRAMES_H_
