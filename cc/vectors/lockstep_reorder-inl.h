// The exchange of eigenvalues in lockstep. Every lane goes through the same pairs of neighbours, from the last to the first as often as
// some lane is not in order, and exchanges those that are in the wrong order: as algorithms/exchange.cc does, by reflectors for rotations.
#if defined(TFQZ_LOCKSTEP_REORDER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TFQZ_LOCKSTEP_REORDER_INL_H_
#undef TFQZ_LOCKSTEP_REORDER_INL_H_
#else
#define TFQZ_LOCKSTEP_REORDER_INL_H_
#endif

#include <limits>
#include <memory>

#include "vectors/lanes_factors-inl.h"
#include "vectors/lockstep_reorder.h"

HWY_BEFORE_NAMESPACE();
namespace tfqz {
namespace HWY_NAMESPACE {

// What an exchange may leave below the diagonal, of a form of norm 1.
template <typename R>
inline constexpr R kRounding = 20 * std::numeric_limits<R>::epsilon();

// The squared Frobenius norm of the rows and columns k and k + 1.
template <typename T>
HWY_INLINE Lanes<Real<T>> squares(LanesMatrix<T> X, int k) {
  return abs2(X(k, k)) + (abs2(X(k, k + 1)) + abs2(X(k + 1, k + 1)));
}

// In the lanes of the mask. True where that would spoil the form.
template <typename T>
HWY_INLINE Mask<Real<T>> exchange(const Group<T>& group, int k, Mask<Real<T>> mask) {
  using R = Real<T>;
  const LanesMatrix<T> S = group.S, T_ = group.T_;
  const Lanes<R> rounding = all_lanes(kRounding<R> * kRounding<R>), of_s = rounding * squares(S, k), of_t = rounding * squares(T_, k);
  const Lanes<T> s = S(k + 1, k + 1), t = T_(k + 1, k + 1), of_1 = s * T_(k, k), of_2 = t * S(k, k);
  // The null vector of t S - s T.
  Lanes<T> x[2] = {s * T_(k, k + 1) - t * S(k, k + 1), of_2 - of_1};
  x[1] = select(is_zero(x[0]) & is_zero(x[1]), number<T>(1), x[1]);
  group.turn_columns(reflector(x, mask), k, k + 2, k + 2);
  const Lanes<T> of_s_1 = S(k, k), of_s_2 = S(k + 1, k), of_t_1 = T_(k, k), of_t_2 = T_(k + 1, k);
  const Mask<R> no_s = is_zero(of_s_1) & is_zero(of_s_2), no_t = is_zero(of_t_1) & is_zero(of_t_2);
  const Mask<R> by_s = (!no_s) & (no_t | (abs2(of_2) <= abs2(of_1)));
  Lanes<T> y[2] = {select(by_s, of_s_1, of_t_1), select(by_s, of_s_2, of_t_2)};
  y[1] = select(no_s & no_t, number<T>(1), y[1]);
  group.turn_rows(reflector(y, mask), k, k, k);
  const Mask<R> good = (abs2(S(k + 1, k)) <= of_s) & (abs2(T_(k + 1, k)) <= of_t);
  for (const LanesMatrix<T>& X : {S, T_}) X.set(k + 1, k, masked(!mask, X(k + 1, k)));
  return mask & !good;
}

template <typename T>
class Reordering : public LockstepReorder<T> {
  using R = Real<T>;

 public:
  explicit Reordering(int n) : n_(n), space_(n), rows_(aligned_array<R>(2 * static_cast<std::size_t>(n) * kLanes<T>)) {}

  std::uint64_t operator()(const ConstFactors<T>* factors, const int32_t* const* labels, const Factors<T>* reordered, int count) override {
    Group<T> group = space_.cleared(Parts::kAll);
    const T* from[4][kLanes<T>] = {};
    for (int i = 0; i < count; ++i) {
      from[0][i] = factors[i].s;
      from[1][i] = factors[i].t;
      from[2][i] = factors[i].q;
      from[3][i] = factors[i].z;
    }
    const Lanes<R> of_a = space_.pack(from[0], count, group.S), of_b = space_.pack(from[1], count, group.T_);
    space_.pack_transposed(from[3], R(1), count, group.ZT);
    rank(labels, count);
    const Lanes<R> zero = all_lanes(R(0)), one = all_lanes(R(1));
    Mask<R> any_infinite = one < zero;
    for (int j = 0; j < n_; ++j) {
      const Mask<R> here = is_zero(group.T_(j, j));
      any_infinite = any_infinite | here;
      store(masked(here, one), infinite(j));
    }
    // The phases of S and T are Q's where an eigenvalue is 0/0.
    if (wanted(reordered[0]) == Parts::kAll || any(any_infinite)) {
      space_.pack_transposed(from[2], R(-1), count, group.QH);
    } else {
      group.QH.data = nullptr;
    }
    Mask<R> spoilt = one < zero;
    sort(group, any(any_infinite), &spoilt);
    drop_underflowing(group, of_a, of_b);
    return space_.write(group, of_a, of_b, spoilt, reordered, count);
  }

 private:
  // Of the row j: how many have a larger label, and whether t_jj was 0.
  R* rank(int j) const { return rows_.get() + 2 * j * kLanes<T>; }
  R* infinite(int j) const { return rank(j) + kLanes<T>; }

  void rank(const int32_t* const* labels, int count) const {
    for (int lane = 0; lane < kLanes<T>; ++lane) {
      const int32_t* of_lane = labels[lane < count ? lane : 0];
      for (int j = 0; j < n_; ++j) {
        int larger = 0;
        for (int i = 0; i < n_; ++i) larger += of_lane[i] > of_lane[j];
        rank(j)[lane] = static_cast<R>(larger);
      }
    }
  }

  void sort(const Group<T>& group, bool any_infinite, Mask<R>* spoilt) const {
    for (bool more = true; more;) {
      more = false;
      for (int k = n_ - 2; k >= 0; --k) {
        const Lanes<R> above = load<R>(rank(k)), below = load<R>(rank(k + 1));
        const Mask<R> mask = (below < above) & !*spoilt;
        if (!any(mask)) continue;
        more = true;
        *spoilt = *spoilt | exchange(group, k, mask);
        store(select(mask, below, above), rank(k));
        store(select(mask, above, below), rank(k + 1));
        if (!any_infinite) continue;
        const Lanes<R> first = load<R>(infinite(k)), second = load<R>(infinite(k + 1));
        store(select(mask, second, first), infinite(k));
        store(select(mask, first, second), infinite(k + 1));
        drop_rounding(group, k);
        drop_rounding(group, k + 1);
      }
    }
  }

  // What an exchange leaves of t_jj = 0; as much may stand below the diagonal, and the next one would make more of it.
  void drop_rounding(const Group<T>& group, int j) const {
    const Lanes<R> rounding = all_lanes(kRounding<R> * kRounding<R>);
    const Lanes<T> t = group.T_(j, j);
    group.T_.set(j, j, masked(!((all_lanes(R(0)) < load<R>(infinite(j))) & (abs2(t) <= rounding)), t));
  }

  const int n_;
  const LanesFactors<T> space_;
  const AlignedArray<R> rows_;
};

template <typename T>
std::unique_ptr<LockstepReorder<T>> make_reordering(int n) {
  return std::make_unique<Reordering<T>>(n);
}

}  // namespace HWY_NAMESPACE
}  // namespace tfqz
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace tfqz {

template <typename T>
std::unique_ptr<LockstepReorder<T>> make_lockstep_reorder(const Simd& simd, int n) {
#if HWY_TARGETS & HWY_AVX3
  if (simd.bytes >= 64) return N_AVX3::make_reordering<T>(n);
#endif
#if HWY_TARGETS & HWY_AVX2
  if (simd.bytes >= 32) return N_AVX2::make_reordering<T>(n);
#endif
  return HWY_STATIC_NAMESPACE::make_reordering<T>(n);
}

}  // namespace tfqz

#endif  // HWY_ONCE
#endif  // per-target include guard
