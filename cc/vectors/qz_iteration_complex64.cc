// The QZ iteration of one complex64 pencil, for each width of vectors.
#include "vectors/widths.h"
#define HWY_DISABLED_TARGETS TFQZ_WIDTHS_TO_32_BYTES
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vectors/qz_iteration_complex64.cc"
#include "hwy/foreach_target.h"
#include "vectors/qz_iteration-inl.h"

#if HWY_ONCE
namespace tfqz {
template std::unique_ptr<QzIteration<std::complex<float>>> make_iteration(const Simd&, int, Fork);
}
#endif
