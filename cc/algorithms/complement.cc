// The orthogonal complement by Householder's reflectors of x; then the rows by Gram-Schmidt with pivoting, and QR of the adjoint of what
// they are. Large ones by products of matrices: the rows by Cholesky's decomposition with pivoting of the projector, whose pivots are the
// same lengths, and none of them less than 1 / l.
#include "algorithms/complement.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>

#include "algorithms/arithmetic.h"
#include "algorithms/row_choice.h"

namespace tfqz {
namespace {

// Up to so many entries of the basis loops take less than LAPACK.
constexpr int kLargestInLoops = 40 * 40;
// Columns of Cholesky's decomposition between two products of matrices.
constexpr int kBlock = 32;

}  // namespace

template <typename T>
ComplementFinder<T>::ComplementFinder(int l, int p)
    : l_(l),
      p_(p),
      d_(l - p),
      small_(static_cast<int64_t>(l) * d_ <= kLargestInLoops),
      householder_(l),
      X_(l, p),
      raw_(l, d_),
      tau_(l),
      v_(2 * static_cast<std::size_t>(l)),
      lengths_(l) {
  if (small_) return;
  P_ = Buffer<T>(l, l);
  block_ = Buffer<T>(l, kBlock);
  chosen_ = Buffer<T>(d_, d_);
  others_ = Buffer<T>(d_, p);
}

template <typename T>
void ComplementFinder<T>::operator()(const T* x, T* basis, int32_t* rows) {
  if (!std::isfinite(sum_of_squares(x, static_cast<std::size_t>(l_) * p_))) {
    for (int j = 0; j < d_; ++j) rows[j] = j;
    std::fill_n(basis, static_cast<std::size_t>(l_) * d_, T(std::numeric_limits<R>::quiet_NaN()));
    return;
  }
  const Columns<T> X = X_.all(), raw = raw_.all();
  read(x, /*adjoint=*/false, X);
  if (!small_) choose_in_blocks(X, rows);
  const Reflectors<T> q = householder_.factor(X, tau_.data());
  for (int j = 0; j < d_; ++j) {
    std::fill_n(raw.column(j), l_, T(0));
    raw(p_ + j, j) = T(1);
  }
  householder_.apply(q, 0, raw);
  if (small_) {
    choose_in_loops(raw, rows);
    write(raw, basis);
  } else {
    write(raw, basis);
    triangularize_by_lapack({basis, d_, l_, d_}, rows);
  }
}

template <typename T>
void ComplementFinder<T>::triangularize(T* basis, int32_t* rows) {
  const Columns<T> raw = raw_.all();
  read(basis, /*adjoint=*/false, raw);
  choose_in_loops(raw, rows);
  write(raw, basis);
}

// As row_choice.h says; again in ascending order.
template <typename T>
void ComplementFinder<T>::choose_in_loops(Columns<T> y, int32_t* rows) {
  const auto turn = [&](int j) { turn_row(y.data, l_, y.leading, rows[j], j, d_, v_.data(), v_.data() + l_); };
  for (int j = 0; j < d_; ++j) {
    measure_rows(y.data, y.leading, j, d_, &lengths_);
    rows[j] = first_longest(lengths_);
    turn(j);
  }
  if (std::is_sorted(rows, rows + d_)) return;
  std::sort(rows, rows + d_);
  for (int j = 0; j < d_; ++j) turn(j);
}

// Of I - x x^H, of which the lower triangle is kept.
template <typename T>
void ComplementFinder<T>::choose_in_blocks(Columns<T> x, int32_t* rows) {
  const Columns<T> P = P_.all(), block = block_.all();
  const R minus = -1, plus = 1;
  set_identity(P);
  if (p_ > 0) Lapack<T>::herk("L", "N", &l_, &p_, &minus, x.data, &x.leading, &plus, P.data, &P.leading, 1, 1);
  for (int i = 0; i < l_; ++i) lengths_[i] = std::real(P(i, i));
  for (int k = 0; k < d_; ++k) {
    int row = first_longest(lengths_);
    // Only columns that aren't orthonormal, and overflow, make it one that was chosen before.
    for (int i = 0; std::find(rows, rows + k, row) != rows + k; ++i) row = i;
    rows[k] = row;
    const int in_block = k % kBlock;
    T* w = block.column(in_block);
    for (int i = 0; i < row; ++i) w[i] = conjugate(P(row, i));
    for (int i = row; i < l_; ++i) w[i] = P(i, row);
    for (int j = 0; j < in_block; ++j) {
      const T* before = block.column(j);
      const T factor = conjugate(before[row]);
      for (int i = 0; i < l_; ++i) w[i] -= product(factor, before[i]);
    }
    const R scale = 1 / std::sqrt(std::max(std::real(w[row]), std::numeric_limits<R>::min()));
    for (int i = 0; i < l_; ++i) {
      w[i] *= scale;
      lengths_[i] -= squared(w[i]);
    }
    for (int j = 0; j <= k; ++j) lengths_[rows[j]] = -1;
    const int done = in_block + 1;
    if (done == kBlock && k + 1 < d_) {
      Lapack<T>::herk("L", "N", &l_, &done, &minus, block.data, &block.leading, &plus, P.data, &P.leading, 1, 1);
    }
  }
  std::sort(rows, rows + d_);
}

// `y`: the basis, transposed.
template <typename T>
void ComplementFinder<T>::triangularize_by_lapack(Columns<T> y, const int32_t* rows) {
  const Columns<T> chosen = chosen_.all(), others = others_.all();
  const auto each = [&](const auto& of_chosen, const auto& of_other) {
    for (int i = 0, k = 0, j = 0; i < l_; ++i) k < d_&& rows[k] == i ? of_chosen(i, k++) : of_other(i, j++);
  };
  each([&](int i, int k) { std::copy_n(y.column(i), d_, chosen.column(k)); },
       [&](int i, int j) { std::copy_n(y.column(i), d_, others.column(j)); });
  householder_.apply_adjoint(householder_.factor(chosen, tau_.data()), others);
  const auto sign = [&](int j) { return std::real(chosen(j, j)) < 0 ? R(-1) : R(1); };
  each(
      [&](int i, int k) {
        T* to = y.column(i);
        for (int j = 0; j < k; ++j) to[j] = chosen(j, k) * sign(j);
        to[k] = std::abs(std::real(chosen(k, k)));
        std::fill(to + k + 1, to + d_, T(0));
      },
      [&](int i, int j) {
        for (int k = 0; k < d_; ++k) y(k, i) = others(k, j) * sign(k);
      });
}

template class ComplementFinder<float>;
template class ComplementFinder<double>;
template class ComplementFinder<std::complex<float>>;
template class ComplementFinder<std::complex<double>>;

}  // namespace tfqz
