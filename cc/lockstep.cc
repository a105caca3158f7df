// Compiles the decomposition in lockstep for each width of vectors, and chooses one at run time.
#include "lockstep.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <cstdlib>
#include <limits>
#include <vector>

// Assertions call functions that are in no library of TensorFlow's.
#define HWY_IS_DEBUG_BUILD 0
#define HWY_COMPILE_ALL_ATTAINABLE
// Vectors of known size only: 128 bits on any machine, and those of x86 that are wider.
#define HWY_DISABLED_TARGETS (~(HWY_SSE2 | HWY_AVX2 | HWY_AVX3 | HWY_NEON | HWY_NEON_WITHOUT_AES))
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lockstep.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "lockstep_pencils-inl.h"

#if HWY_ONCE

namespace tfqz {

template <typename T>
std::unique_ptr<LockstepQz<T>> make_lockstep(const Simd& simd, int n) {
  if constexpr (std::is_same_v<T, float>) return simd.make_float(n);
  if constexpr (std::is_same_v<T, double>) return simd.make_double(n);
  if constexpr (std::is_same_v<T, std::complex<float>>) return simd.make_complex64(n);
  if constexpr (std::is_same_v<T, std::complex<double>>) return simd.make_complex128(n);
}
template std::unique_ptr<LockstepQz<float>> make_lockstep(const Simd&, int);
template std::unique_ptr<LockstepQz<double>> make_lockstep(const Simd&, int);
template std::unique_ptr<LockstepQz<std::complex<float>>> make_lockstep(const Simd&, int);
template std::unique_ptr<LockstepQz<std::complex<double>>> make_lockstep(const Simd&, int);

namespace {

#define TFQZ_MAKERS(target) \
  target::make<float>, target::make<double>, target::make<std::complex<float>>, target::make<std::complex<double>>

// Widest first.
const Simd kSimds[] = {
#if HWY_TARGETS & HWY_AVX3
    {"avx512", 64,
     [] {
       return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
              __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd");
     },
     TFQZ_MAKERS(N_AVX3)},
#endif
#if HWY_TARGETS & HWY_AVX2
    {"avx2", 32,
     [] {
       return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
              __builtin_cpu_supports("bmi2");
     },
     TFQZ_MAKERS(N_AVX2)},
#endif
    {"baseline", 16, [] { return true; }, TFQZ_MAKERS(HWY_STATIC_NAMESPACE)},
};
#undef TFQZ_MAKERS

// max |A - Q S Z^H| of row-major matrices; infinite if something is not a number.
template <typename T>
Real<T> residual(int n, const T* a, const T* q, const T* s, const T* z) {
  Real<T> largest = 0;
  std::vector<T> row(n);
  for (int i = 0; i < n; ++i) {
    std::fill(row.begin(), row.end(), T(0));
    for (int k = 0; k < n; ++k) {
      for (int l = 0; l < n; ++l) row[l] += q[i * n + k] * s[k * n + l];
    }
    for (int j = 0; j < n; ++j) {
      T sum = -a[i * n + j];
      for (int l = 0; l < n; ++l) sum += row[l] * conjugate(z[j * n + l]);
      if (!std::isfinite(std::abs(sum))) return std::numeric_limits<Real<T>>::infinity();
      largest = std::max(largest, std::abs(sum));
    }
  }
  return largest;
}

// Whether decompositions of a few random pencils, in lockstep or by themselves, are what they should be. Compilers have been seen to
// err with vectors that few use.
template <typename T>
bool is_right(const Simd& simd, int n, bool in_lockstep) {
  using R = Real<T>;
  const int count = in_lockstep ? lanes<T>(simd) : 1, entries = n * n;
  std::uint32_t state = 1;
  std::vector<T> inputs(2 * count * entries);
  for (R *x = reinterpret_cast<R*>(inputs.data()), *end = reinterpret_cast<R*>(inputs.data() + inputs.size()); x < end; ++x) {
    state = state * 1664525 + 1013904223;
    *x = static_cast<R>(static_cast<double>(state >> 8) / (1 << 24) - 0.5);
  }
  std::vector<T> outputs(count * (4 * entries + n));
  std::vector<std::complex<R>> alphas(count * n);
  std::vector<const T*> a(count), b(count);
  std::vector<Factors<T>> factors(count);
  for (int i = 0; i < count; ++i) {
    a[i] = &inputs[2 * i * entries];
    b[i] = a[i] + entries;
    T* out = &outputs[i * (4 * entries + n)];
    factors[i] = {out, out + entries, out + 2 * entries, out + 3 * entries, &alphas[i * n], out + 4 * entries};
  }
  if (in_lockstep) {
    if ((*make_lockstep<T>(simd, n))(a.data(), b.data(), factors.data(), count) != 0) return false;
  } else if (QzSolver<T>(n, &simd, one_after_the_other())(a[0], b[0], factors[0]).info != 0) {
    return false;
  }
  for (int i = 0; i < count; ++i) {
    const Factors<T>& f = factors[i];
    const R largest = std::max(residual(n, a[i], f.q, f.s, f.z), residual(n, b[i], f.q, f.t, f.z));
    if (!(largest < 40 * n * std::numeric_limits<R>::epsilon())) return false;
  }
  return true;
}
template <typename T>
bool is_right(const Simd& simd) {
  return is_right<T>(simd, 5, /*in_lockstep=*/true) && is_right<T>(simd, 40, /*in_lockstep=*/false);
}

// For each width, once in a process.
bool is_usable(int i) {
  static const auto usable = [] {
    std::array<bool, std::size(kSimds)> result;
    for (std::size_t k = 0; k < result.size(); ++k) {
      const Simd& simd = kSimds[k];
      result[k] = simd.available() && is_right<float>(simd) && is_right<double>(simd) && is_right<std::complex<float>>(simd) &&
                  is_right<std::complex<double>>(simd);
    }
    return result;
  }();
  return usable[i];
}

}  // namespace

const Simd* choose_simd(std::string* problem) {
  const char* variable = std::getenv("TFQZ_SIMD");
  const std::string wanted = variable == nullptr ? "" : variable;
  std::string names;
  const Simd* widest = nullptr;
  for (std::size_t i = 0; i < std::size(kSimds); ++i) {
    if (!is_usable(static_cast<int>(i))) continue;
    if (wanted == kSimds[i].name) return &kSimds[i];
    if (widest == nullptr) widest = &kSimds[i];
    names += std::string("'") + kSimds[i].name + "', ";
  }
  if (wanted.empty()) return widest;
  if (wanted != "none") *problem = "The environment variable TFQZ_SIMD must be one of " + names + "'none' on this machine; got '" + wanted + "'";
  return nullptr;
}

}  // namespace tfqz

#endif  // HWY_ONCE
