// The mathematics without TensorFlow: prints residuals of random pencils, decomposed and reordered, of matrices, and of rectangular ones,
// or what the routines said.
// With -DFAKE_DRIVERS every driver returns info = 2, and xTGEXC info = 1.
#include <cmath>
#include <complex>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <random>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "algorithms/balance.h"
#include "algorithms/batches.h"
#include "algorithms/eigenbases.h"
#include "algorithms/frames.h"
#include "algorithms/qz.h"
#include "algorithms/whole_gradients.h"

#ifdef FAKE_DRIVERS
using tfqz::LapackInt;
using Size = std::size_t;
#define FAKE_REAL(name, R)                                                                                                                \
  void name(const char*, const char*, const char*, void*, const LapackInt*, R*, const LapackInt*, R*, const LapackInt*, LapackInt*, R*,   \
            R*, R*, R*, const LapackInt*, R*, const LapackInt*, R* work, const LapackInt* lwork, LapackInt*, LapackInt* info, Size, Size, \
            Size) {                                                                                                                       \
    if (*lwork == -1) work[0] = 1;                                                                                                        \
    *info = *lwork == -1 ? 0 : 2;                                                                                                         \
  }
#define FAKE_COMPLEX(name, R)                                                                                                       \
  void name(const char*, const char*, const char*, void*, const LapackInt*, std::complex<R>*, const LapackInt*, std::complex<R>*,   \
            const LapackInt*, LapackInt*, std::complex<R>*, std::complex<R>*, std::complex<R>*, const LapackInt*, std::complex<R>*, \
            const LapackInt*, std::complex<R>* work, const LapackInt* lwork, R*, LapackInt*, LapackInt* info, Size, Size, Size) {   \
    if (*lwork == -1) work[0] = 1;                                                                                                  \
    *info = *lwork == -1 ? 0 : 2;                                                                                                   \
  }
#define FAKE_SCHUR_REAL(name, R)                                                                                                        \
  void name(const char*, const char*, void*, const LapackInt*, R*, const LapackInt*, LapackInt*, R*, R*, R*, const LapackInt*, R* work, \
            const LapackInt* lwork, LapackInt*, LapackInt* info, Size, Size) {                                                          \
    if (*lwork == -1) work[0] = 1;                                                                                                      \
    *info = *lwork == -1 ? 0 : 2;                                                                                                       \
  }
#define FAKE_SCHUR_COMPLEX(name, R)                                                                                                   \
  void name(const char*, const char*, void*, const LapackInt*, std::complex<R>*, const LapackInt*, LapackInt*, std::complex<R>*,      \
            std::complex<R>*, const LapackInt*, std::complex<R>* work, const LapackInt* lwork, R*, LapackInt*, LapackInt* info, Size, \
            Size) {                                                                                                                   \
    if (*lwork == -1) work[0] = 1;                                                                                                    \
    *info = *lwork == -1 ? 0 : 2;                                                                                                     \
  }
#define FAKE_EXCHANGE(name, T, ...)                                                                                                     \
  void name(const LapackInt*, const LapackInt*, const LapackInt*, T*, const LapackInt*, T*, const LapackInt*, T*, const LapackInt*, T*, \
            const LapackInt*, LapackInt*, LapackInt*, __VA_ARGS__ LapackInt* info) {                                                    \
    *info = 1;                                                                                                                          \
  }
#define FAKE_WORK(T) T*, const LapackInt*,
#define FAKE_NOTHING(T)
#define FAKE_SVD(letter, T, RWORK)                                                                                                         \
  void scipy_##letter##gesdd_(const char*, const LapackInt*, const LapackInt*, T*, const LapackInt*, tfqz::Real<T>*, T*, const LapackInt*, \
                              T*, const LapackInt*, T* work, const LapackInt*, RWORK(T) LapackInt*, LapackInt* info, Size) {               \
    work[0] = 1;                                                                                                                           \
    *info = 2;                                                                                                                             \
  }                                                                                                                                        \
  void scipy_##letter##gesvd_(const char*, const char*, const LapackInt*, const LapackInt*, T*, const LapackInt*, tfqz::Real<T>*, T*,      \
                              const LapackInt*, T*, const LapackInt*, T* work, const LapackInt*, RWORK(T) LapackInt* info, Size, Size) {   \
    work[0] = 1;                                                                                                                           \
    *info = 1;                                                                                                                             \
  }
#define FAKE_REAL_WORK(T) tfqz::Real<T>*,
extern "C" {
void scipy_openblas_set_num_threads(int) {}
FAKE_REAL(scipy_sgges_, float)
FAKE_REAL(scipy_dgges_, double)
FAKE_REAL(scipy_sgges3_, float)
FAKE_REAL(scipy_dgges3_, double)
FAKE_COMPLEX(scipy_cgges_, float)
FAKE_COMPLEX(scipy_zgges_, double)
FAKE_COMPLEX(scipy_cgges3_, float)
FAKE_COMPLEX(scipy_zgges3_, double)
FAKE_SCHUR_REAL(scipy_sgees_, float)
FAKE_SCHUR_REAL(scipy_dgees_, double)
FAKE_SCHUR_COMPLEX(scipy_cgees_, float)
FAKE_SCHUR_COMPLEX(scipy_zgees_, double)
FAKE_EXCHANGE(scipy_stgexc_, float, FAKE_WORK(float))
FAKE_EXCHANGE(scipy_dtgexc_, double, FAKE_WORK(double))
FAKE_EXCHANGE(scipy_ctgexc_, std::complex<float>, )
FAKE_EXCHANGE(scipy_ztgexc_, std::complex<double>, )
FAKE_SVD(s, float, FAKE_NOTHING)
FAKE_SVD(d, double, FAKE_NOTHING)
FAKE_SVD(c, std::complex<float>, FAKE_REAL_WORK)
FAKE_SVD(z, std::complex<double>, FAKE_REAL_WORK)
}
#endif

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

template <typename T>
void report(const char* what, const char* dtype, int n, const tfqz::Batch& batch, const std::vector<T>& a, const Arrays<T>& result) {
  const std::string failure = batch.failure({kBatch});
  if (failure.empty()) {
    std::printf("%s %s %d residual: %.3g\n", what, dtype, n, residual(n, a, result));
  } else {
    std::printf("%s %s %d failure: %s\n", what, dtype, n, failure.c_str());
  }
}

// max |beta A x - alpha B x| over n eps times the length of (alpha, beta), for the right eigenvectors; and how far both directions of the
// bordered equations are from being adjoint to each other.
template <typename T>
void check_vectors(const char* dtype, int n, const std::vector<T>& a, const std::vector<T>& b, const Arrays<T>& found) {
  using C = std::complex<tfqz::Real<T>>;
  const double epsilon = std::numeric_limits<tfqz::Real<T>>::epsilon();
  std::vector<C> left(kBatch * n * n), right(left), s(kBatch * n), t(s), u(left), g(left);
  tfqz::EigenvectorBatch<T> batch(n, {found.factors.s, found.factors.t, found.factors.q, found.factors.z}, left.data(), right.data());
  batch.run(0, kBatch);
  double largest = 0;
  for (int k = 0; k < kBatch * n; ++k) {
    const std::complex<double> alpha(found.alpha[k]), beta(found.beta[k]);
    const double length = std::hypot(std::abs(alpha), std::abs(beta));
    s[k] = C(alpha / length), t[k] = C(beta / length);
    for (int i = 0; i < n; ++i) {
      std::complex<double> sum = 0;
      for (int l = 0; l < n; ++l) {
        const std::size_t here = (k / n * n + i) * n + l;
        sum += (beta * std::complex<double>(a[here]) - alpha * std::complex<double>(b[here])) *
               std::complex<double>(right[(k / n * n + l) * n + k % n]);
      }
      largest = std::max(largest, std::abs(sum) / length);
    }
  }
  std::printf("vectors %s %d residual: %.3g\n", dtype, n, largest / (n * epsilon));
  if constexpr (!std::is_same_v<T, tfqz::Real<T>>) {
    const tfqz::BorderedEquations<C> equations = {found.s.data(), found.t.data(), s.data(), t.data(), found.s.data()};
    tfqz::BorderedBatch<C> solve(n, /*adjoint=*/false, equations, right.data(), u.data());
    tfqz::BorderedBatch<C> solve_adjoint(n, /*adjoint=*/true, equations, left.data(), g.data());
    solve.run(0, kBatch), solve_adjoint.run(0, kBatch);
    std::complex<double> one = 0, other = 0;
    double size = 0;
    for (std::size_t i = 0; i < u.size(); ++i) {
      one += std::conj(std::complex<double>(left[i])) * std::complex<double>(u[i]);
      other += std::conj(std::complex<double>(g[i])) * std::complex<double>(right[i]);
      size += std::abs(left[i]) * std::abs(u[i]) + std::abs(g[i]) * std::abs(right[i]);
    }
    std::printf("bordered %s %d residual: %.3g\n", dtype, n, std::abs(one - other) / (n * epsilon * size));
  }
}

template <typename T>
void check(const char* dtype, int n) {
  std::mt19937 generator(n);
  std::normal_distribution<double> normal;
  std::vector<T> a(kBatch * n * n), b(a);
  for (auto* x : {&a, &b}) {
    for (T& entry : *x) entry = static_cast<T>(normal(generator));
  }
  Arrays<T> found(n), reordered(n), of_one(n);
  tfqz::QzBatch<T> decomposition(n, kBatch, a.data(), b.data(), {}, {}, found.factors, /*fill_failures=*/false);
  decomposition.run(0, kBatch);
  report("qz", dtype, n, decomposition, a, found);
  if (decomposition.failure({kBatch}).empty()) check_vectors(dtype, n, a, b, found);
  std::vector<int32_t> labels(kBatch * n);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int32_t>(i % 3);
  const tfqz::Factors<T>& f = found.factors;
#ifdef FAKE_DRIVERS
  // Which are exchanged without LAPACK, but for what isn't finite.
  found.t.assign(found.t.size(), std::numeric_limits<tfqz::Real<T>>::quiet_NaN());
#endif
  tfqz::ReorderBatch<T> order(n, kBatch, {f.s, f.t, f.q, f.z}, labels.data(), reordered.factors, /*fill_failures=*/false);
  order.run(0, kBatch);
  report("reorder", dtype, n, order, a, reordered);
  tfqz::SchurBatch<T> schur(n, a.data(), {of_one.s.data(), of_one.q.data()}, /*fill_failures=*/false);
  schur.run(0, kBatch);
  of_one.z = of_one.q;
  report("schur", dtype, n, schur, a, of_one);
}

// Exchanges of blocks of all kinds, for which LAPACK isn't needed: the second form has, if it is real, some of 2 x 2.
template <typename T>
void check_exchanges(const char* dtype, int n) {
  std::mt19937 generator(n);
  std::normal_distribution<double> normal;
  Arrays<T> form(n), reordered(n);
  const auto at = [n](std::vector<T>& x, int k, int i, int j) -> T& { return x[(k * n + i) * n + j]; };
  for (int k = 0; k < kBatch; ++k) {
    for (int i = 0; i < n; ++i) {
      at(form.q, k, i, i) = at(form.z, k, i, i) = 1;
      for (int j = i; j < n; ++j) {
        at(form.s, k, i, j) = static_cast<T>(normal(generator) / n);
        at(form.t, k, i, j) = static_cast<T>(normal(generator) / n);
      }
      at(form.s, k, i, i) = static_cast<T>(normal(generator));
      at(form.t, k, i, i) = static_cast<T>(i % 5 == 0 ? 0 : 1 + generator() % 8 / 8.0);
    }
    for (int i = 1; i + 1 < n && k == 1 && std::is_same_v<T, tfqz::Real<T>>; i += 2 + generator() % 2) {
      at(form.s, k, i, i + 1) = 2, at(form.s, k, i + 1, i) = -1, at(form.s, k, i + 1, i + 1) = at(form.s, k, i, i);
      at(form.t, k, i, i) = 2, at(form.t, k, i + 1, i + 1) = 1, at(form.t, k, i, i + 1) = 0;
    }
  }
  const tfqz::ConstFactors<T> f = {form.s.data(), form.t.data(), form.q.data(), form.z.data()};
  std::vector<int32_t> labels(kBatch * n);
  for (int classes : {1, 2, 100}) {
    for (int32_t& label : labels) label = static_cast<int32_t>(generator() % classes);
    tfqz::ReorderBatch<T> order(n, kBatch, f, labels.data(), reordered.factors, /*fill_failures=*/false);
    order.run(0, kBatch);
    report("exchange", dtype, n, order, form.s, reordered);
  }
}

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

int main() {
#ifndef FAKE_DRIVERS
  for (const auto& [m, n] : {std::pair(7, 7), std::pair(5, 9)}) {
    check_balance<float>("float32", m, n, m == n);
    check_balance<double>("float64", m, n, m == n);
  }
#endif
  for (int n : {5, 70}) {  // on either side of the change of drivers
    check<float>("float32", n);
    check<double>("float64", n);
    check<std::complex<float>>("complex64", n);
    check<std::complex<double>>("complex128", n);
  }
  for (int n : {1, 2, 3, 17, 70}) {
    check_exchanges<float>("float32", n);
    check_exchanges<double>("float64", n);
    check_exchanges<std::complex<float>>("complex64", n);
    check_exchanges<std::complex<double>>("complex128", n);
  }
  // Wide and tall, on either side of where LAPACK takes over.
  for (const auto& [m, n] : {std::pair(4, 7), std::pair(8, 5), std::pair(45, 110), std::pair(110, 45)}) {
    check_frames<float>("float32", m, n);
    check_frames<double>("float64", m, n);
    check_frames<std::complex<float>>("complex64", m, n);
    check_frames<std::complex<double>>("complex128", m, n);
  }
}
