// The mathematics without TensorFlow: prints residuals of random pencils, decomposed and reordered, and of matrices, or what the
// routines said.
// With -DFAKE_DRIVERS every driver returns info = 2, and xTGEXC info = 1.
#include <cmath>
#include <complex>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "algorithms/batches.h"
#include "algorithms/qz.h"

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

// max |A - Q S Z^H| over n eps, for entries of order 1.
template <typename T>
double residual(int n, const std::vector<T>& a, const Arrays<T>& arrays) {
  double largest = 0;
  const std::size_t size = static_cast<std::size_t>(n) * n;
  for (std::size_t k = 0; k < kBatch; ++k) {
    const T *A = &a[k * size], *S = &arrays.s[k * size], *Q = &arrays.q[k * size], *Z = &arrays.z[k * size];
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j < n; ++j) {
        std::complex<double> sum = 0;
        for (int l = 0; l < n; ++l) {
          std::complex<double> row = 0;
          for (int m = 0; m < n; ++m) row += std::complex<double>(Q[i * n + m]) * std::complex<double>(S[m * n + l]);
          sum += row * std::conj(std::complex<double>(Z[j * n + l]));
        }
        largest = std::max(largest, std::abs(sum - std::complex<double>(A[i * n + j])));
      }
    }
  }
  return largest / (n * std::numeric_limits<tfqz::Real<T>>::epsilon());
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
  std::vector<int32_t> labels(kBatch * n);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int32_t>(i % 3);
  const tfqz::Factors<T>& f = found.factors;
  tfqz::ReorderBatch<T> order(n, {f.s, f.t, f.q, f.z}, labels.data(), reordered.factors, /*fill_failures=*/false);
  order.run(0, kBatch);
  report("reorder", dtype, n, order, a, reordered);
  tfqz::SchurBatch<T> schur(n, a.data(), {of_one.s.data(), of_one.q.data()}, /*fill_failures=*/false);
  schur.run(0, kBatch);
  of_one.z = of_one.q;
  report("schur", dtype, n, schur, a, of_one);
}

}  // namespace

int main() {
  for (int n : {5, 70}) {  // on either side of the change of drivers
    check<float>("float32", n);
    check<double>("float64", n);
    check<std::complex<float>>("complex64", n);
    check<std::complex<double>>("complex128", n);
  }
}
