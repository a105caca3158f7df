// The shifts of a sweep of the QZ iteration, as the first column of the bulge that they make, in each lane for a window of its own.
#if defined(TFQZ_LANES_SHIFTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TFQZ_LANES_SHIFTS_INL_H_
#undef TFQZ_LANES_SHIFTS_INL_H_
#else
#define TFQZ_LANES_SHIFTS_INL_H_
#endif

#include <algorithm>

#include "vectors/lanes_reduction-inl.h"
#include "vectors/lanes_windows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tfqz {
namespace HWY_NAMESPACE {

// As many rows as a bulge takes.
template <typename T>
inline constexpr int kBulge = kComplex<T> ? 2 : 3;

// Entries of matrices at a place of its own in each lane; 1 in lanes that have no sweep before them.
template <typename Matrix>
class Gathered;
template <typename T>
class Gathered<LanesMatrix<T>> {
  using R = Real<T>;
  using IndexTag = hn::RebindToSigned<Tag<R>>;

 public:
  HWY_INLINE Gathered(Lanes<R> place, Mask<R> sweeping, int leading) : sweeping_(sweeping) {
    const Lanes<R> step = all_lanes(static_cast<R>((leading + 1) * kStride<T>));
    offsets_ = hn::ConvertTo(IndexTag(), mul_add(place, step, Lanes<R>{hn::Iota(Tag<R>(), 0)}).v);
  }

  // The entry (i, j) of a matrix, counted from the place.
  HWY_INLINE Lanes<T> operator()(LanesMatrix<T> X, int i, int j) const {
    const R* from = X.at(i, j);
    if constexpr (kComplex<T>) {
      return select(sweeping_, Lanes<T>{gather(from), gather(from + kLanes<T>)}, number<T>(1));
    } else {
      return select(sweeping_, gather(from), number<T>(1));
    }
  }

 private:
  HWY_INLINE Lanes<R> gather(const R* from) const { return {hn::GatherIndex(Tag<R>(), from, offsets_)}; }

  hn::Vec<IndexTag> offsets_;
  Mask<R> sweeping_;
};

// 1 / x.
template <typename R>
HWY_INLINE Lanes<R> inverse(Lanes<R> x) {
  return all_lanes(R(1)) / x;
}
template <typename R>
HWY_INLINE Lanes<std::complex<R>> inverse(Lanes<std::complex<R>> x) {
  return inverse(abs2(x)) * conj(x);
}

// A square root with real part >= 0, of what has a square in the range.
template <typename R>
HWY_INLINE Lanes<std::complex<R>> square_root(Lanes<std::complex<R>> x) {
  const Lanes<R> zero = all_lanes(R(0)), half = all_lanes(R(0.5));
  const Lanes<R> larger = sqrt(half * (sqrt(abs2(x)) + abs(x.re)));
  const Lanes<R> smaller = masked(zero < larger, half * x.im / select(zero < larger, larger, all_lanes(R(1))));
  const Mask<R> left = x.re < zero;
  const Lanes<R> im = select(smaller < zero, -larger, larger);
  return {select(left, abs(smaller), larger), select(left, im, smaller)};
}

// The trailing or leading 2 x 2 part of M = S T^{-1} of each window.
template <typename T>
struct Corner {
  Lanes<T> m11, m12, m21, m22, over_next;  // 1 / t_22

  template <typename P, typename G>
  HWY_INLINE Corner(const P& group, const G& gathered) {
    const Lanes<T> over_first = inverse(gathered(group.T_, 0, 0)), t12 = gathered(group.T_, 0, 1);
    over_next = inverse(gathered(group.T_, 1, 1));
    m11 = gathered(group.S, 0, 0) * over_first;
    m21 = gathered(group.S, 1, 0) * over_first;
    m12 = neg_mul_add(m11, t12, gathered(group.S, 0, 1)) * over_next;
    m22 = neg_mul_add(m21, t12, gathered(group.S, 1, 1)) * over_next;
  }
};

// What is largest, over which an entering column is divided: squares of it may leave the range of single precision.
template <typename T>
HWY_INLINE void normalize(Lanes<T> (&column)[kBulge<T>]) {
  using R = Real<T>;
  Lanes<R> largest = size(column[0]);
  for (int i = 1; i < kBulge<T>; ++i) largest = max(largest, size(column[i]));
  const Lanes<R> scale = select(all_lanes(R(0)) < largest, largest, all_lanes(R(1)));
  for (int i = 0; i < kBulge<T>; ++i) column[i] = divided(column[i], scale);
}

// Numbers up to the inverse of this, and down to it, have squares that are far from the ends of the range.
template <typename R>
inline constexpr R kSquarable = std::is_same_v<R, float> ? R(0x1p-54) : R(0x1p-500);

// The first column of (M - x) or, for real dtypes, of (M - x_1) (M - x_2): x, or x_1 and x_2, are the eigenvalues of M's trailing
// 2 x 2 part. The complex x is the one nearer to the last entry. Where that is the whole window and the x are real, just one.
template <typename T, typename Matrix, typename Rows>
HWY_INLINE void first_column(const Pencil<T, Matrix, Rows>& group, const Windows<T>& windows, Lanes<T> (&column)[kBulge<T>]) {
  using R = Real<T>;
  const Lanes<R> zero = all_lanes(R(0)), one = all_lanes(R(1)), half = all_lanes(R(0.5));
  const Mask<R> unusual = windows.stuck == all_lanes(R(kPatience - 1));
  const Gathered<Matrix> at_first(windows.first, windows.sweeping, group.S.leading);
  const Gathered<Matrix> before_last(max(windows.last - one, zero), windows.sweeping, group.S.leading);
  const Corner<T> end(group, before_last);
  const Lanes<T> unusual_shift = end.m22 + widened<T>(all_lanes(R(0.75)) * sqrt(abs2(end.m21)));
  // x = m22 - m12 m21 / (h + sqrt(h^2 + m12 m21)), h = (m11 - m22) / 2, with the root that adds to h.
  const Lanes<T> h = half * (end.m11 - end.m22), product = end.m12 * end.m21;
  const Lanes<T> discriminant = mul_add(h, h, product);
  const Lanes<R> range = size(discriminant), smallest = all_lanes(kSquarable<R>), largest = all_lanes(1 / kSquarable<R>);
  // Where the square of the discriminant is near the ends of the range all is divided by the length g of (h, sqrt(m12 m21)) first.
  const Mask<R> extreme = windows.sweeping & !((smallest < range) & (range < largest));
  const bool any_extreme = any(extreme);
  Lanes<R> g = one;
  Lanes<T> relative_h = h, relative_product = product, relative_discriminant = discriminant;
  if (HWY_UNLIKELY(any_extreme)) {
    g = max(size(h), sqrt(size(end.m12)) * sqrt(size(end.m21)));
    g = select(extreme & (zero < g), g, one);
    relative_h = divided(h, g);
    relative_product = divided(end.m12, g) * divided(end.m21, g);
    relative_discriminant = mul_add(relative_h, relative_h, relative_product);
  }
  if constexpr (kComplex<T>) {
    Lanes<T> root = square_root(relative_discriminant);
    root = select(mul_add(relative_h.re, root.re, relative_h.im * root.im) < zero, -root, root);
    const Lanes<T> sum = relative_h + root;
    const Mask<R> some = smallest < abs2(sum);
    Lanes<T> shift = end.m22 - masked(some, g * (relative_product * inverse(select(some, sum, number<T>(1)))));
    shift = select(unusual, unusual_shift, shift);
    column[0] = neg_mul_add(shift, at_first(group.T_, 0, 0), at_first(group.S, 0, 0));
    column[1] = at_first(group.S, 1, 0);
  } else {
    Lanes<T> root = sqrt(max(relative_discriminant, zero));
    root = select(h < zero, -root, root);
    const Lanes<T> sum = relative_h + root;
    const Mask<R> some = smallest < abs(sum);
    Lanes<T> shift = end.m22 - masked(some, g * (relative_product / select(some, sum, one)));
    shift = select(unusual, unusual_shift, shift);
    const Corner<T> top(group, at_first);
    const Mask<R> two_rows = windows.last - windows.first == one;
    const Mask<R> pair = (relative_discriminant < zero) & !unusual;
    const Mask<R> one_shift = two_rows & !pair;
    // Of two real shifts the nearer one twice. With n11 + n22 = x_1 + x_2 and n11 n22 - n = x_1 x_2:
    const Lanes<R> n11 = select(pair, end.m11, shift), n22 = select(pair, end.m22, shift);
    const Lanes<R> m32 = at_first(group.S, 2, 1) * top.over_next, apart = top.m22 - top.m11;
    Lanes<R> m12 = top.m12, m21 = top.m21, first = n11 - top.m11, second = n22 - top.m11, third = apart - first - second;
    Lanes<R> last = m32, n = masked(pair, product);
    if (HWY_UNLIKELY(any_extreme)) {
      // These are sums of products: both factors over what makes the largest product 1.
      const Lanes<R> scale =
          max(max(max(abs(first), abs(second)), masked(pair, g)), sqrt(abs(m21)) * sqrt(max(max(abs(m12), abs(third)), abs(m32))));
      const Lanes<R> divisor = select(extreme & (zero < scale), scale, one), relative_g = g / divisor;
      n = masked(pair, (relative_g * relative_g) * relative_product);
      m12 = m12 / divisor;
      m21 = m21 / divisor;
      first = first / divisor;
      second = second / divisor;
      third = third / divisor;
      last = m32 / divisor;
    }
    column[0] = select(one_shift, top.m11 - shift, mul_add(first, second, m12 * m21 - n));
    column[1] = select(one_shift, top.m21, m21 * third);
    column[2] = masked(!two_rows, m21 * last);
  }
  normalize<T>(column);
}

}  // namespace HWY_NAMESPACE
}  // namespace tfqz
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
