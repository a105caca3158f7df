// The widths of vectors (widths.h) as data. No TensorFlow header comes in here, and none of Highway's.
#ifndef TFQZ_VECTORS_SIMD_H_
#define TFQZ_VECTORS_SIMD_H_

#include <vector>

#include "pencil/lapack.h"

namespace tfqz {

// One width.
struct Simd {
  const char* name;
  int bytes;
  bool fused;  // x y + z is rounded once: among those where it is, and among those where it isn't, lanes hold the same to the last bit
  bool (*available)();  // on this machine
};

// All that there is code for, the widest first.
const std::vector<Simd>& compiled_simds();

// The number of pencils that take the time of one; at most 64.
template <typename T>
int lanes(const Simd& simd) {
  return simd.bytes / static_cast<int>(sizeof(Real<T>));
}

}  // namespace tfqz

#endif  // TFQZ_VECTORS_SIMD_H_
