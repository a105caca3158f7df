// With A = O [S1 S2] U^H and U unitary, all that moves the frame X is in the span of N: the formulas (7) and (7') of
// tfqz/_derivative/compressed.py become, with K = N^H (the cotangent of X) + S2^H A1, d x p,
//
//   F = H^-H K^H     E = (D V)^H F     Ab = O [A1, E + S2b] U^H     Bb = O [B1 - E (V S2)^H, F] U^H
#include "algorithms/whole_gradient.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <type_traits>
#include <utility>

#include "algorithms/arithmetic.h"
#include "algorithms/row_matrices.h"

namespace tfqz {
namespace {

template <typename T>
bool all_zero(const T* x, std::size_t count) {
  return std::all_of(x, x + count, [](T y) { return y == T(0); });
}

// i x; of real dtypes 0.
template <typename T>
T imaginary([[maybe_unused]] Real<T> x) {
  if constexpr (std::is_same_v<T, Real<T>>) {
    return 0;
  } else {
    return T(0, x);
  }
}

}  // namespace

template <typename T>
WholeGradient<T>::WholeGradient(int m, int n, Fork fork)
    : m_(m), n_(n), p_(std::min(m, n)), l_(std::max(m, n)), d_(l_ - p_), left_(m > n), fork_(std::move(fork)), infinite_(p_) {
  std::size_t size = 0;
  const auto place = [&](Rows<T>* of, int rows, int cols) {
    if (!buffer_.empty()) of->data = buffer_.data() + size;
    of->leading = cols;
    size += static_cast<std::size_t>(rows) * cols;
  };
  for (int round = 0; round < 2; ++round) {  // how much, and where
    size = 0;
    if (left_) {
      place(&frame_, l_, l_), place(&frame_bar_, l_, l_);
      place(&factor_, p_, l_), place(&factor_bar_, p_, l_);
    }
    place(&of_u_, l_, l_), place(&of_o_, p_, p_);
    place(&product_, l_, std::max(p_, d_));
    place(&triangle_, d_, d_), place(&turning_, d_, d_), place(&chosen_, d_, p_);
    place(&inside_, 2 * p_, l_), place(&work_, 2 * p_, l_), place(&adjoint_, l_, std::max(l_, 2 * p_));
    place(&h_, p_, p_), place(&v_, p_, p_), place(&rows_of_v_, p_, p_);
    place(&left_null_, p_, p_), place(&right_null_, p_, p_);
    if (buffer_.empty()) buffer_.resize(size);
  }
}

template <typename T>
bool WholeGradient<T>::succeeded(const ConstFactors<T>& factors, const Cotangents<T>& cotangents, const Pair<T>& pencil) const {
  bool finite = true;
  for (int i = 0; i < p_; ++i) finite = finite && std::isfinite(std::real(factors.s[i * (n_ + std::size_t{1})]));
  if (finite) return true;
  const std::size_t size = static_cast<std::size_t>(m_) * n_;
  const bool unused = all_zero(cotangents.s, size) && all_zero(cotangents.t, size) &&
                      all_zero(cotangents.q, static_cast<std::size_t>(m_) * m_) &&
                      all_zero(cotangents.z, static_cast<std::size_t>(n_) * n_);
  const T value = unused ? T(0) : T(std::numeric_limits<R>::quiet_NaN());
  std::fill_n(pencil.first, size, value);
  std::fill_n(pencil.second, size, value);
  return false;
}

// What is said of m < n: factors and, if `all`, cotangents.
template <typename T>
void WholeGradient<T>::read(const ConstFactors<T>& factors, const Cotangents<T>& cotangents, bool all) {
  if (!left_) {
    o_ = {factors.q, p_}, o_bar_ = {cotangents.q, p_};
    u_ = {factors.z, l_}, u_bar_ = {cotangents.z, l_};
    s_ = {factors.s, l_}, s_bar_ = {cotangents.s, l_};
    return;
  }
  // The columns of the complement count away from the block.
  const auto turned = [&](const T* from, Rows<T> to) {
    for (int i = 0; i < l_; ++i, from += l_) {
      std::copy_n(from + d_, p_, to.row(i));
      std::reverse_copy(from, from + d_, to.row(i) + p_);
    }
  };
  const auto adjoint = [&](const T* from, Rows<T> to) {
    for (int i = 0; i < l_; ++i, from += p_) {
      const int j = i < d_ ? l_ - 1 - i : i - d_;
      for (int k = 0; k < p_; ++k) to.row(k)[j] = conjugate(from[k]);
    }
  };
  o_ = {factors.z, p_}, o_bar_ = {cotangents.z, p_};
  turned(factors.q, frame_);
  adjoint(factors.s, factor_);
  adjoint(cotangents.s, factor_bar_);
  if (all) turned(cotangents.q, frame_bar_);
  u_ = constant(frame_), u_bar_ = constant(frame_bar_);
  s_ = constant(factor_), s_bar_ = constant(factor_bar_);
}

template <typename T>
void WholeGradient<T>::prepare(const ConstFactors<T>& factors, const Cotangents<T>& cotangents, const int32_t* rows,
                               const InnerGradient<T>& inner) {
  read(factors, cotangents, /*all=*/true);
  const std::size_t block = left_ ? static_cast<std::size_t>(d_) * n_ : 0;
  copy<T>({factors.s + block, n_}, p_, p_, {inner.s, p_});
  copy<T>({factors.t + block, n_}, p_, p_, {inner.t, p_});
  copy<T>({cotangents.s + block, n_}, p_, p_, {inner.s_bar, p_});
  copy<T>({cotangents.t + block, n_}, p_, p_, {inner.t_bar, p_});

  const Rows<const T> s2 = s_.from_column(p_), s2_bar = s_bar_.from_column(p_);
  const Rows<T> across = of_u_.from_column(p_), within = from_row(across, p_), adjoint{adjoint_.data, p_};
  const int half = fork_ ? l_ / 2 : 0;
  both([&] { multiply<T>(Form::kAdjoint, l_, l_, half, u_, u_bar_, of_u_); },
       [&] { multiply<T>(Form::kAdjoint, l_, l_, l_ - half, u_, u_bar_.from_column(half), of_u_.from_column(half)); });
  multiply<T>(Form::kAdjoint, p_, p_, p_, o_, o_bar_, of_o_);
  // S2 = O^H A N is a function of both frames.
  multiply<T>(Form::kAdjoint, l_, p_, d_, s_, s2_bar, {product_.data, d_});
  add<T>({product_.data, d_}, l_, d_, across);
  copy_adjoint(s2_bar, p_, d_, adjoint);
  multiply<T>(Form::kAsIs, p_, d_, p_, s2, constant(adjoint), {product_.data, p_});
  add<T>({product_.data, p_}, p_, p_, of_o_);
  if constexpr (!std::is_same_v<T, R>) keep_largest_real(inner);

  // N is a function of what X spans: bases.py.
  for (int i = 0; i < d_; ++i) {
    const bool chosen = rows[i] >= 0 && rows[i] < l_;
    const T* const row = chosen ? u_.row(rows[i]) : nullptr;
    for (int j = 0; j < p_; ++j) chosen_.row(i)[j] = chosen ? row[j] : T(0);
    for (int j = 0; j < d_; ++j) triangle_.row(i)[j] = chosen ? row[p_ + j] : T(0);
    for (int j = 0; j < i; ++j) turning_.row(i)[j] = T(0);
    turning_.row(i)[i] = imaginary<T>(std::imag(within.row(i)[i]));
    for (int j = i + 1; j < d_; ++j) turning_.row(i)[j] = within.row(i)[j] - conjugate(within.row(j)[i]);
  }
  solve<true>(d_, p_, constant(triangle_), chosen_);
  const Rows<T> beside{inner.beside, p_};
  multiply<T>(Form::kAdjoint, d_, d_, p_, constant(turning_), constant(chosen_), beside);
  add<T>(constant(from_row(of_u_, p_)), d_, p_, beside);
  copy_adjoint(constant(across), p_, d_, adjoint);
  subtract<T>(constant(adjoint), d_, p_, beside);

  copy(constant(left_ ? of_u_ : of_o_), p_, p_, {inner.q_bar, p_});
  copy(constant(left_ ? of_o_ : of_u_), p_, p_, {inner.z_bar, p_});
}

// Complex dtypes: the largest entry of each column of Z that belongs to the block stays real, which the square pencil's frames I don't
// tell.
template <typename T>
void WholeGradient<T>::keep_largest_real(const InnerGradient<T>& inner) {
  constexpr R kReach = 1 - 2048 * std::numeric_limits<R>::epsilon();  // of squares: pencil/canonical.h
  const Rows<const T> z = left_ ? o_ : u_;
  const Rows<T> of_z = left_ ? of_o_ : of_u_;
  const int size = left_ ? p_ : l_;
  for (int j = 0; j < p_; ++j) {
    R turn = std::imag(of_u_.row(j)[j] + of_o_.row(j)[j]);
    for (const auto& [x, x_bar] : {std::pair(inner.s, inner.s_bar), std::pair(inner.t, inner.t_bar)}) {
      const auto entry = [&, x = x, x_bar = x_bar](int i, int k) {
        const std::size_t here = static_cast<std::size_t>(i) * p_ + k;
        return std::imag(product(conjugate(x[here]), x_bar[here]));
      };
      for (int i = 0; i < j; ++i) turn += entry(i, j);
      for (int k = j + 1; k < p_; ++k) turn -= entry(j, k);
    }
    R largest = 0;
    int pivot = 0;
    for (int i = 0; i < size; ++i) largest = std::max(largest, squared(z.row(i)[j]));
    while (pivot + 1 < size && !(squared(z.row(pivot)[j]) >= kReach * largest)) ++pivot;
    const R length = std::real(z.row(pivot)[j]);
    if (turn == 0 || length == 0) continue;
    const T change = imaginary<T>(-turn / length);
    for (int i = 0; i < size; ++i) of_z.row(i)[j] += product(conjugate(z.row(pivot)[i]), change);
  }
}

template <typename T>
void WholeGradient<T>::finish(const ConstFactors<T>& factors, const Cotangents<T>& cotangents, const InnerGradient<T>& inner,
                              const Pair<T>& pencil) {
  read(factors, cotangents, /*all=*/false);
  const Rows<const T> t{inner.t, p_}, s2 = s_.from_column(p_), s2_bar = s_bar_.from_column(p_);
  const Rows<T> a1 = inside_, b1 = from_row(inside_, p_), e = a1.from_column(p_), f = b1.from_column(p_);
  if (left_) {
    copy_adjoint<T>({inner.a_bar, p_}, p_, p_, a1);
    copy_adjoint<T>({inner.b_bar, p_}, p_, p_, b1);
  } else {
    copy<T>({inner.a_bar, p_}, p_, p_, a1);
    copy<T>({inner.b_bar, p_}, p_, p_, b1);
  }
  const Rows<T> beside{product_.data, p_};
  multiply<T>(Form::kAdjoint, d_, p_, p_, s2, constant(a1), beside);
  add<T>({inner.beside, p_}, d_, p_, beside);
  copy_adjoint(constant(beside), d_, p_, f);

  copy(s2_bar, p_, d_, e);
  const R scale = find_infinite(t);
  if (scale > 0) {
    solve_deficient(inner, scale);
  } else if (left_) {
    solve<false>(p_, d_, t, f);
  } else {
    copy_adjoint(t, p_, p_, h_);
    solve<true>(p_, d_, constant(h_), f);
  }

  const Rows<T> adjoint{adjoint_.data, left_ ? 2 * p_ : l_};
  if (!left_) copy_adjoint(u_, l_, l_, adjoint);
  const auto between = [&](int which, T* to) {
    const Rows<T> work = from_row(work_, which * p_);
    multiply<T>(Form::kAsIs, p_, p_, l_, o_, constant(from_row(inside_, which * p_)), work);
    if (left_) {
      const Rows<T> adjoint_work = adjoint.from_column(which * p_);
      copy_adjoint(constant(work), p_, l_, adjoint_work);
      multiply<T>(Form::kAsIs, l_, l_, p_, u_, constant(adjoint_work), {to, p_});
    } else {
      multiply<T>(Form::kAsIs, p_, l_, l_, constant(work), constant(adjoint), {to, l_});
    }
  };
  both([&] { between(0, pencil.first); }, [&] { between(1, pencil.second); });
}

template class WholeGradient<float>;
template class WholeGradient<double>;
template class WholeGradient<std::complex<float>>;
template class WholeGradient<std::complex<double>>;

}  // namespace tfqz
