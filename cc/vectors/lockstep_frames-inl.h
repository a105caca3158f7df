// QR decompositions in lockstep, by Householder's reflectors I - w v v^H without pivoting, and columns of Q.
#if defined(TFQZ_LOCKSTEP_FRAMES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TFQZ_LOCKSTEP_FRAMES_INL_H_
#undef TFQZ_LOCKSTEP_FRAMES_INL_H_
#else
#define TFQZ_LOCKSTEP_FRAMES_INL_H_
#endif

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <memory>

#include "pencil/scale.h"
#include "vectors/lanes_canonical-inl.h"
#include "vectors/lanes_memory-inl.h"
#include "vectors/lockstep_frames.h"

HWY_BEFORE_NAMESPACE();
namespace tfqz {
namespace HWY_NAMESPACE {

template <typename T>
class Frames : public LockstepFrames<T> {
 public:
  explicit Frames(const FramesOf& of) : of_(of), first_(of.complement ? of.cols : 0), made_(of.complement ? of.rows - of.cols : of.cols) {
    const std::size_t entries = static_cast<std::size_t>(of.rows) * (of.cols + made_) + static_cast<std::size_t>(of.cols) * 3;
    buffer_ = aligned_array<R>(entries * kStride<T>);
    made_at_ = buffer_.get() + static_cast<std::size_t>(of.rows) * of.cols * kStride<T>;
    inverses_ = made_at_ + static_cast<std::size_t>(of.rows) * made_ * kStride<T>;
    weights_ = inverses_ + of.cols * kStride<T>;
    column_ = weights_ + of.cols * kStride<T>;
  }

  std::uint64_t operator()(const T* const* matrices, T* const* frames, int count) override {
    std::array<const R*, kLanes<T>> from;
    std::array<R*, kLanes<T>> to;
    for (int lane = 0; lane < kLanes<T>; ++lane) from[lane] = reinterpret_cast<const R*>(matrices[std::min(lane, count - 1)]);
    for (int lane = 0; lane < kLanes<T>; ++lane) to[lane] = reinterpret_cast<R*>(frames[std::min(lane, count - 1)]);
    R* place = buffer_.get();
    const auto put = [&](Lanes<R> x) HWY_ATTR {
      store(x, place);
      place += kLanes<T>;
    };
    to_lanes(from, numbers(of_.cols), put);
    const Mask<R> good = factor();
    form();
    const R* next = made_at_;
    bool imaginary = true;
    const Lanes<R> sign = all_lanes(R(of_.adjoint ? -1 : 1));
    const auto get = [&]() HWY_ATTR {
      const Lanes<R> x = load<R>(next);
      next += kLanes<T>;
      imaginary = kComplex<T> && !imaginary;
      return imaginary ? sign * x : x;
    };
    from_lanes(get, numbers(made_), to);
    alignas(kAlignment) R failed[kLanes<T>];
    store(masked(!good, all_lanes(R(1))), failed);
    std::uint64_t bits = 0;
    for (int lane = 0; lane < count; ++lane) bits |= std::uint64_t{failed[lane] != 0} << lane;
    return bits;
  }

 private:
  using R = Real<T>;

  std::size_t numbers(int cols) const { return static_cast<std::size_t>(of_.rows) * cols * (kComplex<T> ? 2 : 1); }
  // Entries of B, or, if it is the adjoint, of its conjugate, and of what is made.
  R* at(int i, int j) const {
    return buffer_.get() + static_cast<std::size_t>(of_.adjoint ? j * of_.rows + i : i * of_.cols + j) * kStride<T>;
  }
  R* made(int i, int j) const { return made_at_ + (static_cast<std::size_t>(i) * made_ + j) * kStride<T>; }

  // Leaves the reflectors' vectors v, the weights w, and R above the diagonal, with the inverses of its diagonal. Which are good.
  HWY_INLINE Mask<R> factor() const {
    const int rows = of_.rows, cols = of_.cols;
    const Lanes<R> zero = all_lanes(R(0)), one = all_lanes(R(1));
    // A column whose square is smaller has denormals in it: its reflector would be as far from unitary as these have digits.
    const Lanes<R> fewest = all_lanes(std::numeric_limits<R>::min() / std::numeric_limits<R>::epsilon());
    Lanes<R> longest = zero;
    Mask<R> good = measure(&longest);
    if (any(!good)) {
      scale(!good);
      good = measure(&longest);
    }
    for (int j = 0; j < cols; ++j) {
      Lanes<R> rest = zero;
      for (int i = j + 1; i < rows; ++i) rest = rest + abs2(load<T>(at(i, j)));
      const Lanes<T> alpha = load<T>(at(j, j));
      Lanes<R> size;
      const Lanes<T> phase = HWY_NAMESPACE::phase(alpha, &size);  // of modulus 1 also where the square of alpha has few digits
      const Lanes<R> square = abs2(alpha) + rest, norm = sqrt(square);
      good = good & (fewest < square);
      const Lanes<R> safe = select(zero < norm, norm, one), weight = one / (safe * (safe + size));
      const Lanes<T> head = alpha + safe * phase;
      store(head, at(j, j));
      store(weight, weights_ + j * kLanes<T>);
      store(divided(-conj(phase), safe), inverses_ + j * kStride<T>);
      for (int k = j + 1; k < cols; ++k) {
        Lanes<T> inner = conj(head) * load<T>(at(j, k));
        for (int i = j + 1; i < rows; ++i) inner = mul_add(conj(load<T>(at(i, j))), load<T>(at(i, k)), inner);
        inner = weight * inner;
        for (int i = j; i < rows; ++i) store(neg_mul_add(load<T>(at(i, j)), inner, load<T>(at(i, k))), at(i, k));
      }
    }
    return of_.tolerance > 0 ? good & independent(longest) : good;
  }

  // The square of the longest column; whether squares can neither overflow nor be flushed. (A sum that is NaN is in no range.)
  HWY_INLINE Mask<R> measure(Lanes<R>* longest) const {
    Lanes<R> sum = all_lanes(R(0));
    for (int j = 0; j < of_.cols; ++j) {
      Lanes<R> square = all_lanes(R(0));
      for (int i = 0; i < of_.rows; ++i) square = square + abs2(load<T>(at(i, j)));
      *longest = j == 0 ? square : max(*longest, square);
      sum = sum + square;
    }
    constexpr R kSmall = sizeof(R) == 4 ? R(1e-15) : R(1e-150);
    return (all_lanes(kSmall) < sum) & (sum < all_lanes(1 / kSmall));
  }

  // Times powers of two, which the columns of Q know nothing of.
  void scale(Mask<R> which) const {
    const std::size_t count = numbers(of_.cols);
    Lanes<R> most = all_lanes(R(0));
    for (std::size_t k = 0; k < count; ++k) most = max(most, abs(load<R>(buffer_.get() + k * kLanes<T>)));
    alignas(kAlignment) R first[kLanes<T>], second[kLanes<T>];
    store(masked(which, most), first);
    for (int lane = 0; lane < kLanes<T>; ++lane) {
      const PowerOfTwo<R> power(-binary_exponent(first[lane]));
      first[lane] = power.first, second[lane] = power.second;
    }
    for (std::size_t k = 0; k < count; ++k) {
      R* const place = buffer_.get() + k * kLanes<T>;
      store(load<R>(place) * load<R>(first) * load<R>(second), place);
    }
  }

  // By the Frobenius norm of R's inverse.
  HWY_INLINE Mask<R> independent(Lanes<R> longest) const {
    Lanes<R> sum = all_lanes(R(0));
    for (int j = 0; j < of_.cols; ++j) {
      const auto y = [&](int i) { return column_ + i * kStride<T>; };
      store(load<T>(inverses_ + j * kStride<T>), y(j));
      sum = sum + abs2(load<T>(y(j)));
      for (int k = j - 1; k >= 0; --k) {
        Lanes<T> inner = load<T>(at(k, k + 1)) * load<T>(y(k + 1));
        for (int i = k + 2; i <= j; ++i) inner = mul_add(load<T>(at(k, i)), load<T>(y(i)), inner);
        const Lanes<T> entry = -(inner * load<T>(inverses_ + k * kStride<T>));
        store(entry, y(k));
        sum = sum + abs2(entry);
      }
    }
    const R reach = static_cast<R>(of_.tolerance);
    return (all_lanes(reach) * all_lanes(reach)) * longest * sum < all_lanes(R(1));
  }

  // The columns of Q. Where a reflector acts, what it turns of a column behind its own is 0 in its first row.
  HWY_INLINE void form() const {
    const int rows = of_.rows, cols = of_.cols;
    for (int i = 0; i < rows; ++i) {
      for (int k = 0; k < made_; ++k) store(number<T>(i == k + first_ ? 1 : 0), made(i, k));
    }
    for (int j = cols - 1; j >= 0; --j) {
      const Lanes<R> weight = load<R>(weights_ + j * kLanes<T>);
      const Lanes<T> head = load<T>(at(j, j));
      for (int k = std::max(0, j - first_); k < made_; ++k) {
        Lanes<T> inner = k + first_ == j ? conj(head) : number<T>(0);
        for (int i = j + 1; i < rows; ++i) inner = mul_add(conj(load<T>(at(i, j))), load<T>(made(i, k)), inner);
        inner = weight * inner;
        for (int i = j; i < rows; ++i) store(neg_mul_add(load<T>(at(i, j)), inner, load<T>(made(i, k))), made(i, k));
      }
    }
  }

  const FramesOf of_;
  const int first_, made_;
  AlignedArray<R> buffer_;
  R *made_at_, *inverses_, *weights_, *column_;
};

template <typename T>
std::unique_ptr<LockstepFrames<T>> make_frames(const FramesOf& of) {
  return std::make_unique<Frames<T>>(of);
}

}  // namespace HWY_NAMESPACE
}  // namespace tfqz
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace tfqz {

template <typename T>
std::unique_ptr<LockstepFrames<T>> make_lockstep_frames(const Simd& simd, const FramesOf& of) {
#if HWY_TARGETS & HWY_AVX3
  if (simd.bytes >= 64) return N_AVX3::make_frames<T>(of);
#endif
#if HWY_TARGETS & HWY_AVX2
  if (simd.bytes >= 32) return N_AVX2::make_frames<T>(of);
#endif
  return HWY_STATIC_NAMESPACE::make_frames<T>(of);
}

}  // namespace tfqz

#endif  // HWY_ONCE
#endif  // per-target include guard
