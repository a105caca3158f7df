#include "algorithms/choose_simd.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <vector>

#include "algorithms/qz.h"
#include "vectors/lockstep.h"

namespace tfqz {

namespace {

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

// The widths that this machine has and that compute rightly on it; found once in a process.
const std::vector<const Simd*>& usable_simds() {
  static const auto* const usable = [] {
    auto* found = new std::vector<const Simd*>;
    for (const Simd& simd : compiled_simds()) {
      if (simd.available() && is_right<float>(simd) && is_right<double>(simd) && is_right<std::complex<float>>(simd) &&
          is_right<std::complex<double>>(simd)) {
        found->push_back(&simd);
      }
    }
    return found;
  }();
  return *usable;
}

}  // namespace

template <typename T>
const Simd* narrowest_for(int64_t count, const Simd* simd) {
  const Simd* narrowest = simd;
  for (const Simd* other : usable_simds()) {
    if (other->fused == simd->fused && other->bytes < narrowest->bytes && lanes<T>(*other) >= count) narrowest = other;
  }
  return narrowest;
}

template const Simd* narrowest_for<float>(int64_t, const Simd*);
template const Simd* narrowest_for<double>(int64_t, const Simd*);
template const Simd* narrowest_for<std::complex<float>>(int64_t, const Simd*);
template const Simd* narrowest_for<std::complex<double>>(int64_t, const Simd*);

const Simd* choose_simd(std::string* problem) {
  const char* variable = std::getenv("TFQZ_SIMD");
  const std::string wanted = variable == nullptr ? "" : variable;
  const std::vector<const Simd*>& usable = usable_simds();
  if (wanted.empty()) return usable.empty() ? nullptr : usable.front();
  std::string names;
  for (const Simd* simd : usable) {
    if (wanted == simd->name) return simd;
    names += std::string("'") + simd->name + "', ";
  }
  if (wanted != "none")
    *problem = "The environment variable TFQZ_SIMD must be one of " + names + "'none' on this machine; got '" + wanted + "'";
  return nullptr;
}

}  // namespace tfqz
