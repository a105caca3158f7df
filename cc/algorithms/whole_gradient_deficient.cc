// The part of deficient pencils, whose T has zeros on its diagonal.
#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>

#include "algorithms/arithmetic.h"
#include "algorithms/row_matrices.h"
#include "algorithms/whole_gradient.h"

namespace tfqz {

// Which t_jj are 0 up to rounding: `zero_beta` in tfqz/_derivative/convention.py. Returns T's largest modulus, or 1 if that is 0; 0 if none
// is.
template <typename T>
Real<T> WholeGradient<T>::find_infinite(Rows<const T> t) {
  const R reach = 4 * std::numeric_limits<R>::epsilon() * p_;
  R sizes = 0, least = std::numeric_limits<R>::infinity();
  for (int i = 0; i < p_; ++i) {
    least = std::min(least, std::real(t.row(i)[i]));
    for (int j = i; j < p_; ++j) sizes = std::max(sizes, std::abs(std::real(t.row(i)[j])) + std::abs(std::imag(t.row(i)[j])));
  }
  if (least > reach * sizes) return 0;
  R largest = 0;
  for (int i = 0; i < p_; ++i) {
    for (int j = 0; j < p_; ++j) largest = std::max(largest, std::abs(t.row(i)[j]));
  }
  bool any = false;
  for (int j = 0; j < p_; ++j) {
    infinite_[j] = std::real(t.row(j)[j]) <= reach * largest;
    any = any || infinite_[j] != 0;
  }
  if (!any) return 0;
  return largest > 0 ? largest : R(1);
}

// (7'): with zeros on T's diagonal, where D is `scale` here. F is in place of K^H, and E is added to what is there.
template <typename T>
void WholeGradient<T>::solve_deficient(const InnerGradient<T>& inner, R scale) {
  const Rows<const T> t{inner.t, p_}, s2 = s_.from_column(p_);
  const Rows<T> a1 = inside_, b1 = from_row(inside_, p_), e = a1.from_column(p_), f = b1.from_column(p_), product{product_.data, p_};
  copy(t, p_, p_, h_);
  for (int i = 0; i < p_; ++i) {
    if (infinite_[i] != 0) h_.row(i)[i] = scale;
    std::fill_n(v_.row(i), p_, T(0));
    v_.row(i)[i] = 1;
  }
  solve<false>(p_, p_, constant(h_), v_);
  if (left_) {
    copy(constant(v_), p_, p_, h_);
    copy_adjoint(constant(h_), p_, p_, v_);
    copy_adjoint(t, p_, p_, h_);
  } else {
    copy(t, p_, p_, h_);
  }
  int count = 0;
  for (int i = 0; i < p_; ++i) {
    const T* const row = v_.row(i);
    if (infinite_[i] != 0) {
      std::copy_n(row, p_, rows_of_v_.row(i));
      for (int k = 0; k < p_; ++k) left_null_.row(count)[k] = conjugate(row[k]), right_null_.row(count)[k] = v_.row(k)[i];
      ++count;
    } else {
      std::fill_n(rows_of_v_.row(i), p_, T(0));
    }
  }
  // H^H, of which one triangle counts.
  multiply<T>(Form::kAsIs, p_, p_, p_, constant(rows_of_v_), s_, product);
  add(constant(product), p_, p_, h_);
  // Where s_jj is 0 up to rounding as well the pencil is singular, and all that counts is what is finite.
  R largest_s = 0, largest_v = 0;
  for (int i = 0; i < p_; ++i) {
    for (int k = 0; k < p_; ++k) {
      largest_s = std::max(largest_s, std::abs(s_.row(i)[k]));
      largest_v = std::max(largest_v, std::abs(rows_of_v_.row(i)[k]));
    }
  }
  const R rounding = 4 * std::numeric_limits<R>::epsilon() * p_ * largest_s * largest_v;
  for (int i = 0; i < p_; ++i) {
    T& entry = h_.row(i)[i];
    if (infinite_[i] != 0 && std::abs(entry) <= rounding) entry = scale;
  }
  copy_adjoint(constant(h_), p_, p_, product);
  left_ ? solve<false>(p_, d_, constant(product), f) : solve<true>(p_, d_, constant(product), f);

  const Rows<T> more{product_.data, d_}, through{adjoint_.data, d_}, adjoint{adjoint_.data + static_cast<std::size_t>(p_) * d_, p_};
  multiply<T>(Form::kAdjoint, p_, p_, d_, constant(rows_of_v_), constant(f), more);
  add(constant(more), p_, d_, e);
  multiply<T>(Form::kAsIs, p_, p_, d_, constant(v_), s2, through);
  copy_adjoint(constant(through), p_, d_, adjoint);
  multiply<T>(Form::kAsIs, p_, d_, p_, constant(more), constant(adjoint), h_);
  subtract(constant(h_), p_, p_, b1);

  // What would raise the rank of B: F - L F and B1 - L B1 R, with L and R of bases in rows, transposed.
  const int left = orthonormalize(left_null_, count), right = orthonormalize(right_null_, count);
  const Rows<T> basis = h_, of_left = work_;
  for (int i = 0; i < left; ++i) {
    for (int k = 0; k < p_; ++k) basis.row(i)[k] = conjugate(left_null_.row(i)[k]);
  }
  const Rows<T> columns{adjoint_.data, count};  // L = columns basis
  for (int i = 0; i < left; ++i) {
    for (int k = 0; k < p_; ++k) columns.row(k)[i] = left_null_.row(i)[k];
  }
  const Rows<T> raised{v_.data, p_};
  multiply<T>(Form::kAsIs, left, p_, l_, constant(basis), constant(b1), of_left);  // of B1 and F
  for (int i = 0; i < left; ++i) {
    T* const row = of_left.row(i);
    std::fill_n(raised.row(i), p_, T(0));
    for (int r = 0; r < right; ++r) {
      T sum = 0;
      for (int k = 0; k < p_; ++k) sum += tfqz::product(row[k], right_null_.row(r)[k]);
      for (int k = 0; k < p_; ++k) raised.row(i)[k] += tfqz::product(sum, conjugate(right_null_.row(r)[k]));
    }
    std::copy_n(raised.row(i), p_, row);
  }
  const Rows<T> taken = from_row(work_, p_);
  multiply<T>(Form::kAsIs, p_, left, l_, constant(columns), constant(of_left), taken);
  subtract(constant(taken), p_, l_, b1);
}

// Gram and Schmidt, twice, of the first `count` rows; returns how many are not 0.
template <typename T>
int WholeGradient<T>::orthonormalize(Rows<T> vectors, int count) const {
  const auto normalize = [&](T* x) {
    R scale = 0, sum = 0;
    for (int k = 0; k < p_; ++k) scale = std::max(scale, std::abs(x[k]));
    if (!(scale > 0)) return false;
    for (int k = 0; k < p_; ++k) x[k] /= scale, sum += squared(x[k]);
    const R length = std::sqrt(sum);
    for (int k = 0; k < p_; ++k) x[k] /= length;
    return true;
  };
  int kept = 0;
  for (int i = 0; i < count; ++i) {
    T* const x = vectors.row(i);
    bool nonzero = true;
    for (int round = 0; round < 2 && nonzero; ++round) {
      nonzero = normalize(x);
      for (int j = 0; j < kept && nonzero; ++j) {
        const T* const y = vectors.row(j);
        T sum = 0;
        for (int k = 0; k < p_; ++k) sum += product(conjugate(y[k]), x[k]);
        for (int k = 0; k < p_; ++k) x[k] -= product(sum, y[k]);
      }
    }
    if (!nonzero || !normalize(x)) continue;
    if (kept != i) std::copy_n(x, p_, vectors.row(kept));
    ++kept;
  }
  return kept;
}

#define TFQZ_INSTANTIATE(T)                                        \
  template Real<T> WholeGradient<T>::find_infinite(Rows<const T>); \
  template void WholeGradient<T>::solve_deficient(const InnerGradient<T>&, Real<T>)
TFQZ_INSTANTIATE(float);
TFQZ_INSTANTIATE(double);
TFQZ_INSTANTIATE(std::complex<float>);
TFQZ_INSTANTIATE(std::complex<double>);
#undef TFQZ_INSTANTIATE

}  // namespace tfqz
