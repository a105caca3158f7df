// From row-major pencils to lanes, the decomposition, and the way back.
#if defined(TFQZ_LOCKSTEP_PENCILS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TFQZ_LOCKSTEP_PENCILS_INL_H_
#undef TFQZ_LOCKSTEP_PENCILS_INL_H_
#else
#define TFQZ_LOCKSTEP_PENCILS_INL_H_
#endif

#include <algorithm>
#include <array>
#include <limits>
#include <memory>

#include "vectors/lanes_canonical-inl.h"
#include "vectors/lanes_iteration-inl.h"
#include "vectors/lanes_memory-inl.h"
#include "vectors/lanes_reduction-inl.h"
#include "vectors/lockstep.h"

HWY_BEFORE_NAMESPACE();
namespace tfqz {
namespace HWY_NAMESPACE {

template <typename T>
class Lockstep : public LockstepQz<T> {
 public:
  explicit Lockstep(int n) : n_(n), leading_((n + 1) | 1), size_(static_cast<std::size_t>(n + 1) * leading_ * kStride<T>) {
    const std::size_t small = static_cast<std::size_t>(3 * n) * kStride<T>;
    buffer_ = aligned_array<R>(4 * size_ + small);
    vectors_ = buffer_.get() + 4 * size_;
  }

  std::uint64_t operator()(const T* const* a, const T* const* b, const Factors<T>* factors, int count) override {
    const Parts parts = wanted(factors[0]);
    Decomposed done = decompose(a, b, count, parts);
    // The phases of S and T are Q's where an eigenvalue is 0/0.
    if (parts == Parts::kAllButQ && any_undetermined(done.group)) done = decompose(a, b, count, Parts::kAll);
    const Group<T>& group = done.group;
    canonicalize(group);
    alpha_beta(group, vectors_);
    // What is unpacked for the lanes that failed has no meaning.
    Lanes<R> not_finite = all_lanes(R(0));
    const auto to = [&](auto factor) { return [=](int lane) { return factors[lane].*factor; }; };
    if (factors->s != nullptr) unpack(group.S, done.of_a, count, to(&Factors<T>::s), &not_finite);
    if (factors->t != nullptr) unpack(group.T_, done.of_b, count, to(&Factors<T>::t), &not_finite);
    if (factors->q != nullptr) unpack_transposed(group.QH, R(-1), count, to(&Factors<T>::q), &not_finite);
    if (factors->z != nullptr) unpack_transposed(group.ZT, R(1), count, to(&Factors<T>::z), &not_finite);
    unpack_eigenvalues(done.of_a, done.of_b, count, to(&Factors<T>::alpha), to(&Factors<T>::beta), &not_finite);
    alignas(kAlignment) R failed[kLanes<T>];
    store(masked(done.failed | !is_zero(not_finite), all_lanes(R(1))), failed);
    std::uint64_t bits = 0;
    for (int lane = 0; lane < count; ++lane) bits |= std::uint64_t{failed[lane] != 0} << lane;
    return bits;
  }

 private:
  using R = Real<T>;

  // Generalized Schur forms, but for the canonical form, of A / of_a and B / of_b.
  struct Decomposed {
    Group<T> group;
    Lanes<R> of_a, of_b;
    Mask<R> failed;
  };

  Decomposed decompose(const T* const* a, const T* const* b, int count, Parts parts) const {
    const LanesMatrix<T> none = {nullptr, leading_};
    Group<T> group = {n_, matrix(0), matrix(1), parts == Parts::kAll ? matrix(2) : none, parts == Parts::kEigenvalues ? none : matrix(3)};
    std::fill_n(buffer_.get(), 4 * size_, R(0));
    const Lanes<R> of_a = pack(a, count, group.S), of_b = pack(b, count, group.T_);
    for (LanesMatrix<T> X : {group.QH, group.ZT}) {
      for (int i = 0; i < n_ && X.present(); ++i) X.set(i, i, number<T>(1));
    }
    const Active<R> active = find_active(group);
    triangularize(group, vectors_);
    reduce_to_hessenberg(group);
    Windows<T> windows(n_);
    const Lanes<R> zero = zero_beta(group, active);
    while (step(group, zero, &windows)) {
    }
    if constexpr (!kComplex<T>) standardize_blocks(group);
    drop_negligible_betas(group, active, zero);
    return {group, of_a, of_b, windows.failed};
  }

  // Real and imaginary parts of a number.
  static constexpr int kParts = kComplex<T> ? 2 : 1;

  // Numbers in rows of `width`, `step` apart, and `gap` more between rows.
  class Places {
   public:
    HWY_INLINE Places(R* first, int width, std::ptrdiff_t step, std::ptrdiff_t gap)
        : place_(first), width_(width), left_(width), step_(step), gap_(gap) {}
    HWY_INLINE R* next() {
      R* const here = place_;
      place_ += step_;
      if (--left_ == 0) {
        place_ += gap_;
        left_ = width_;
      }
      return here;
    }

   private:
    R* place_;
    const int width_;
    int left_;
    const std::ptrdiff_t step_, gap_;
  };

  // Where each lane's numbers go.
  template <typename To>
  static std::array<R*, kLanes<T>> destinations(int count, const To& to) {
    std::array<R*, kLanes<T>> result;
    for (int lane = 0; lane < kLanes<T>; ++lane) result[lane] = reinterpret_cast<R*>(to(lane < count ? lane : 0));
    return result;
  }

  std::size_t numbers() const { return static_cast<std::size_t>(n_) * n_ * kParts; }

  LanesMatrix<T> matrix(int i) const { return {buffer_.get() + i * size_, leading_}; }

  // Brings the largest entry near 1 by a power of two, of which it returns the inverse: squares are safe from here on. Lanes to spare
  // repeat the first pencil: what they have is what it has, where they are written to as well.
  Lanes<R> pack(const T* const* pencils, int count, LanesMatrix<T> X) const {
    std::array<const R*, kLanes<T>> from;
    for (int lane = 0; lane < kLanes<T>; ++lane) from[lane] = reinterpret_cast<const R*>(pencils[lane < count ? lane : 0]);
    Lanes<R> largest = all_lanes(R(0));
    Places places(X.at(0, 0), n_ * kParts, kLanes<T>, (leading_ - n_) * kStride<T>);
    to_lanes(from, numbers(), [&](Lanes<R> x) HWY_ATTR {
      largest = max(largest, abs(x));
      store(x, places.next());
    });
    // The power of two in it, without the fraction; short of the ends of the range, so that the inverse is a number too.
    const auto power_of_two = hn::And(largest.v, hn::Set(Tag<R>(), std::numeric_limits<R>::infinity()));
    const Lanes<R> smallest = all_lanes(std::numeric_limits<R>::min());
    const Lanes<R> power = min(max({power_of_two}, smallest), all_lanes(R(0.25)) / smallest);
    const Lanes<R> factor = all_lanes(R(0.5)) / power;
    for (int i = 0; i < n_; ++i) {
      R* x = X.at(i, 0);
      for (int j = 0; j < n_ * kParts; ++j, x += kLanes<T>) store(factor * load<R>(x), x);
    }
    return power + power;
  }

  // x, of which NaN is kept in mind where it isn't finite.
  static HWY_INLINE Lanes<R> checked(Lanes<R> x, Lanes<R>* not_finite) {
    *not_finite = *not_finite + unless_finite(x);
    return x;
  }

  template <typename To>
  void unpack(LanesMatrix<T> X, Lanes<R> factor, int count, const To& to, Lanes<R>* not_finite) const {
    Places places(X.at(0, 0), n_ * kParts, kLanes<T>, (leading_ - n_) * kStride<T>);
    from_lanes([&]() HWY_ATTR { return checked(factor * load<R>(places.next()), not_finite); }, numbers(), destinations(count, to));
  }

  // `sign`: of the imaginary part.
  template <typename To>
  void unpack_transposed(LanesMatrix<T> X, R sign, int count, const To& to, Lanes<R>* not_finite) const {
    const std::ptrdiff_t step = static_cast<std::ptrdiff_t>(leading_) * kStride<T>;
    Places places(X.at(0, 0), n_, step, kStride<T> - n_ * step);
    const R* imaginary = nullptr;
    const auto next = [&]() HWY_ATTR {
      if constexpr (kComplex<T>) {
        if (imaginary != nullptr) {
          const Lanes<R> x = all_lanes(sign) * load<R>(imaginary);
          imaginary = nullptr;
          return checked(x, not_finite);
        }
      }
      const R* place = places.next();
      imaginary = place + kLanes<T>;
      return checked(load<R>(place), not_finite);
    };
    from_lanes(next, numbers(), destinations(count, to));
  }

  template <typename ToAlpha, typename ToBeta>
  void unpack_eigenvalues(Lanes<R> of_a, Lanes<R> of_b, int count, const ToAlpha& to_alpha, const ToBeta& to_beta,
                          Lanes<R>* not_finite) const {
    Places alphas(vectors_, 2, kLanes<T>, kLanes<T>), betas(vectors_ + 2 * kLanes<T>, 1, kLanes<T>, 2 * kLanes<T>);
    from_lanes([&]() HWY_ATTR { return checked(of_a * load<R>(alphas.next()), not_finite); }, 2 * n_, destinations(count, to_alpha));
    bool imaginary = true;
    const auto next_beta = [&]() HWY_ATTR {
      imaginary = kComplex<T> && !imaginary;
      return imaginary ? all_lanes(R(0)) : checked(of_b * load<R>(betas.next()), not_finite);
    };
    from_lanes(next_beta, n_ * kParts, destinations(count, to_beta));
  }

  const int n_, leading_;
  const std::size_t size_;  // of a matrix, in real numbers
  AlignedArray<R> buffer_;
  R* vectors_;
};

template <typename T>
std::unique_ptr<LockstepQz<T>> make(int n) {
  return std::make_unique<Lockstep<T>>(n);
}

}  // namespace HWY_NAMESPACE
}  // namespace tfqz
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace tfqz {

template <typename T>
std::unique_ptr<LockstepQz<T>> make_lockstep(const Simd& simd, int n) {
#if HWY_TARGETS & HWY_AVX3
  if (simd.bytes >= 64) return N_AVX3::make<T>(n);
#endif
#if HWY_TARGETS & HWY_AVX2
  if (simd.bytes >= 32) return N_AVX2::make<T>(n);
#endif
  return HWY_STATIC_NAMESPACE::make<T>(n);
}

}  // namespace tfqz

#endif  // HWY_ONCE
#endif  // per-target include guard
