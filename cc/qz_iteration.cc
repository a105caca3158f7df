// Compiles the iteration of one pencil for vectors of 16 and of 32 bytes.
#include "qz_iteration.h"

#include <utility>

// Assertions call functions that are in no library of TensorFlow's.
#define HWY_IS_DEBUG_BUILD 0
#define HWY_COMPILE_ALL_ATTAINABLE
#define HWY_DISABLED_TARGETS (~(HWY_SSE2 | HWY_AVX2 | HWY_NEON | HWY_NEON_WITHOUT_AES))
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qz_iteration.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "qz_iteration-inl.h"

#if HWY_ONCE

namespace tfqz {

// Processors with wider vectors have these as well.
template <typename T>
std::unique_ptr<QzIteration<T>> make_iteration(const Simd& simd, int n, Fork fork) {
#if HWY_TARGETS & HWY_AVX2
  if (simd.bytes >= 32) return N_AVX2::make_iteration<T>(n, std::move(fork));
#endif
  return HWY_STATIC_NAMESPACE::make_iteration<T>(n, std::move(fork));
}
template std::unique_ptr<QzIteration<float>> make_iteration(const Simd&, int, Fork);
template std::unique_ptr<QzIteration<double>> make_iteration(const Simd&, int, Fork);
template std::unique_ptr<QzIteration<std::complex<float>>> make_iteration(const Simd&, int, Fork);
template std::unique_ptr<QzIteration<std::complex<double>>> make_iteration(const Simd&, int, Fork);

}  // namespace tfqz

#endif  // HWY_ONCE
