// With the phases D that make the largest entries of Z1 = x z positive, where q (S, T) z^H is the inner pencil,
//
//   right:   Q = q D     Z = [Z1 D, beside]             S = [D^H S D, Q^H a beside]    T = [D^H T D, 0]
//   left:    Q = [beside', x q]     Z = z               S = [beside'^H a z; S]         T = [0; T]
//
// where beside' is beside from its last column to its first.
#include "algorithms/extension.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>

#include "algorithms/arithmetic.h"
#include "algorithms/householder.h"
#include "algorithms/row_matrices.h"
#include "pencil/matrix.h"
#include "pencil/phase.h"

namespace tfqz {
template <typename T>
Extender<T>::Extender(int m, int n, bool left)
    : m_(m),
      n_(n),
      p_(std::min(m, n)),
      d_(std::max(m, n) - p_),
      left_(left),
      outside_(static_cast<std::size_t>(p_) * d_),
      of_rows_(p_),
      of_columns_(p_) {}

template <typename T>
void Extender<T>::operator()(const T* a, const T* x, const T* beside, const ConstFactors<T>& inner, const Factors<T>& whole) {
  const std::size_t size = static_cast<std::size_t>(p_) * p_;
  if (std::isfinite(sum_of_squares(inner.s, size)) || all_finite(inner.s, size)) {
    left_ ? extend_left(a, x, beside, inner, whole) : extend_right(a, x, beside, inner, whole);
    return;
  }
  const T nan(std::numeric_limits<R>::quiet_NaN());
  const std::size_t m = m_, n = n_;
  std::fill_n(whole.s, m * n, nan);
  std::fill_n(whole.t, m * n, nan);
  std::fill_n(whole.q, m * m, nan);
  std::fill_n(whole.z, n * n, nan);
}

template <typename T>
void Extender<T>::extend_right(const T* a, const T* x, const T* beside, const ConstFactors<T>& inner, const Factors<T>& whole) {
  const Rows<T> Q{whole.q, m_}, Z{whole.z, n_}, S{whole.s, n_}, outside{outside_.data(), d_};
  multiply<T>(Form::kAsIs, n_, p_, p_, {x, p_}, {inner.z, p_}, Z);
  copy<T>({beside, d_}, n_, d_, Z.from_column(p_));
  T* phases = of_columns_.data();
  int j = 0;
  for (; j + 4 <= p_; j += 4) turn<4>(Z.from_column(j), n_, phases + j);
  for (; j < p_; ++j) turn<1>(Z.from_column(j), n_, phases + j);
  of_rows_ = of_columns_;
  for_undetermined(inner, [&](int j) { of_rows_[j] = T(1); });
  for (int i = 0; i < m_; ++i) {
    const T* from = inner.q + static_cast<std::size_t>(i) * p_;
    T* to = Q.row(i);
    for (int j = 0; j < p_; ++j) to[j] = product(from[j], of_rows_[j]);
  }
  for_undetermined(inner, [&](int j) { turn<1>(Q.from_column(j), m_, &of_rows_[j]); });
  write_turned(inner.s, S);
  write_turned(inner.t, {whole.t, n_});
  for (int i = 0; i < m_; ++i) std::fill_n(whole.t + static_cast<std::size_t>(i) * n_ + p_, d_, T(0));
  multiply<T>(Form::kAsIs, m_, n_, d_, {a, n_}, {beside, d_}, outside);
  multiply<T>(Form::kAdjoint, m_, m_, d_, {whole.q, m_}, {outside_.data(), d_}, S.from_column(p_));
}

template <typename T>
void Extender<T>::extend_left(const T* a, const T* x, const T* beside, const ConstFactors<T>& inner, const Factors<T>& whole) {
  const Rows<T> Q{whole.q, m_}, S{whole.s, n_}, outside{outside_.data(), n_};
  const Rows<const T> z{inner.z, n_};
  for (int i = 0; i < m_; ++i) std::reverse_copy(beside + static_cast<std::size_t>(i) * d_, beside + (i + std::size_t{1}) * d_, Q.row(i));
  multiply<T>(Form::kAsIs, m_, p_, p_, {x, p_}, {inner.q, p_}, Q.from_column(d_));
  copy<T>(z, n_, n_, {whole.z, n_});
  std::fill(of_rows_.begin(), of_rows_.end(), T(1));
  std::fill(of_columns_.begin(), of_columns_.end(), T(1));
  for_undetermined(inner, [&](int j) { turn<1>(Q.from_column(d_ + j), m_, &of_rows_[j]); });
  const std::size_t above = static_cast<std::size_t>(d_) * n_;
  write_turned(inner.s, {whole.s + above, n_});
  write_turned(inner.t, {whole.t + above, n_});
  std::fill_n(whole.t, above, T(0));
  multiply<T>(Form::kAdjoint, d_, m_, n_, {whole.q, m_}, {a, n_}, outside);
  multiply<T>(Form::kAsIs, d_, n_, n_, {outside_.data(), n_}, z, S);
}

// Multiplies each column by the phase, to `phases`, that makes its largest entry real and positive: of those that are as large up to
// rounding, as pencil/canonical.h says, the first.
template <typename T>
template <int kCols>
void Extender<T>::turn(Rows<T> x, int rows, T* phases) {
  constexpr R kReach = 1 - 2048 * std::numeric_limits<R>::epsilon();  // of squares
  R reach[kCols] = {};
  for (int i = 0; i < rows; ++i) {
    const T* row = x.row(i);
    for (int j = 0; j < kCols; ++j) reach[j] = std::max(reach[j], kReach * squared(row[j]));
  }
  int pivots[kCols] = {};
  for (int i = rows; i-- > 0;) {
    const T* row = x.row(i);
    for (int j = 0; j < kCols; ++j) pivots[j] = squared(row[j]) >= reach[j] ? i : pivots[j];
  }
  T turns[kCols];
  for (int j = 0; j < kCols; ++j) turns[j] = conjugate(phase(x.row(pivots[j])[j]));
  for (int i = 0; i < rows; ++i) {
    T* row = x.row(i);
    for (int j = 0; j < kCols; ++j) row[j] = product(row[j], turns[j]);
  }
  for (int j = 0; j < kCols; ++j) {
    T& pivot = x.row(pivots[j])[j];
    pivot = std::real(pivot);
    phases[j] = turns[j];
  }
}

// Columns of Q whose phase no eigenvalue tells: s_jj = t_jj = 0.
template <typename T>
template <typename Act>
void Extender<T>::for_undetermined(const ConstFactors<T>& inner, const Act& act) const {
  for (int j = 0; j < p_; ++j) {
    const std::size_t place = static_cast<std::size_t>(j) * p_ + j;
    if (inner.s[place] == T(0) && inner.t[place] == T(0)) act(j);
  }
}

// D1^H X D2, with the phases of rows and of columns. On the diagonal they are inverse, or the entry is 0.
template <typename T>
void Extender<T>::write_turned(const T* from, Rows<T> to) const {
  for (int i = 0; i < p_; ++i, from += p_) {
    const T left = conjugate(of_rows_[i]);
    T* row = to.row(i);
    for (int j = 0; j < p_; ++j) row[j] = product(from[j], product(left, of_columns_[j])) + T(0);  // no zeros with a sign
    row[i] = from[i];
  }
}

template class Extender<float>;
template class Extender<double>;
template class Extender<std::complex<float>>;
template class Extender<std::complex<double>>;

}  // namespace tfqz
