// The mathematics without TensorFlow: prints `residual` of random pencils, or the outcome where the drivers fail.
// With -DFAKE_DRIVERS every driver returns info = 2.
#include <cmath>
#include <complex>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "batch.h"
#include "qz.h"

#ifdef FAKE_DRIVERS
using tfqz::LapackInt;
using Size = std::size_t;
#define FAKE_REAL(name, R)                                                                                           \
  void name(const char*, const char*, const char*, void*, const LapackInt*, R*, const LapackInt*, R*,                \
            const LapackInt*, LapackInt*, R*, R*, R*, R*, const LapackInt*, R*, const LapackInt*, R* work,           \
            const LapackInt* lwork, LapackInt*, LapackInt* info, Size, Size, Size) {                                 \
    if (*lwork == -1) work[0] = 1;                                                                                   \
    *info = *lwork == -1 ? 0 : 2;                                                                                    \
  }
#define FAKE_COMPLEX(name, R)                                                                                        \
  void name(const char*, const char*, const char*, void*, const LapackInt*, std::complex<R>*, const LapackInt*,      \
            std::complex<R>*, const LapackInt*, LapackInt*, std::complex<R>*, std::complex<R>*, std::complex<R>*,    \
            const LapackInt*, std::complex<R>*, const LapackInt*, std::complex<R>* work, const LapackInt* lwork, R*, \
            LapackInt*, LapackInt* info, Size, Size, Size) {                                                         \
    if (*lwork == -1) work[0] = 1;                                                                                   \
    *info = *lwork == -1 ? 0 : 2;                                                                                    \
  }
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
}
#endif

namespace {

template <typename T>
void check(const char* dtype, int n) {
  std::mt19937 generator(n);
  std::normal_distribution<double> normal;
  const std::size_t size = static_cast<std::size_t>(n) * n;
  std::vector<T> a(2 * size), b(2 * size), s(2 * size), t(2 * size), q(2 * size), z(2 * size), beta(2 * n);
  std::vector<std::complex<tfqz::Real<T>>> alpha(2 * n);
  for (auto* x : {&a, &b}) {
    for (T& entry : *x) entry = static_cast<T>(normal(generator));
  }
  tfqz::QzBatch<T> batch(n, {a.data(), b.data(), {}, {}, {s.data(), t.data(), q.data(), z.data(), alpha.data(), beta.data()}},
                         /*fill_failures=*/false);
  batch.run(0, 2);
  const std::string failure = batch.failure({2});
  if (!failure.empty()) {
    std::printf("%s %d failure: %s\n", dtype, n, failure.c_str());
    return;
  }
  double residual = 0;  // max |A - Q S Z^H| over n eps, for entries of order 1
  for (std::size_t k = 0; k < 2; ++k) {
    const T *A = &a[k * size], *S = &s[k * size], *Q = &q[k * size], *Z = &z[k * size];
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j < n; ++j) {
        std::complex<double> sum = 0;
        for (int l = 0; l < n; ++l) {
          std::complex<double> row = 0;
          for (int m = 0; m < n; ++m) row += std::complex<double>(Q[i * n + m]) * std::complex<double>(S[m * n + l]);
          sum += row * std::conj(std::complex<double>(Z[j * n + l]));
        }
        residual = std::max(residual, std::abs(sum - std::complex<double>(A[i * n + j])));
      }
    }
  }
  std::printf("%s %d residual: %.3g\n", dtype, n, residual / (n * std::numeric_limits<tfqz::Real<T>>::epsilon()));
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
