// Which vectors are used. No TensorFlow header comes in here.
#ifndef TFQZ_ALGORITHMS_CHOOSE_SIMD_H_
#define TFQZ_ALGORITHMS_CHOOSE_SIMD_H_

#include <string>

#include "vectors/simd.h"

namespace tfqz {

// The widest vectors of this machine, or those that the environment variable TFQZ_SIMD names; null for LAPACK alone. Where
// TFQZ_SIMD names none that can be had, says so in `problem`.
const Simd* choose_simd(std::string* problem);

// The narrowest vectors with the arithmetic of `simd` that have a lane for each of `count` numbers of type T; `simd` itself if none have.
// Wider ones take longer, and what is in a lane is the same to the last bit.
template <typename T>
const Simd* narrowest_for(int64_t count, const Simd* simd);

}  // namespace tfqz

#endif  // TFQZ_ALGORITHMS_CHOOSE_SIMD_H_
