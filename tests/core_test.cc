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

#include "algorithms/batches.h"
#include "algorithms/choose_simd.h"
#include "algorithms/eigenbases.h"
#include "algorithms/qz.h"
#include "core_test.h"
#include "core_test_frames.h"
#include "pencil/fork.h"
#include "pencil/matrix.h"
#include "vectors/qz_iteration.h"

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

#ifndef FAKE_DRIVERS
// The iteration of one pencil in vectors, which LAPACK stands in for where it errs. Nothing is said if it doesn't converge.
template <typename T>
void check_iteration(const char* dtype, int n) {
  std::mt19937 generator(n);
  std::normal_distribution<double> normal;
  std::string problem;
  const tfqz::Simd* const simd = tfqz::choose_simd(&problem);
  const tfqz::Matrices<T> space(n, 4);
  const auto S = space[0], T_ = space[1], Q = space[2], Z = space[3];
  for (int j = 0; j < n; ++j) {
    for (int i = 0; i < n; ++i) {
      S(i, j) = static_cast<T>(normal(generator) / n), T_(i, j) = static_cast<T>(i <= j ? normal(generator) / n : 0);
      Q(i, j) = Z(i, j) = T(i == j ? 1 : 0);
    }
  }
  std::vector<T> a(n * n), b(a), s(a), t(a), q(a), z(a);
  tfqz::write(S, a.data()), tfqz::write(T_, b.data());
  const auto iteration = tfqz::make_iteration<T>(simd == nullptr ? tfqz::compiled_simds().back() : *simd, n, tfqz::one_after_the_other());
  if (!(*iteration)(S, T_, Q, Z, 0, n - 1)) return;
  tfqz::write(S, s.data()), tfqz::write(T_, t.data()), tfqz::write(Q, q.data()), tfqz::write(Z, z.data());
  const double worst =
      std::max(residual(n, n, a.data(), s.data(), q.data(), z.data()), residual(n, n, b.data(), t.data(), q.data(), z.data()));
  std::printf("iteration %s %d residual: %.3g\n", dtype, n, worst);
}
#endif

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

}  // namespace

int main() {
#ifndef FAKE_DRIVERS
  for (const auto& [m, n] : {std::pair(7, 7), std::pair(5, 9)}) {
    check_balance<float>("float32", m, n, m == n);
    check_balance<double>("float64", m, n, m == n);
  }
  for (int n : {7, 40}) {
    check_iteration<float>("float32", n);
    check_iteration<double>("float64", n);
    check_iteration<std::complex<float>>("complex64", n);
    check_iteration<std::complex<double>>("complex128", n);
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
