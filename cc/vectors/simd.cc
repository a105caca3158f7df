#include "vectors/simd.h"

#include "vectors/widths.h"
#define HWY_DISABLED_TARGETS TFQZ_WIDTHS_TO_64_BYTES
#include "hwy/highway.h"

namespace tfqz {

const std::vector<Simd>& compiled_simds() {
  static const auto* const simds = new std::vector<Simd>{
#if HWY_TARGETS & HWY_AVX3
      {"avx512", 64, /*fused=*/true,
       [] {
         return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd");
       }},
#endif
#if HWY_TARGETS & HWY_AVX2
      {"avx2", 32, /*fused=*/true,
       [] {
         return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                __builtin_cpu_supports("bmi2");
       }},
#endif
      {"baseline", 16, HWY_NATIVE_FMA != 0, [] { return true; }},
  };
  return *simds;
}

}  // namespace tfqz
