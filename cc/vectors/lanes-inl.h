// Arithmetic on several numbers at once, one for each of several matrices: a vector register holds the same entry of as many
// matrices as it has lanes, so every lane does what a scalar program would do for its own matrix. Masks take the place of
// branches. Compiled once for each width of vectors that a machine may have, by what includes it (hwy/foreach_target.h).
//
// Lanes<T> is a number of type T in each lane: a vector for real T, two (re, im) for complex T. `Lanes<T>{}` is no zero: what it holds is
// Highway's to say, zeros for x86 and anything for NEON. With -DTFQZ_LANES_BEGIN_AS_NAN, in tests, it holds NaN everywhere.
#if defined(TFQZ_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TFQZ_LANES_INL_H_
#undef TFQZ_LANES_INL_H_
#else
#define TFQZ_LANES_INL_H_
#endif

#include <complex>
#include <cstddef>
#include <limits>
#include <memory>
#include <new>
#include <type_traits>

// Before Highway, which it tells what to leave out.
#include "vectors/widths.h"

#include "hwy/highway.h"
#include "pencil/lapack.h"

HWY_BEFORE_NAMESPACE();
namespace tfqz {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <typename R>
using Tag = hn::ScalableTag<R>;

// How many matrices go together.
template <typename T>
inline constexpr int kLanes = static_cast<int>(hn::MaxLanes(Tag<Real<T>>()));

template <typename T>
struct Lanes {
#ifdef TFQZ_LANES_BEGIN_AS_NAN
  HWY_INLINE Lanes() : v(hn::Set(Tag<T>(), std::numeric_limits<T>::quiet_NaN())) {}
  HWY_INLINE Lanes(hn::Vec<Tag<T>> x) : v(x) {}
#endif
  hn::Vec<Tag<T>> v;
};

template <typename R>
struct Lanes<std::complex<R>> {
  Lanes<R> re, im;
};

// A truth in each lane, to choose between numbers whose real parts have type R.
template <typename R>
struct Mask {
  hn::Mask<Tag<R>> m;
};

// Of memory for any vectors, in bytes.
inline constexpr std::size_t kAlignment = 64;

struct FreeAligned {
  void operator()(void* memory) const { ::operator delete(memory, std::align_val_t{kAlignment}); }
};
template <typename R>
using AlignedArray = std::unique_ptr<R[], FreeAligned>;

// Room for `count` numbers, whatever they are. Throws std::bad_alloc.
template <typename R>
AlignedArray<R> aligned_array(std::size_t count) {
  return AlignedArray<R>(static_cast<R*>(::operator new(sizeof(R) * count, std::align_val_t{kAlignment})));
}

template <typename T>
inline constexpr bool kComplex = !std::is_same_v<T, Real<T>>;

// How many real numbers one entry takes in memory: the lanes' real parts, then their imaginary parts.
template <typename T>
inline constexpr int kStride = kLanes<T> * (kComplex<T> ? 2 : 1);

// ---- Real numbers

template <typename R>
HWY_INLINE Lanes<R> operator+(Lanes<R> x, Lanes<R> y) {
  return {hn::Add(x.v, y.v)};
}
template <typename R>
HWY_INLINE Lanes<R> operator-(Lanes<R> x, Lanes<R> y) {
  return {hn::Sub(x.v, y.v)};
}
template <typename R>
HWY_INLINE Lanes<R> operator*(Lanes<R> x, Lanes<R> y) {
  return {hn::Mul(x.v, y.v)};
}
template <typename R>
HWY_INLINE Lanes<R> operator/(Lanes<R> x, Lanes<R> y) {
  return {hn::Div(x.v, y.v)};
}
template <typename R>
HWY_INLINE Lanes<R> operator-(Lanes<R> x) {
  return {hn::Neg(x.v)};
}

// x y + z and z - x y.
template <typename R>
HWY_INLINE Lanes<R> mul_add(Lanes<R> x, Lanes<R> y, Lanes<R> z) {
  return {hn::MulAdd(x.v, y.v, z.v)};
}
template <typename R>
HWY_INLINE Lanes<R> neg_mul_add(Lanes<R> x, Lanes<R> y, Lanes<R> z) {
  return {hn::NegMulAdd(x.v, y.v, z.v)};
}

template <typename R>
HWY_INLINE Lanes<R> sqrt(Lanes<R> x) {
  return {hn::Sqrt(x.v)};
}
template <typename R>
HWY_INLINE Lanes<R> abs(Lanes<R> x) {
  return {hn::Abs(x.v)};
}
template <typename R>
HWY_INLINE Lanes<R> max(Lanes<R> x, Lanes<R> y) {
  return {hn::Max(x.v, y.v)};
}
template <typename R>
HWY_INLINE Lanes<R> min(Lanes<R> x, Lanes<R> y) {
  return {hn::Min(x.v, y.v)};
}

template <typename R>
HWY_INLINE Mask<R> operator<(Lanes<R> x, Lanes<R> y) {
  return {hn::Lt(x.v, y.v)};
}
template <typename R>
HWY_INLINE Mask<R> operator<=(Lanes<R> x, Lanes<R> y) {
  return {hn::Le(x.v, y.v)};
}
template <typename R>
HWY_INLINE Mask<R> operator==(Lanes<R> x, Lanes<R> y) {
  return {hn::Eq(x.v, y.v)};
}

// ---- Masks

template <typename R>
HWY_INLINE Mask<R> operator&(Mask<R> x, Mask<R> y) {
  return {hn::And(x.m, y.m)};
}
template <typename R>
HWY_INLINE Mask<R> operator|(Mask<R> x, Mask<R> y) {
  return {hn::Or(x.m, y.m)};
}
template <typename R>
HWY_INLINE Mask<R> operator!(Mask<R> x) {
  return {hn::Not(x.m)};
}
template <typename R>
HWY_INLINE bool any(Mask<R> x) {
  return !hn::AllFalse(Tag<R>(), x.m);
}

template <typename R>
HWY_INLINE Lanes<R> select(Mask<R> mask, Lanes<R> yes, Lanes<R> no) {
  return {hn::IfThenElse(mask.m, yes.v, no.v)};
}
template <typename R>
HWY_INLINE Lanes<R> masked(Mask<R> mask, Lanes<R> x) {
  return {hn::IfThenElseZero(mask.m, x.v)};
}

// ---- Complex numbers

template <typename R>
HWY_INLINE Lanes<std::complex<R>> operator+(Lanes<std::complex<R>> x, Lanes<std::complex<R>> y) {
  return {x.re + y.re, x.im + y.im};
}
template <typename R>
HWY_INLINE Lanes<std::complex<R>> operator-(Lanes<std::complex<R>> x, Lanes<std::complex<R>> y) {
  return {x.re - y.re, x.im - y.im};
}
template <typename R>
HWY_INLINE Lanes<std::complex<R>> operator-(Lanes<std::complex<R>> x) {
  return {-x.re, -x.im};
}
template <typename R>
HWY_INLINE Lanes<std::complex<R>> operator*(Lanes<std::complex<R>> x, Lanes<std::complex<R>> y) {
  return {neg_mul_add(x.im, y.im, x.re * y.re), mul_add(x.im, y.re, x.re * y.im)};
}
template <typename R>
HWY_INLINE Lanes<std::complex<R>> operator*(Lanes<R> x, Lanes<std::complex<R>> y) {
  return {x * y.re, x * y.im};
}

template <typename R>
HWY_INLINE Lanes<std::complex<R>> mul_add(Lanes<std::complex<R>> x, Lanes<std::complex<R>> y, Lanes<std::complex<R>> z) {
  return {neg_mul_add(x.im, y.im, mul_add(x.re, y.re, z.re)), mul_add(x.im, y.re, mul_add(x.re, y.im, z.im))};
}
template <typename R>
HWY_INLINE Lanes<std::complex<R>> mul_add(Lanes<R> x, Lanes<std::complex<R>> y, Lanes<std::complex<R>> z) {
  return {mul_add(x, y.re, z.re), mul_add(x, y.im, z.im)};
}
template <typename R>
HWY_INLINE Lanes<std::complex<R>> neg_mul_add(Lanes<std::complex<R>> x, Lanes<std::complex<R>> y, Lanes<std::complex<R>> z) {
  return {mul_add(x.im, y.im, neg_mul_add(x.re, y.re, z.re)), neg_mul_add(x.im, y.re, neg_mul_add(x.re, y.im, z.im))};
}
template <typename R>
HWY_INLINE Lanes<std::complex<R>> neg_mul_add(Lanes<R> x, Lanes<std::complex<R>> y, Lanes<std::complex<R>> z) {
  return {neg_mul_add(x, y.re, z.re), neg_mul_add(x, y.im, z.im)};
}

template <typename R>
HWY_INLINE Lanes<std::complex<R>> select(Mask<R> mask, Lanes<std::complex<R>> yes, Lanes<std::complex<R>> no) {
  return {select(mask, yes.re, no.re), select(mask, yes.im, no.im)};
}
template <typename R>
HWY_INLINE Lanes<std::complex<R>> masked(Mask<R> mask, Lanes<std::complex<R>> x) {
  return {masked(mask, x.re), masked(mask, x.im)};
}

// ---- What reads the same for both

template <typename R>
HWY_INLINE Lanes<R> divided(Lanes<R> x, Lanes<R> y) {
  return x / y;
}
template <typename R>
HWY_INLINE Lanes<std::complex<R>> divided(Lanes<std::complex<R>> x, Lanes<R> y) {
  return {x.re / y, x.im / y};
}

template <typename R>
HWY_INLINE Lanes<R> real(Lanes<R> x) {
  return x;
}
template <typename R>
HWY_INLINE Lanes<R> real(Lanes<std::complex<R>> x) {
  return x.re;
}

template <typename R>
HWY_INLINE Lanes<R> conj(Lanes<R> x) {
  return x;
}
template <typename R>
HWY_INLINE Lanes<std::complex<R>> conj(Lanes<std::complex<R>> x) {
  return {x.re, -x.im};
}

// |x|^2.
template <typename R>
HWY_INLINE Lanes<R> abs2(Lanes<R> x) {
  return x * x;
}
template <typename R>
HWY_INLINE Lanes<R> abs2(Lanes<std::complex<R>> x) {
  return mul_add(x.re, x.re, x.im * x.im);
}

// |x| up to a factor of sqrt(2), without squares.
template <typename R>
HWY_INLINE Lanes<R> size(Lanes<R> x) {
  return abs(x);
}
template <typename R>
HWY_INLINE Lanes<R> size(Lanes<std::complex<R>> x) {
  return max(abs(x.re), abs(x.im));
}

template <typename R>
HWY_INLINE Mask<R> is_zero(Lanes<R> x) {
  return {hn::Eq(x.v, hn::Zero(Tag<R>()))};
}
template <typename R>
HWY_INLINE Mask<R> is_zero(Lanes<std::complex<R>> x) {
  return is_zero(x.re) & is_zero(x.im);
}

// 0 where x is finite, else NaN.
template <typename R>
HWY_INLINE Lanes<R> unless_finite(Lanes<R> x) {
  return x - x;
}
template <typename R>
HWY_INLINE Lanes<R> unless_finite(Lanes<std::complex<R>> x) {
  return (x.re - x.re) + (x.im - x.im);
}

// The same number in every lane; a real number as one of type T.
template <typename R>
HWY_INLINE Lanes<R> all_lanes(R x) {
  return {hn::Set(Tag<R>(), x)};
}
template <typename T>
HWY_INLINE Lanes<T> widened(Lanes<Real<T>> x) {
  if constexpr (kComplex<T>) {
    return {x, all_lanes(Real<T>(0))};
  } else {
    return x;
  }
}
template <typename T>
HWY_INLINE Lanes<T> number(Real<T> x) {
  return widened<T>(all_lanes(x));
}

// From and to memory that is aligned for vectors: kStride<T> real numbers.
template <typename T>
HWY_INLINE Lanes<T> load(const Real<T>* from) {
  using D = Tag<Real<T>>;
  if constexpr (kComplex<T>) {
    return {{hn::Load(D(), from)}, {hn::Load(D(), from + kLanes<T>)}};
  } else {
    return {hn::Load(D(), from)};
  }
}
template <typename R>
HWY_INLINE void store(Lanes<R> x, R* to) {
  hn::Store(x.v, Tag<R>(), to);
}
template <typename R>
HWY_INLINE void store(Lanes<std::complex<R>> x, R* to) {
  store(x.re, to);
  store(x.im, to + kLanes<R>);
}

}  // namespace HWY_NAMESPACE
}  // namespace tfqz
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
