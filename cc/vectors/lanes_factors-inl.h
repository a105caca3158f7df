// Pencils and their factors, between row-major arrays, each pencil's by itself, and lanes.
#if defined(TFQZ_LANES_FACTORS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TFQZ_LANES_FACTORS_INL_H_
#undef TFQZ_LANES_FACTORS_INL_H_
#else
#define TFQZ_LANES_FACTORS_INL_H_
#endif

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>

#include "pencil/factors.h"
#include "vectors/lanes_canonical-inl.h"
#include "vectors/lanes_memory-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tfqz {
namespace HWY_NAMESPACE {

// Room for the factors of as many pencils of one size as there are lanes.
template <typename T>
class LanesFactors {
  using R = Real<T>;

 public:
  explicit LanesFactors(int n) : n_(n), leading_((n + 1) | 1), size_(static_cast<std::size_t>(n + 1) * leading_ * kStride<T>) {
    const std::size_t small = static_cast<std::size_t>(3 * n) * kStride<T>;
    buffer_ = aligned_array<R>(4 * size_ + small);
    vectors_ = buffer_.get() + 4 * size_;
  }

  // 3 n numbers, which write() uses.
  R* vectors() const { return vectors_; }

  // Zeros.
  Group<T> cleared(Parts parts) const {
    std::fill_n(buffer_.get(), 4 * size_, R(0));
    const LanesMatrix<T> none = {nullptr, leading_};
    return {n_, matrix(0), matrix(1), parts == Parts::kAll ? matrix(2) : none, parts == Parts::kEigenvalues ? none : matrix(3)};
  }

  // Brings the largest entry near 1 by a power of two, of which it returns the inverse: squares are safe from here on. Lanes to spare
  // repeat the first pencil: what they have is what it has, where they are written to as well.
  Lanes<R> pack(const T* const* matrices, int count, LanesMatrix<T> X) const {
    Lanes<R> largest = all_lanes(R(0));
    Places places(X.at(0, 0), n_ * kParts, kLanes<T>, (leading_ - n_) * kStride<T>);
    to_lanes(sources(matrices, count), numbers(), [&](Lanes<R> x) HWY_ATTR {
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

  // The transpose, with `sign` for the imaginary part.
  void pack_transposed(const T* const* matrices, R sign, int count, LanesMatrix<T> X) const {
    const std::ptrdiff_t step = static_cast<std::ptrdiff_t>(leading_) * kStride<T>;
    Places places(X.at(0, 0), n_, step, kStride<T> - n_ * step);
    R* imaginary = nullptr;
    to_lanes(sources(matrices, count), numbers(), [&](Lanes<R> x) HWY_ATTR {
      if constexpr (kComplex<T>) {
        if (imaginary != nullptr) {
          store(all_lanes(sign) * x, imaginary);
          imaginary = nullptr;
          return;
        }
      }
      R* place = places.next();
      imaginary = place + kLanes<T>;
      store(x, place);
    });
  }

  // Brings a generalized Schur form to canonical form and writes it out, S and T times the numbers given, with alpha and beta. Bit i of the
  // result: something of pencil i isn't finite, or it has failed before; what is written for it has no meaning.
  std::uint64_t write(const Group<T>& group, Lanes<R> of_a, Lanes<R> of_b, Mask<R> already_failed, const Factors<T>* factors,
                      int count) const {
    canonicalize(group);
    alpha_beta(group, vectors_);
    Lanes<R> not_finite = all_lanes(R(0));
    const auto to = [&](auto factor) { return [=](int lane) { return factors[lane].*factor; }; };
    if (factors->s != nullptr) unpack(group.S, of_a, count, to(&Factors<T>::s), &not_finite);
    if (factors->t != nullptr) unpack(group.T_, of_b, count, to(&Factors<T>::t), &not_finite);
    if (factors->q != nullptr) unpack_transposed(group.QH, R(-1), count, to(&Factors<T>::q), &not_finite);
    if (factors->z != nullptr) unpack_transposed(group.ZT, R(1), count, to(&Factors<T>::z), &not_finite);
    unpack_eigenvalues(of_a, of_b, count, to(&Factors<T>::alpha), to(&Factors<T>::beta), &not_finite);
    alignas(kAlignment) R failed[kLanes<T>];
    store(masked(already_failed | !is_zero(not_finite), all_lanes(R(1))), failed);
    std::uint64_t bits = 0;
    for (int lane = 0; lane < count; ++lane) bits |= std::uint64_t{failed[lane] != 0} << lane;
    return bits;
  }

 private:
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

  // Where each lane's numbers come from, and where they go.
  static std::array<const R*, kLanes<T>> sources(const T* const* matrices, int count) {
    std::array<const R*, kLanes<T>> result;
    for (int lane = 0; lane < kLanes<T>; ++lane) result[lane] = reinterpret_cast<const R*>(matrices[lane < count ? lane : 0]);
    return result;
  }
  template <typename To>
  static std::array<R*, kLanes<T>> destinations(int count, const To& to) {
    std::array<R*, kLanes<T>> result;
    for (int lane = 0; lane < kLanes<T>; ++lane) result[lane] = reinterpret_cast<R*>(to(lane < count ? lane : 0));
    return result;
  }

  std::size_t numbers() const { return static_cast<std::size_t>(n_) * n_ * kParts; }

  // x, of which NaN is kept in mind where it isn't finite. A zero is positive: what a reflector of other lanes leaves as it is may change
  // from -0 to 0.
  static HWY_INLINE Lanes<R> checked(Lanes<R> x, Lanes<R>* not_finite) {
    *not_finite = *not_finite + unless_finite(x);
    return x + all_lanes(R(0));
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

  LanesMatrix<T> matrix(int i) const { return {buffer_.get() + i * size_, leading_}; }

  const int n_, leading_;
  const std::size_t size_;  // of a matrix, in real numbers
  AlignedArray<R> buffer_;
  R* vectors_;
};

}  // namespace HWY_NAMESPACE
}  // namespace tfqz
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
