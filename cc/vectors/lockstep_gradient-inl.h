// The gradient of the pencils in the lanes: products, the convention, the triangular equations.
#if defined(TFQZ_LOCKSTEP_GRADIENT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TFQZ_LOCKSTEP_GRADIENT_INL_H_
#undef TFQZ_LOCKSTEP_GRADIENT_INL_H_
#else
#define TFQZ_LOCKSTEP_GRADIENT_INL_H_
#endif

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>

#include "pencil/clusters.h"
#include "pencil/scale.h"
#include "vectors/convention-inl.h"
#include "vectors/lanes_memory-inl.h"
#include "vectors/lockstep_equations-inl.h"
#include "vectors/lockstep_gradient.h"
#include "vectors/lockstep_products-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tfqz {
namespace HWY_NAMESPACE {

template <typename T>
class GradientInLockstep : public LockstepGradient<T> {
 public:
  explicit GradientInLockstep(int n) : n_(n), size_(static_cast<std::size_t>(n) * n) {
    buffer_ = aligned_array<R>(10 * size_ * kStride<T> + 14 * n * kStride<R>);
    fields_ = reinterpret_cast<N*>(buffer_.get());
    vectors_ = reinterpret_cast<V*>(fields_ + 10 * size_);
  }

  int lanes() const override { return kLanes<T>; }

  std::uint64_t operator()(const ConstFactors<T>* factors, const Cotangents<T>* cotangents, const Pair<T>* pencils, int count) override {
    V *work = vectors_, *alphab_re = work + 5 * n_, *alphab_im = alphab_re + n_, *betab = alphab_im + n_;
    for (int i = 0; i < 8; ++i) {
      pack(count, field(i), [&](int k) {
        const auto& f = factors[k];
        const auto& c = cotangents[k];
        const T* const matrices[8] = {f.s, f.t, f.q, f.z, c.s, c.t, c.q, c.z};
        return matrices[i];
      });
    }
    // Functions of the factors alone come with zeros.
    Mask<R> of_eigenvalues = nowhere();
    if (cotangents[0].alpha != nullptr) of_eigenvalues = pack_eigenvalues(cotangents, count, alphab_re, alphab_im, betab);
    const auto constant_field = [this](int i) { return Field<const N>(&fields_[i * size_], n_); };
    Convention<T, N> c(n_, constant_field(0), constant_field(1), constant_field(2), constant_field(3), field(4), field(5),
                       constant_field(6), constant_field(7), field(8), field(9), work);
    c.keep_pattern();
    Largest largest = measure(any(of_eigenvalues));
    const Mask<R> of_rotations = !is_zero(largest.frames_bar);
    if (far(largest)) scale(any(of_eigenvalues), &largest);
    const std::uint64_t left_out = find_unfit(c, largest, /*crowds=*/of_eigenvalues | !of_rotations);
    if (any(of_eigenvalues)) c.add_eigenvalues(alphab_re, alphab_im, betab);
    c.prepare();
    rotation_cotangents<T>(n_, c);
    c.add_convention();
    c.skew();
    solve(c);
    for (int i = 0; i < n_; ++i) {
      for (int j = 0; j < i; ++j) {
        c.Sb(i, j) = c.Sb(i, j) + c.G_W(i, j);
        c.Tb(i, j) = c.Tb(i, j) + c.G_Y(i, j);
      }
    }
    // Where the cotangents of Q and Z were there is room now.
    turn_back<T>(n_, c.Q, c.Sb, c.Z, field(8), field(6));
    turn_back<T>(n_, c.Q, c.Tb, c.Z, field(8), field(7));
    // What is unpacked for the lanes that are left out has no meaning.
    if (scaled_) scale_back();
    unpack(field(6), count, [&](int k) { return pencils[k].first; });
    unpack(field(7), count, [&](int k) { return pencils[k].second; });
    return left_out;
  }

 private:
  using R = Real<T>;
  using N = Lanes<T>;
  using V = Lanes<R>;
  static constexpr int kParts = kComplex<T> ? 2 : 1;

  Field<N> field(int i) const { return {&fields_[i * size_], n_}; }
  static R& lane_of(V* x, int lane) { return reinterpret_cast<R*>(x)[lane]; }

  // Lanes to spare repeat the first pencil: what they have is what it has, where they are written to as well.
  template <typename Of>
  void pack(int count, Field<N> to, const Of& of) const {
    std::array<const R*, kLanes<T>> from;
    for (int lane = 0; lane < kLanes<T>; ++lane) from[lane] = reinterpret_cast<const R*>(of(lane < count ? lane : 0));
    V* entries = reinterpret_cast<V*>(&to(0, 0));
    to_lanes(from, size_ * kParts, [&](V x) HWY_ATTR { *entries++ = x; });
  }
  template <typename Of>
  void unpack(Field<N> from, int count, const Of& of) const {
    std::array<R*, kLanes<T>> to;
    for (int lane = 0; lane < kLanes<T>; ++lane) to[lane] = reinterpret_cast<R*>(of(lane < count ? lane : 0));
    const V* entries = reinterpret_cast<const V*>(&from(0, 0));
    from_lanes([&]() HWY_ATTR { return *entries++; }, size_ * kParts, to);
  }
  // Where any is other than 0.
  Mask<R> pack_eigenvalues(const Cotangents<T>* cotangents, int count, V* re, V* im, V* beta) const {
    std::array<const R*, kLanes<T>> alphas, betas;
    for (int lane = 0; lane < kLanes<T>; ++lane) {
      const auto& c = cotangents[lane < count ? lane : 0];
      alphas[lane] = reinterpret_cast<const R*>(c.alpha);
      betas[lane] = reinterpret_cast<const R*>(c.beta);
    }
    bool imaginary = false;
    auto zero = is_zero(zeros<V>());
    to_lanes(alphas, 2 * n_, [&](V x) HWY_ATTR {
      zero = zero & is_zero(x);
      *(imaginary ? im : re)++ = x;
      imaginary = !imaginary;
    });
    imaginary = false;
    to_lanes(betas, n_ * kParts, [&](V x) HWY_ATTR {
      zero = zero & is_zero(x);
      if (!imaginary) *beta++ = x;
      imaginary = kComplex<T> && !imaginary;
    });
    return !zero;
  }

  static Mask<R> nowhere() { return is_zero(constant<V>(1)); }

  // pencil/scale.h, for all lanes.
  struct Largest {
    V s, t, s_bar, t_bar, frames_bar;
  };

  Largest measure(bool eigenvalues) const {
    V z_bar = zeros<V>();
    Largest largest = {z_bar, z_bar, z_bar, z_bar, z_bar};
    const auto add = [&](int i, std::size_t k, V* most) HWY_ATTR { *most = max(*most, HWY_NAMESPACE::size(fields_[i * size_ + k])); };
    for (std::size_t k = 0; k < size_; ++k) {
      add(0, k, &largest.s);
      add(1, k, &largest.t);
      add(4, k, &largest.s_bar);
      add(5, k, &largest.t_bar);
      add(6, k, &largest.frames_bar);
      add(7, k, &z_bar);
    }
    largest.frames_bar = max(largest.frames_bar, z_bar);
    if (!eigenvalues) return largest;
    for (int j = 0; j < n_; ++j) {
      const auto [alphab_re, alphab_im, betab] = eigenvalues_at(j);
      largest.s_bar = max(largest.s_bar, max(abs(*alphab_re), abs(*alphab_im)));
      largest.t_bar = max(largest.t_bar, abs(*betab));
    }
    return largest;
  }
  std::array<V*, 3> eigenvalues_at(int j) const { return {vectors_ + 5 * n_ + j, vectors_ + 6 * n_ + j, vectors_ + 7 * n_ + j}; }

  static bool far(const Largest& x) {
    const auto outside = [](V y, R limit) HWY_ATTR { return (constant<V>(limit) < y) | ((y < constant<V>(1 / limit)) & !is_zero(y)); };
    const V bars = max(max(x.s_bar, x.t_bar), x.frames_bar);
    return any(outside(x.s, kFarPencil<R>) | outside(x.t, kFarPencil<R>) | outside(bars, kFarCotangents<R>));
  }

  // Each lane by its own powers, or by 1.
  void scale(bool eigenvalues, Largest* largest) {
    Powers s, t, of_s, of_t, of_frames;
    for (int lane = 0; lane < kLanes<T>; ++lane) {
      const auto of = [&](V& x) { return lane_of(&x, lane); };
      const GradientScale scale =
          LargestEntries<R>{of(largest->s), of(largest->t), of(largest->s_bar), of(largest->t_bar), of(largest->frames_bar)}.scale();
      s.set(lane, -scale.s);
      t.set(lane, -scale.t);
      of_s.set(lane, scale.s - scale.common);
      of_t.set(lane, scale.t - scale.common);
      of_frames.set(lane, -scale.common);
      back_of_a_.set(lane, scale.common - scale.s);
      back_of_b_.set(lane, scale.common - scale.t);
    }
    scaled_ = true;
    const Powers* const powers[8] = {&s, &t, nullptr, nullptr, &of_s, &of_t, &of_frames, &of_frames};
    for (int i = 0; i < 8; ++i) {
      if (powers[i] != nullptr) multiply(i, *powers[i]);
    }
    largest->s = s.times(largest->s);
    largest->t = t.times(largest->t);
    for (int j = 0; j < n_ && eigenvalues; ++j) {
      const auto [alphab_re, alphab_im, betab] = eigenvalues_at(j);
      *alphab_re = of_s.times(*alphab_re);
      *alphab_im = of_s.times(*alphab_im);
      *betab = of_t.times(*betab);
    }
  }
  void scale_back() {
    multiply(6, back_of_a_);
    multiply(7, back_of_b_);
    scaled_ = false;
  }

  // A power of two for each lane.
  struct Powers {
    V first, second;

    void set(int lane, int exponent) {
      const PowerOfTwo<R> power(exponent);
      lane_of(&first, lane) = power.first;
      lane_of(&second, lane) = power.second;
    }
    HWY_INLINE V times(V x) const { return x * first * second; }
  };
  void multiply(int i, const Powers& powers) const {
    V* entries = reinterpret_cast<V*>(fields_ + i * size_);
    for (std::size_t k = 0; k < size_ * kParts; ++k) entries[k] = powers.times(entries[k]);
  }

  // Lanes with eigenvalues that coincide, so that solutions have to be chosen, or with norms whose products leave the range; and those of
  // `crowds` that are crowded.
  std::uint64_t find_unfit(const Convention<T, N>& c, const Largest& largest, Mask<R> crowds) const {
    constexpr R kLimit = kFarPencil<R>;
    V *re = vectors_ + 8 * n_, *im = re + n_, *beta = im + n_, *square = beta + n_, *nearness = square + n_, *over_square = nearness + n_;
    V norms[2] = {largest.s, largest.t};
    auto unfit = nowhere();
    for (const V& norm : norms) unfit = unfit | (constant<V>(kLimit) < norm) | (norm < constant<V>(1 / kLimit));
    for (V& norm : norms) norm = constant<V>(1) / select(unfit, constant<V>(1), norm);
    for (int j = 0; j < n_; ++j) {
      if constexpr (kComplex<T>) {
        re[j] = c.S(j, j).re * norms[0];
        im[j] = c.S(j, j).im * norms[0];
        beta[j] = c.T_(j, j).re * norms[1];
      } else {
        re[j] = c.S(j, j) * norms[0];
        im[j] = zeros<V>();
        beta[j] = c.T_(j, j) * norms[1];
      }
    }
    if constexpr (!kComplex<T>) {
      for (int j = 0; j + 1 < n_; ++j) {
        const auto start = c.starts(j);
        if (!any(start)) continue;
        const auto block = balanced(start, c.S(j, j), c.S(j, j + 1), c.S(j + 1, j), c.S(j + 1, j + 1), c.T_(j, j), c.T_(j + 1, j + 1));
        const V x = (block.p + block.s) * constant<V>(R(0.5)) * norms[0], y = block.y * norms[0], b = block.beta * norms[1];
        for (int l = 0; l < 2; ++l) {
          re[j + l] = select(start, x, re[j + l]);
          im[j + l] = select(start, l == 0 ? y : -y, im[j + l]);
          beta[j + l] = select(start, b, beta[j + l]);
        }
      }
    }
    // tfqz/_form/tolerances.py: cluster, zero_pair, with a margin: what is decided here is only who decides.
    constexpr R kEpsilon = std::numeric_limits<R>::epsilon();
    const V reach = constant<V>(4 * std::pow(kEpsilon, R(1.5))), zero = constant<V>(1000 * kEpsilon * kEpsilon * n_ * n_);
    const V neighbourhood_square = constant<V>(neighbourhood<R>(n_) * neighbourhood<R>(n_));
    for (int j = 0; j < n_; ++j) {
      square[j] = re[j] * re[j] + im[j] * im[j] + beta[j] * beta[j];
      nearness[j] = constant<V>(1);
      over_square[j] = constant<V>(1) / square[j];
      unfit = unfit | !(zero < square[j]);  // NaN too: what failed is left out
      for (int i = 0; i < j; ++i) {
        const V x = re[i] * beta[j] - re[j] * beta[i], y = im[i] * beta[j] - im[j] * beta[i];
        const V distance = x * x + y * y, squares = square[i] * square[j];
        unfit = unfit | (distance <= reach * squares);
        const auto near = crowds & (distance < neighbourhood_square * squares);
        if (!any(near)) continue;
        const V factor = select(near, distance * over_square[i] * over_square[j], constant<V>(1));
        nearness[i] = nearness[i] * factor;
        nearness[j] = nearness[j] * factor;
      }
    }
    for (int j = 0; j < n_; ++j) unfit = unfit | !(constant<V>(crowd<R>() * crowd<R>()) <= nearness[j]);
    std::uint64_t bits = 0;
    V flags = masked(unfit, constant<V>(1));
    for (int lane = 0; lane < kLanes<T>; ++lane) bits |= std::uint64_t{lane_of(&flags, lane) != 0} << lane;
    return bits;
  }

  // E and F in place of P and R, strictly lower parts of G_W and G_Y. S and T are lost.
  void solve(const Convention<T, N>& c) const {
    if constexpr (kComplex<T>) {
      solve_adjoint<R>(n_, c.S, c.T_, c.G_W, c.G_Y);
    } else {
      RealEquations<R>(n_, field(0), field(1), c.G_W, c.G_Y, vectors_ + 5 * n_).solve();
    }
  }

  const int n_;
  const std::size_t size_;
  AlignedArray<R> buffer_;
  N* fields_;
  V* vectors_;
  bool scaled_ = false;
  Powers back_of_a_, back_of_b_;
};

template <typename T>
std::unique_ptr<LockstepGradient<T>> make_gradient(int n) {
  return std::make_unique<GradientInLockstep<T>>(n);
}

}  // namespace HWY_NAMESPACE
}  // namespace tfqz
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace tfqz {

template <typename T>
std::unique_ptr<LockstepGradient<T>> make_lockstep_gradient(const Simd& simd, int n) {
#if HWY_TARGETS & HWY_AVX2
  if (simd.bytes >= 32) return N_AVX2::make_gradient<T>(n);
#endif
  return HWY_STATIC_NAMESPACE::make_gradient<T>(n);
}

}  // namespace tfqz

#endif  // HWY_ONCE
#endif  // per-target include guard
