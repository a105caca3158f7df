// The QZ iteration (Moler and Stewart 1973, as LAPACK's xHGEQZ organises it) on Hessenberg-triangular S, T: sweeps with one
// shift for complex dtypes and two for real ones, all lanes together, each in its own window; infinite eigenvalues split off.
#if defined(TFQZ_LANES_ITERATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TFQZ_LANES_ITERATION_INL_H_
#undef TFQZ_LANES_ITERATION_INL_H_
#else
#define TFQZ_LANES_ITERATION_INL_H_
#endif

#include <algorithm>

#include "vectors/lanes_reduction-inl.h"
#include "vectors/lanes_shifts-inl.h"
#include "vectors/lanes_windows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tfqz {
namespace HWY_NAMESPACE {

// a d - b c, to an ulp or two of itself (Kahan; with an FMA).
template <typename R>
HWY_INLINE Lanes<R> determinant(Lanes<R> a, Lanes<R> b, Lanes<R> c, Lanes<R> d) {
#if HWY_NATIVE_FMA
  const Lanes<R> product = b * c;
  const Lanes<R> error = neg_mul_add(b, c, product), difference = mul_add(a, d, -product);
  return difference + error;
#else
  // Dekker's exact products of numbers split in halves.
  const Lanes<R> factor = all_lanes(std::is_same_v<R, float> ? R(4097) : R(134217729));
  const auto split = [&](Lanes<R> x, Lanes<R>* high, Lanes<R>* low) HWY_ATTR {
    const Lanes<R> large = factor * x;
    *high = large - (large - x);
    *low = x - *high;
  };
  const auto error_of = [&](Lanes<R> x, Lanes<R> y, Lanes<R> product) HWY_ATTR {
    Lanes<R> x1, x2, y1, y2;
    split(x, &x1, &x2);
    split(y, &y1, &y2);
    return ((x1 * y1 - product) + x1 * y2 + x2 * y1) + x2 * y2;
  };
  const Lanes<R> first = a * d, second = b * c;
  return (first - second) + (error_of(a, d, first) - error_of(b, c, second));
#endif
}

// The direction of the first column of a reflector for columns k, k + 1, .. that makes the entries of T below t_kk vanish. It is
// orthogonal to the rows there.
template <typename Matrix, typename R>
HWY_INLINE void orthogonal_to_rows(Matrix T_, int k, Lanes<R>, Lanes<std::complex<R>> (&x)[2]) {
  x[0] = T_(k + 1, k + 1);
  x[1] = -T_(k + 1, k);
}
template <typename Matrix, typename R>
HWY_INLINE void orthogonal_to_rows(Matrix T_, int k, Lanes<R> last, Lanes<R> (&x)[3]) {
  const Lanes<R> zero = all_lanes(R(0)), one = all_lanes(R(1));
  const Mask<R> inside = all_lanes(R(k + 1)) < last;  // else the bulge has two rows only
  const Lanes<R> a[3] = {T_(k + 1, k), T_(k + 1, k + 1), T_(k + 1, k + 2)};
  const Lanes<R> b[3] = {masked(inside, T_(k + 2, k)), masked(inside, T_(k + 2, k + 1)), select(inside, T_(k + 2, k + 2), one)};
  // The cross product. It is backward stable only because each entry has a small relative error.
  x[0] = determinant(a[1], a[2], b[1], b[2]);
  x[1] = determinant(a[2], a[0], b[2], b[0]);
  x[2] = determinant(a[0], a[1], b[0], b[1]);
  const Mask<R> parallel = is_zero(x[0]) & is_zero(x[1]) & is_zero(x[2]);
  if (HWY_UNLIKELY(any(parallel))) {
    // Anything orthogonal to the larger row.
    const Mask<R> second = max(abs(a[0]), max(abs(a[1]), abs(a[2]))) < max(abs(b[0]), max(abs(b[1]), abs(b[2])));
    const Lanes<R> r0 = select(second, b[0], a[0]), r1 = select(second, b[1], a[1]);
    const Mask<R> other = is_zero(r0) & is_zero(r1);
    x[0] = select(parallel, select(other, one, r1), x[0]);
    x[1] = select(parallel, select(other, zero, -r0), x[1]);
  }
}

// A bulge enters at the top of each window and is chased out at its end.
template <typename T>
void sweep(const Group<T>& group, const Windows<T>& windows) {
  using R = Real<T>;
  constexpr int kSize = kBulge<T>;
  const int n = group.n;
  Lanes<T> entering[kSize];
  first_column(group, windows, entering);
  const Mask<R> sweeping = windows.sweeping;
  const Lanes<R> first = select(sweeping, windows.first, all_lanes(R(n))), last = select(sweeping, windows.last, all_lanes(R(-1)));
  const int end = largest(sweeping, windows.last);
  int k = smallest(sweeping, windows.first);
  const int first_row = group.begin(k), end_column = group.end(end);
  const auto inside = [&]() HWY_ATTR { return (first <= all_lanes(R(k))) & (all_lanes(R(k)) < last); };
  Lanes<T> x[kSize];
  // From where the bulge enters, or from column k - 1 of S, which it makes that of a Hessenberg matrix again.
  const auto of_rows = [&]() HWY_ATTR {
    const Mask<R> entry = first == all_lanes(R(k));
    for (int i = 0; i < kSize; ++i) x[i] = k == 0 ? entering[i] : select(entry, entering[i], group.S(k + i, k - 1));
    Lanes<T> above;
    const Reflector<T, kSize> result = reflector(x, inside(), &above);
    if (k > 0) {
      const Mask<R> chased = (!entry) & (!is_zero(result.tau));
      group.S.set(k, k - 1, select(chased, above, group.S(k, k - 1)));
      for (int i = 1; i < kSize; ++i) group.S.clear(k + i, k - 1);
    }
    return result;
  };
  Reflector<T, kSize> left = of_rows();
  // Each reflector is found as early as can be: it takes long, and what doesn't depend on it goes on meanwhile.
  for (;;) {
    const int row = k;
    reflect_rows(left, group.T_, row, row, end_column);
    orthogonal_to_rows(group.T_, row, last, x);
    const Reflector<T, kSize> right = conj(reflector(x, inside()));
    reflect_rows(left, group.S, row, row, end_column);
    group.turn_q(left, row);
    reflect_columns(right, group.S, row, first_row, std::min(row + kSize + 1, n));
    if (++k < end) left = of_rows();
    reflect_columns(right, group.T_, row, first_row, std::min(row + kSize, n));
    for (int i = 1; i < kSize; ++i) group.T_.clear(row + i, row);
    group.turn_z(right, row);
    if (k == end) return;
  }
}

// t_kk = 0 at the top of a window: rows k and k + 1 turn so that s_{k+1,k} = 0, and T stays triangular.
template <typename P>
void deflate_top(const P& group, const Windows<typename P::Number>& windows) {
  using T = typename P::Number;
  using R = Real<T>;
  const int end = largest(windows.deflating, windows.first);
  for (int k = smallest(windows.deflating, windows.first); k <= end; ++k) {
    const Mask<R> here = windows.deflating & (windows.first == all_lanes(R(k)));
    if (!any(here)) continue;
    Lanes<T> x[2] = {group.S(k, k), group.S(k + 1, k)};
    group.turn_rows(reflector(x, here), k, k, k);
    group.S.set(k + 1, k, masked(!here, group.S(k + 1, k)));
  }
}

// t_kk = 0 elsewhere: rows k and k + 1 turn so that the next diagonal entry of T is 0, then columns k - 1 and k so that S is
// Hessenberg again, until k = last; there columns k - 1 and k turn so that s_{k,k-1} = 0.
template <typename P>
void chase_infinite(const P& group, const Windows<typename P::Number>& windows) {
  using T = typename P::Number;
  using R = Real<T>;
  const int n = group.n, end = largest(windows.chasing, windows.last);
  for (int k = smallest(windows.chasing, windows.zero); k <= end; ++k) {
    const Lanes<R> here = all_lanes(R(k));
    const Mask<R> moving = windows.chasing & (windows.zero <= here) & (here < windows.last);
    const Mask<R> arrived = windows.chasing & (windows.last == here);
    if (any(moving)) {
      Lanes<T> x[2] = {group.T_(k, k + 1), group.T_(k + 1, k + 1)};
      group.turn_rows(reflector(x, moving), k, k - 1, k + 1);
      group.T_.set(k + 1, k + 1, masked(!moving, group.T_(k + 1, k + 1)));
    }
    // Not at k = first, where t_kk = 0 is another work: k > 0.
    const Lanes<T> p = select(arrived, group.S(k, k - 1), group.S(k + 1, k - 1));
    const Lanes<T> q = select(arrived, group.S(k, k), group.S(k + 1, k));
    group.turn_columns(clearing_first(p, q, moving | arrived), k - 1, std::min(k + 2, n), k + 1);
    group.S.set(k + 1, k - 1, masked(!moving, group.S(k + 1, k - 1)));
    group.S.set(k, k - 1, masked(!arrived, group.S(k, k - 1)));
  }
}

// The rows and columns first..last of each pencil, beside which it is triangular already: what stands there no rounding touches, and
// only what is between them goes into norms (LAPACK's ILO and IHI).
template <typename R>
struct Active {
  Lanes<R> first, last;

  HWY_INLINE Mask<R> has(int row) const {
    const Lanes<R> here = all_lanes(static_cast<R>(row));
    return (first <= here) & (here <= last);
  }
};

template <typename T>
Active<Real<T>> find_active(const Group<T>& group) {
  using R = Real<T>;
  const int n = group.n;
  Active<R> active = {all_lanes(R(0)), all_lanes(static_cast<R>(n - 1))};
  const auto empty = [&](int i, int j) HWY_ATTR { return is_zero(group.S(i, j)) & is_zero(group.T_(i, j)); };
  Mask<R> open = is_zero(active.first);
  for (int j = 0; j < n && any(open); ++j) {
    for (int i = n - 1; i > j && any(open); --i) open = open & empty(i, j);
    active.first = select(open, all_lanes(static_cast<R>(j + 1)), active.first);
  }
  open = is_zero(all_lanes(R(0)));
  for (int i = n - 1; i >= 0 && any(open); --i) {
    for (int j = 0; j < i && any(open); ++j) open = open & empty(i, j);
    active.last = select(open, all_lanes(static_cast<R>(i - 1)), active.last);
  }
  return active;
}

// eps times the norm of T: diagonal entries up to it count as 0.
template <typename P>
Lanes<Real<typename P::Number>> zero_beta(const P& group, const Active<Real<typename P::Number>>& active) {
  using R = Real<typename P::Number>;
  Lanes<R> squares = all_lanes(R(0));
  for (int i = 0; i < group.n; ++i) {
    Lanes<R> row = all_lanes(R(0));
    for (int j = i; j < group.n; ++j) {
      row = row + masked(active.has(j), abs2(group.T_(i, j)));
    }
    squares = squares + masked(active.has(i), row);
  }
  return all_lanes(std::numeric_limits<R>::epsilon()) * sqrt(squares);
}

// The t_jj outside of 2 x 2 blocks that rounding alone may keep from 0: infinite eigenvalues that split off without a look at t_jj.
template <typename P>
void drop_negligible_betas(const P& group, const Active<Real<typename P::Number>>& active, Lanes<Real<typename P::Number>> zero_beta) {
  using T = typename P::Number;
  using R = Real<T>;
  const Mask<R> nowhere = zero_beta < zero_beta;
  Mask<R> second = nowhere;
  for (int j = 0; j < group.n; ++j) {
    const Lanes<T> t = group.T_(j, j);
    Mask<R> start = nowhere;
    if constexpr (!kComplex<T>) start = j + 1 < group.n ? !is_zero(group.S(j + 1, j)) : nowhere;
    const Mask<R> negligible = active.has(j) & (abs2(t) <= zero_beta * zero_beta) & !(start | second);
    group.T_.set(j, j, masked(!negligible, t));
    second = start;
  }
}

// One sweep, or what infinite eigenvalues want first. False where there is nothing left to do: all is triangular but for real 2 x 2 blocks
// with complex eigenvalues, or a lane has had too many sweeps, `failed`.
template <typename P>
bool step(const P& group, Lanes<Real<typename P::Number>> zero_beta, Windows<typename P::Number>* windows) {
  using R = Real<typename P::Number>;
  find_windows(group, zero_beta, windows);
  if (any(windows->deflating)) {
    deflate_top(group, *windows);
  } else if (any(windows->chasing)) {
    chase_infinite(group, *windows);
  } else if (any(windows->sweeping)) {
    sweep(group, *windows);
    const Lanes<R> zero = all_lanes(R(0)), another = masked(windows->sweeping, all_lanes(R(1)));
    windows->sweeps = windows->sweeps + another;
    windows->stuck = windows->stuck + another;
    windows->stuck = select(windows->stuck == all_lanes(R(kPatience)), zero, windows->stuck);
    windows->failed = windows->failed | (all_lanes(static_cast<R>(kSweeps * group.n)) < windows->sweeps);
  } else {
    return false;
  }
  return true;
}

}  // namespace HWY_NAMESPACE
}  // namespace tfqz
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
