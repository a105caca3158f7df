// The decomposition of float64 pencils in lockstep, for each width of vectors.
#include "vectors/widths.h"
TFQZ_FUSE_NOTHING
#define HWY_DISABLED_TARGETS TFQZ_WIDTHS_TO_64_BYTES
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vectors/lockstep_float64.cc"
#include "hwy/foreach_target.h"
#include "vectors/lockstep_pencils-inl.h"

#if HWY_ONCE
namespace tfqz {
template std::unique_ptr<LockstepQz<double>> make_lockstep(const Simd&, int);
}
#endif
