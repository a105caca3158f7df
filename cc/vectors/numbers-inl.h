// The arithmetic of lanes-inl.h for plain numbers, so that one text serves a single pencil (N a number) and several in lockstep (N one
// number of each).
#if defined(TFQZ_NUMBERS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TFQZ_NUMBERS_INL_H_
#undef TFQZ_NUMBERS_INL_H_
#else
#define TFQZ_NUMBERS_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "vectors/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tfqz {
namespace HWY_NAMESPACE {

template <typename R>
using IfReal = std::enable_if_t<std::is_floating_point_v<R>, R>;
template <typename R>
HWY_INLINE IfReal<R> real(R x) {
  return x;
}
template <typename R>
HWY_INLINE IfReal<R> conj(R x) {
  return x;
}
template <typename R>
HWY_INLINE IfReal<R> size(R x) {
  return std::abs(x);
}
template <typename R>
HWY_INLINE R size(std::complex<R> x) {
  return std::max(std::abs(x.real()), std::abs(x.imag()));
}
template <typename R>
HWY_INLINE IfReal<R> select(bool mask, R yes, R no) {
  return mask ? yes : no;
}
template <typename R>
HWY_INLINE IfReal<R> masked(bool mask, R x) {
  return mask ? x : R(0);
}
template <typename R>
HWY_INLINE std::complex<R> masked(bool mask, std::complex<R> x) {
  return mask ? x : std::complex<R>(0);
}
template <typename R>
HWY_INLINE std::enable_if_t<std::is_floating_point_v<R>, bool> is_zero(R x) {
  return x == 0;
}

template <typename R>
HWY_INLINE Lanes<R> imag(Lanes<std::complex<R>> x) {
  return x.im;
}

// Of plain numbers' masks: `&` of two bool is an int.
HWY_INLINE bool any(bool x) { return x; }
HWY_INLINE bool any(int x) { return x != 0; }

// N is T, or Lanes<T>: its real numbers, and those that are the same for all lanes.
template <typename N>
struct RealPart {
  using type = Real<N>;
};
template <typename T>
struct RealPart<Lanes<T>> {
  using type = Lanes<Real<T>>;
};
template <typename R>
HWY_INLINE void set(double x, R* number) {
  *number = static_cast<R>(x);
}
template <typename R>
HWY_INLINE void set(double x, Lanes<R>* number) {
  *number = all_lanes(static_cast<R>(x));
}
template <typename V>
HWY_INLINE V constant(double x) {
  V number;
  set(x, &number);
  return number;
}

// 0 of any of these types: N{} is 0 for plain numbers only.
template <typename N>
struct Zeros {
  static HWY_INLINE N value() { return N(0); }
};
template <typename T>
struct Zeros<Lanes<T>> {
  static HWY_INLINE Lanes<T> value() { return number<T>(0); }
};
template <typename N>
HWY_INLINE N zeros() {
  return Zeros<N>::value();
}

// x / y, and 0 where x = 0 or y = 0.
template <typename V>
HWY_INLINE V divide(V x, V y) {
  const auto nothing = is_zero(x) | is_zero(y);
  return masked(!nothing, x / select(nothing, constant<V>(1), y));
}

// n x n numbers, row by row.
template <typename N>
class Field {
 public:
  Field(N* entries, int n) : entries_(entries), n_(n) {}
  N& operator()(int i, int j) const { return entries_[static_cast<std::size_t>(i) * n_ + j]; }

 private:
  N* entries_;
  int n_;
};

}  // namespace HWY_NAMESPACE
}  // namespace tfqz
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
