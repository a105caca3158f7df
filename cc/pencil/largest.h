// The largest entry of an array, as the vectors of the machine find it. No TensorFlow header.
#ifndef TFQZ_PENCIL_LARGEST_H_
#define TFQZ_PENCIL_LARGEST_H_

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "pencil/lapack.h"

namespace tfqz {

// As many sums or maxima side by side as make vectors, and none of which waits for another.
constexpr int kAbreast = 8;

// Real and imaginary parts one after the other.
template <typename T>
const Real<T>* parts(const T* x) {
  return reinterpret_cast<const Real<T>*>(x);
}
template <typename T>
constexpr int kParts = sizeof(T) / sizeof(Real<T>);

// The largest modulus of real numbers; NaN counts as 0.
template <typename R>
R largest_of(const R* x, std::size_t count) {
  R most[kAbreast] = {};
  std::size_t i = 0;
  for (; i + kAbreast <= count; i += kAbreast) {
    for (int k = 0; k < kAbreast; ++k) most[k] = std::abs(x[i + k]) > most[k] ? std::abs(x[i + k]) : most[k];
  }
  for (; i < count; ++i) most[0] = std::max(most[0], std::abs(x[i]));
  return *std::max_element(most, most + kAbreast);
}

}  // namespace tfqz

#endif  // TFQZ_PENCIL_LARGEST_H_
