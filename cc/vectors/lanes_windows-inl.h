// Where the QZ iteration stands in each lane: what has split off, what comes next.
#if defined(TFQZ_LANES_WINDOWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TFQZ_LANES_WINDOWS_INL_H_
#undef TFQZ_LANES_WINDOWS_INL_H_
#else
#define TFQZ_LANES_WINDOWS_INL_H_
#endif

#include "vectors/reflector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tfqz {
namespace HWY_NAMESPACE {

// LAPACK allows 30 sweeps for each eigenvalue; every tenth without success takes an unusual shift. (No pencil is known that needs
// so many; a test allows fewer.)
#ifndef TFQZ_SWEEPS
#define TFQZ_SWEEPS 30
#endif
inline constexpr int kSweeps = TFQZ_SWEEPS, kPatience = 10;

// The last window of each lane: rows first..last of S without a zero on the subdiagonal, and not yet a finished block. Where there is none
// a lane has no work.
template <typename T>
struct Windows {
  using R = Real<T>;

  Lanes<R> first, last;
  Lanes<R> zero;  // where t_jj = 0, for chasing
  Mask<R> sweeping, deflating, chasing;
  Lanes<R> sweeps, stuck;  // sweeps in all, and without success since the last unusual shift
  Mask<R> failed;

  explicit Windows(int n) {
    const Lanes<R> nothing = all_lanes(R(0));
    first = zero = sweeps = stuck = nothing;
    last = all_lanes(static_cast<R>(n - 1));
    sweeping = deflating = chasing = failed = nothing < nothing;
  }
};

// The smallest or largest of the places in the lanes of the mask; there is one.
template <typename R>
HWY_INLINE int smallest(Mask<R> mask, Lanes<R> places) {
  return static_cast<int>(hn::ReduceMin(Tag<R>(), select(mask, places, all_lanes(std::numeric_limits<R>::max())).v));
}
template <typename R>
HWY_INLINE int largest(Mask<R> mask, Lanes<R> places) {
  return static_cast<int>(hn::ReduceMax(Tag<R>(), masked(mask, places).v));
}

// Whether the 2 x 2 pencil at (k, k + 1), T's part upper triangular, has complex eigenvalues: the discriminant of det(S - x T), times
// (t_11 t_22)^2.
template <typename P>
HWY_INLINE Mask<typename P::Number> is_complex_pair(const P& group, int k) {
  using R = typename P::Number;
  const auto S = group.S, T_ = group.T_;
  const Lanes<R> p = S(k, k), q = S(k, k + 1), r = S(k + 1, k), u = S(k + 1, k + 1);
  const Lanes<R> a = T_(k, k), m = T_(k, k + 1), d = T_(k + 1, k + 1), zero = all_lanes(R(0)), one = all_lanes(R(1));
  // Without infinite ones, which rounding must not hide.
  const Mask<R> finite = !(is_zero(a) | is_zero(d));
  const Lanes<R> of_s = max(max(abs(p), abs(q)), max(abs(r), abs(u))), of_t = max(max(abs(a), abs(m)), abs(d));
  const Lanes<R> over_s = one / select(zero < of_s, of_s, one), over_t = one / select(finite, of_t, one);
  const Lanes<R> rs = over_s * r, at = over_t * a, mt = over_t * m, dt = over_t * d, ps = over_s * p;
  const Lanes<R> half = all_lanes(R(0.5)) * mul_add(rs, mt, neg_mul_add(over_s * u, at, ps * dt));
  return finite & (mul_add(half, half, (rs * dt) * neg_mul_add(ps, mt, (over_s * q) * at)) < zero);
}

// Drops what is negligible: s_{j+1,j} beside its neighbours on the diagonal, t_jj beside the norm of T in a window (LAPACK's rules). Below
// eps^4 an entry is nothing beside matrices of norm 1: products that underflow must not keep an iteration going. Then finds the last
// unfinished window of each lane, no lower than the one before, and what is to be done there. A lane in which something is not finite has
// failed.
template <typename P>
void find_windows(const P& group, Lanes<Real<typename P::Number>> zero_beta, Windows<typename P::Number>* windows) {
  using T = typename P::Number;
  using R = Real<T>;
  constexpr R kEpsilon = std::numeric_limits<R>::epsilon();
  const Lanes<R> epsilon = all_lanes(kEpsilon), nothing = all_lanes(kEpsilon * kEpsilon * kEpsilon * kEpsilon);
  const Lanes<R> zero_beta2 = zero_beta * zero_beta, before = windows->last, none = all_lanes(R(-1));
  const int end = largest(is_zero(all_lanes(R(0))), before) + 1;
  // Of the rows that hang together down to the present one: the first, whether t is 0 there, and the last one below where it is.
  Lanes<R> start = all_lanes(R(0)), zero = none, above = start;
  Mask<R> infinite_start = start < start, infinite_first = infinite_start, open = infinite_start;
  Lanes<R> first = start, last = start, last_zero = none, not_finite = start;
  const auto close = [&](int j, Mask<R> ends) HWY_ATTR {
    const Lanes<R> here = all_lanes(static_cast<R>(j));
    Mask<R> found = ends & (start < here) & (here <= before);
    if constexpr (!kComplex<T>) {
      const Mask<R> two = found & (start == all_lanes(static_cast<R>(j - 1))) & !(infinite_start | (none < zero));
      if (j > 0 && any(two)) found = found & !(two & is_complex_pair(group, j - 1));
    }
    first = select(found, start, first);
    last = select(found, here, last);
    last_zero = select(found, zero, last_zero);
    infinite_first = (found & infinite_start) | (infinite_first & !found);
    open = open | found;
  };
  for (int j = 0; j < end; ++j) {
    const Lanes<R> here = all_lanes(static_cast<R>(j));
    const Lanes<T> s_jj = group.S(j, j), t = group.T_(j, j);
    const Lanes<R> s = size(s_jj);
    const Mask<R> finite = zero_beta2 < abs2(t);
    not_finite = not_finite + unless_finite(s_jj + t);
    Mask<R> linked = start < start;
    if (j > 0) {
      const Lanes<T> low = group.S(j, j - 1);
      not_finite = not_finite + unless_finite(low);
      linked = max(epsilon * (above + s), nothing) < size(low);
      group.S.set(j, j - 1, masked(linked, low));
      close(j - 1, !linked);
    }
    start = select(linked, start, here);
    infinite_start = (linked & infinite_start) | !(linked | finite);
    zero = select(linked, select(finite, zero, here), none);
    above = s;
  }
  close(end - 1, start == start);
  windows->stuck = masked(last == before, windows->stuck);
  windows->first = first;
  windows->last = last;
  windows->zero = last_zero;
  windows->failed = windows->failed | !(not_finite == start - start);
  open = open & !windows->failed;
  windows->deflating = open & infinite_first;
  windows->chasing = open & (!infinite_first) & (none < last_zero);
  windows->sweeping = open & !(windows->deflating | windows->chasing);
  // Only where it is in the way: what has split off already keeps its t_jj, however small beside the others.
  const Lanes<R> place = select(windows->deflating, first, select(windows->chasing, last_zero, none));
  for (int j = smallest(is_zero(all_lanes(R(0))), select(none < place, place, all_lanes(static_cast<R>(end)))); j < end; ++j) {
    const Mask<R> here = place == all_lanes(static_cast<R>(j));
    if (any(here)) group.T_.set(j, j, masked(!here, group.T_(j, j)));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tfqz
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
