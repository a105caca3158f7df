// Which vectors are used. No TensorFlow header comes in here.
#ifndef TFQZ_ALGORITHMS_CHOOSE_SIMD_H_
#define TFQZ_ALGORITHMS_CHOOSE_SIMD_H_

#include <string>

#include "vectors/simd.h"

namespace tfqz {

// The widest vectors of this machine, or those that the environment variable TFQZ_SIMD names; null for LAPACK alone. Where
// TFQZ_SIMD names none that can be had, says so in `problem`.
const Simd* choose_simd(std::string* problem);

}  // namespace tfqz

#endif  // TFQZ_ALGORITHMS_CHOOSE_SIMD_H_
