// By which powers of two the inputs of a gradient are multiplied where products of them could leave the range. No TensorFlow header.
//
// With A = 2^s A0 and B = 2^t B0 the factors are S = 2^s S0, T = 2^t T0, Q and Z, and the gradient is linear in their cotangents: that of
// the cotangents 2^(s - g) Sb, 2^(t - g) Tb, 2^-g Qb, 2^-g Zb at S0, T0, Q, Z is 2^(s - g) Ab, 2^(t - g) Bb. All these products are exact,
// so that where nothing leaves the range the result is the same to the last bit.
#ifndef TFQZ_PENCIL_SCALE_H_
#define TFQZ_PENCIL_SCALE_H_

#include <algorithm>
#include <cmath>
#include <limits>

namespace tfqz {

// Up to which sizes, and down to which inverses, S and T stay as they are; and cotangents, whose quotients by distances of eigenvalues
// and products with S and T have to stay in the range too.
template <typename R>
constexpr R kFarPencil = R(sizeof(R) == sizeof(float) ? 1e4 : 1e50);
template <typename R>
constexpr R kFarCotangents = R(sizeof(R) == sizeof(float) ? 1e10 : 1e100);

// x 2^exponent, in two steps: neither power leaves the range, and what is between x and the product does only where one of these does.
template <typename R>
struct PowerOfTwo {
  R first, second;

  explicit PowerOfTwo(int exponent) {
    constexpr int kMost = 2 * (std::numeric_limits<R>::max_exponent - 2);
    exponent = std::clamp(exponent, -kMost, kMost);
    first = std::ldexp(R(1), exponent / 2);
    second = std::ldexp(R(1), exponent - exponent / 2);
  }

  template <typename T>
  T times(T x) const {
    return x * first * second;
  }
};

template <typename R>
bool is_near(R x, R far) {
  return x == 0 || (1 / far <= x && x <= far);
}

// Of the power of two beyond x > 0; 0 for 0 and what isn't a number.
template <typename R>
int binary_exponent(R x) {
  return x > 0 && std::isfinite(x) ? std::ilogb(x) + 1 : 0;
}

struct GradientScale {
  int s = 0, t = 0, common = 0;

  bool any() const { return s != 0 || t != 0 || common != 0; }
};

// The largest entries of S, T and cotangents: those of alpha belong to S, those of beta to T; `frames`: of Q and Z.
template <typename R>
struct LargestEntries {
  R s = 0, t = 0, s_bar = 0, t_bar = 0, frames_bar = 0;

  // Zeros where nothing needs it.
  GradientScale scale() const {
    const R bars = std::max({s_bar, t_bar, frames_bar});
    GradientScale scale;
    if (is_near(s, kFarPencil<R>) && is_near(t, kFarPencil<R>) && is_near(bars, kFarCotangents<R>)) return scale;
    scale.s = binary_exponent(s), scale.t = binary_exponent(t);
    constexpr int kNone = std::numeric_limits<int>::min();
    int most = kNone;
    const auto add = [&](R x, int exponent_of_factor) {
      if (x > 0) most = std::max(most, exponent_of_factor + binary_exponent(x));
    };
    add(s_bar, scale.s), add(t_bar, scale.t), add(frames_bar, 0);
    if (most != kNone) scale.common = most;
    return scale;
  }
};

}  // namespace tfqz

#endif  // TFQZ_PENCIL_SCALE_H_
