// Where the QZ iteration stands in each lane: what has split off, what comes next.
#if defined(TFQZ_LOCKSTEP_WINDOWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TFQZ_LOCKSTEP_WINDOWS_INL_H_
#undef TFQZ_LOCKSTEP_WINDOWS_INL_H_
#else
#define TFQZ_LOCKSTEP_WINDOWS_INL_H_
#endif

#include <algorithm>
#include <cmath>

#include "reflector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tfqz {
namespace HWY_NAMESPACE {

// LAPACK allows 30 sweeps for each eigenvalue; every tenth without success takes an unusual shift. (No pencil is known that needs
// so many; a test allows fewer.)
#ifndef TFQZ_SWEEPS
#define TFQZ_SWEEPS 30
#endif
inline constexpr int kSweeps = TFQZ_SWEEPS, kPatience = 10;

enum class Work { kNone, kSweep, kDeflateTop, kChase };

// The last window of each lane: rows first..last of S without a zero on the subdiagonal, and not yet a finished block.
template <typename T>
struct Windows {
  static constexpr int kCount = kLanes<T>;

  Work work[kCount];
  int first[kCount], last[kCount];
  int zero[kCount];  // where t_jj = 0, for kChase
  int sweeps[kCount], stuck[kCount];
  bool failed[kCount];

  bool any(Work kind) const { return std::find(work, work + kCount, kind) != work + kCount; }
};

// A place in each lane that has such work, for comparisons; beyond all places in the others.
template <typename T>
HWY_INLINE Lanes<Real<T>> places(const Windows<T>& windows, Work kind, const int (&place)[kLanes<T>], int otherwise) {
  alignas(kAlignment) Real<T> numbers[kLanes<T>];
  for (int lane = 0; lane < kLanes<T>; ++lane) {
    numbers[lane] = static_cast<Real<T>>(windows.work[lane] == kind ? place[lane] : otherwise);
  }
  return load<Real<T>>(numbers);
}

// The smallest or largest of the places in lanes that have such work; there is one.
template <typename T>
int smallest(const Windows<T>& windows, Work kind, const int (&place)[kLanes<T>]) {
  int result = std::numeric_limits<int>::max();
  for (int lane = 0; lane < kLanes<T>; ++lane) {
    if (windows.work[lane] == kind) result = std::min(result, place[lane]);
  }
  return result;
}
template <typename T>
int largest(const Windows<T>& windows, Work kind, const int (&place)[kLanes<T>]) {
  int result = 0;
  for (int lane = 0; lane < kLanes<T>; ++lane) {
    if (windows.work[lane] == kind) result = std::max(result, place[lane]);
  }
  return result;
}

// Drops what is negligible: s_{j+1,j} beside its neighbours on the diagonal, t_jj beside the norm of T (LAPACK's rules).
// Below eps^4 an entry is nothing beside matrices of norm 1: products that underflow must not keep an iteration going.
template <typename T>
void drop_negligible(const Group<T>& group, Lanes<Real<T>> zero_beta, int end) {
  using R = Real<T>;
  constexpr R kEpsilon = std::numeric_limits<R>::epsilon();
  const Lanes<R> epsilon = all_lanes(kEpsilon), nothing = all_lanes(kEpsilon * kEpsilon * kEpsilon * kEpsilon);
  const Lanes<R> zero_beta2 = zero_beta * zero_beta;
  Lanes<R> above = all_lanes(R(0));
  for (int j = 0; j < end; ++j) {
    const Lanes<R> s = size(group.S(j, j));
    if (j > 0) {
      const Lanes<T> low = group.S(j, j - 1);
      const Mask<R> kept = max(epsilon * (above + s), nothing) < size(low);
      group.S.set(j, j - 1, masked(kept, low));
    }
    const Lanes<T> t = group.T_(j, j);
    group.T_.set(j, j, masked(zero_beta2 < abs2(t), t));
    above = s;
  }
}

// Whether the real 2 x 2 pencil at (k, k + 1), T's part upper triangular, has complex eigenvalues: the discriminant of
// det(S - x T), times (t_11 t_22)^2.
template <typename R>
bool is_complex_pair(const Group<R>& group, int lane, int k) {
  const auto s = [&](int i, int j) { return group.S.at(k + i, k + j)[lane]; };
  const auto t = [&](int i, int j) { return group.T_.at(k + i, k + j)[lane]; };
  const R of_s = std::max({std::abs(s(0, 0)), std::abs(s(0, 1)), std::abs(s(1, 0)), std::abs(s(1, 1))});
  const R of_t = std::max({std::abs(t(0, 0)), std::abs(t(0, 1)), std::abs(t(1, 1))});
  if (t(0, 0) == 0 || t(1, 1) == 0) return false;  // infinite, which rounding must not hide
  const R p = s(0, 0) / of_s, q = s(0, 1) / of_s, r = s(1, 0) / of_s, u = s(1, 1) / of_s;
  const R a = t(0, 0) / of_t, m = t(0, 1) / of_t, d = t(1, 1) / of_t;
  const R half = (p * d - u * a + r * m) / 2;
  return half * half + (r * d) * (q * a - p * m) < 0;
}

// Finds the last unfinished window of a lane, from where it was before, and what is to be done there.
template <typename T>
void find_window(const Group<T>& group, int lane, Windows<T>* windows) {
  const auto linked = [&](int j) {  // row j to row j + 1
    const Real<T>* s = group.S.at(j + 1, j) + lane;
    return s[0] != 0 || (kComplex<T> && s[kLanes<T>] != 0);
  };
  const auto infinite = [&](int j) {
    const Real<T>* t = group.T_.at(j, j) + lane;
    return t[0] == 0 && (!kComplex<T> || t[kLanes<T>] == 0);
  };
  int last = windows->last[lane];
  while (last > 0) {
    if (!linked(last - 1)) {
      --last;
      continue;
    }
    if constexpr (!kComplex<T>) {
      if ((last == 1 || !linked(last - 2)) && is_complex_pair(group, lane, last - 1)) {
        last -= 2;
        continue;
      }
    }
    break;
  }
  windows->stuck[lane] = last == windows->last[lane] ? windows->stuck[lane] : 0;
  windows->last[lane] = last;
  windows->work[lane] = Work::kNone;
  if (last <= 0 || windows->failed[lane]) return;
  int first = last - 1;
  while (first > 0 && linked(first - 1)) --first;
  windows->first[lane] = first;
  windows->work[lane] = Work::kSweep;
  if (infinite(first)) {
    windows->work[lane] = Work::kDeflateTop;
    return;
  }
  for (int j = last; j > first; --j) {
    if (infinite(j)) {
      windows->work[lane] = Work::kChase;
      windows->zero[lane] = j;
      return;
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tfqz
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
