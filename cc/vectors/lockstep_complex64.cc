// The decomposition of complex64 pencils in lockstep, for each width of vectors.
#include "vectors/widths.h"
TFQZ_FUSE_NOTHING
#define HWY_DISABLED_TARGETS TFQZ_WIDTHS_TO_64_BYTES
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vectors/lockstep_complex64.cc"
#include "hwy/foreach_target.h"
#include "vectors/lockstep_pencils-inl.h"

#if HWY_ONCE
namespace tfqz {
template std::unique_ptr<LockstepQz<std::complex<float>>> make_lockstep(const Simd&, int);
}
#endif
