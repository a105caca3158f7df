// From row-major pencils to lanes, the decomposition, and the way back.
#if defined(TFQZ_LOCKSTEP_PENCILS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TFQZ_LOCKSTEP_PENCILS_INL_H_
#undef TFQZ_LOCKSTEP_PENCILS_INL_H_
#else
#define TFQZ_LOCKSTEP_PENCILS_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <memory>
#include <new>

#include "lockstep.h"
#include "lockstep_canonical-inl.h"
#include "lockstep_iteration-inl.h"
#include "lockstep_reduction-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tfqz {
namespace HWY_NAMESPACE {

template <typename T>
class Lockstep : public LockstepQz<T> {
 public:
  explicit Lockstep(int n) : n_(n), leading_((n + 1) | 1), size_(static_cast<std::size_t>(n + 1) * leading_ * kStride<T>) {
    const std::size_t small = static_cast<std::size_t>(3 * n) * kStride<T>;
    buffer_.reset(static_cast<R*>(::operator new(sizeof(R) * (4 * size_ + small), std::align_val_t{kAlignment})));
    vectors_ = buffer_.get() + 4 * size_;
  }

  std::uint64_t operator()(const T* const* a, const T* const* b, const Factors<T>* factors, int count) override {
    const Group<T> group = {n_, matrix(0), matrix(1), matrix(2), matrix(3)};
    R of_a[kLanes<T>], of_b[kLanes<T>];
    std::fill_n(buffer_.get(), 4 * size_, R(0));
    for (int lane = 0; lane < kLanes<T>; ++lane) {
      // Lanes to spare repeat the first pencil.
      of_a[lane] = pack(a[lane < count ? lane : 0], group.S, lane);
      of_b[lane] = pack(b[lane < count ? lane : 0], group.T_, lane);
    }
    for (LanesMatrix<T> X : {group.QH, group.ZT}) {
      for (int i = 0; i < n_; ++i) X.set(i, i, number<T>(1));
    }
    triangularize(group, vectors_);
    reduce_to_hessenberg(group);
    Windows<T> windows;
    iterate(group, &windows);
    make_blocks_diagonal(group);
    canonicalize(group);
    alpha_beta(group, vectors_);
    std::uint64_t failed = 0;
    for (int lane = 0; lane < count; ++lane) {
      if (windows.failed[lane]) {
        failed |= std::uint64_t{1} << lane;
      } else {
        unpack(group, lane, of_a[lane], of_b[lane], factors[lane]);
      }
    }
    return failed;
  }

 private:
  using R = Real<T>;
  struct Free {
    void operator()(R* memory) const { ::operator delete(memory, std::align_val_t{kAlignment}); }
  };

  LanesMatrix<T> matrix(int i) const { return {buffer_.get() + i * size_, leading_}; }

  // Brings the largest entry near 1 by a power of two, of which it returns the inverse: squares are safe from here on.
  R pack(const T* from, LanesMatrix<T> X, int lane) const {
    constexpr int kParts = kComplex<T> ? 2 : 1;
    const R* entries = reinterpret_cast<const R*>(from);
    R largest = 0;
    for (int i = 0; i < n_ * n_ * kParts; ++i) largest = std::max(largest, std::abs(entries[i]));
    // Short of the ends of the range, so that the inverse is a number too.
    constexpr int kLargest = std::numeric_limits<R>::max_exponent - 3;
    int exponent = 0;
    std::frexp(largest, &exponent);
    exponent = std::clamp(exponent, -kLargest, kLargest);
    const R factor = std::ldexp(R(1), -exponent);
    for (int i = 0; i < n_; ++i) {
      R* to = X.at(i, 0) + lane;
      for (int j = 0; j < n_; ++j, to += kStride<T>, entries += kParts) {
        to[0] = entries[0] * factor;
        if constexpr (kComplex<T>) to[kLanes<T>] = entries[1] * factor;
      }
    }
    return std::ldexp(R(1), exponent);
  }

  void unpack(const Group<T>& group, int lane, R of_a, R of_b, const Factors<T>& to) const {
    unpack(group.S, lane, of_a, to.s);
    unpack(group.T_, lane, of_b, to.t);
    unpack_transposed(group.QH, lane, R(-1), to.q);
    unpack_transposed(group.ZT, lane, R(1), to.z);
    const R* eigenvalues = vectors_ + lane;
    for (int j = 0; j < n_; ++j, eigenvalues += 3 * kLanes<T>) {
      to.alpha[j] = {of_a * eigenvalues[0], of_a * eigenvalues[kLanes<T>]};
      to.beta[j] = of_b * eigenvalues[2 * kLanes<T>];
    }
  }

  void unpack(LanesMatrix<T> X, int lane, R factor, T* to) const {
    for (int i = 0; i < n_; ++i) {
      const R* from = X.at(i, 0) + lane;
      for (int j = 0; j < n_; ++j, from += kStride<T>, ++to) {
        if constexpr (kComplex<T>) {
          *to = {factor * from[0], factor * from[kLanes<T>]};
        } else {
          *to = factor * from[0];
        }
      }
    }
  }

  // `sign`: of the imaginary part.
  void unpack_transposed(LanesMatrix<T> X, int lane, R sign, T* to) const {
    for (int i = 0; i < n_; ++i) {
      const R* from = X.at(0, i) + lane;
      for (int j = 0; j < n_; ++j, from += leading_ * kStride<T>, ++to) {
        if constexpr (kComplex<T>) {
          *to = {from[0], sign * from[kLanes<T>]};
        } else {
          *to = from[0];
        }
      }
    }
  }

  const int n_, leading_;
  const std::size_t size_;  // of a matrix, in real numbers
  std::unique_ptr<R, Free> buffer_;
  R* vectors_;
};

template <typename T>
std::unique_ptr<LockstepQz<T>> make(int n) {
  return std::make_unique<Lockstep<T>>(n);
}

}  // namespace HWY_NAMESPACE
}  // namespace tfqz
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
