// As in LAPACK's xTGEX2, what an exchange leaves below the diagonal blocks must be rounding. Its second test, that the exchanged blocks
// turned back are the blocks there were, is left out: reflectors and rotations are orthogonal to rounding whatever they were made of, so
// that nothing but this rest is lost.
#include "algorithms/exchange.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <limits>
#include <type_traits>

#include "algorithms/arithmetic.h"
#include "algorithms/exchange_window.h"
#include "pencil/interruption.h"
#include "pencil/lapack.h"
#include "vectors/widths.h"

namespace tfqz {
namespace {

// What an exchange may leave below the diagonal, of a form of norm 1.
template <typename T>
constexpr Real<T> kRounding = 20 * std::numeric_limits<Real<T>>::epsilon();

// (x, y) becomes (c y + s x, c x - conj(s) y), c^2 + |s|^2 = 1: a permutation where s = 0.
template <typename T>
struct Swap {
  Real<T> c;
  T s;

  Swap adjoint() const { return {c, conjugate(s)}; }
};

// The one that makes (x, y) a multiple of (1, 0); c = 1 for zeros. c = |y| / r, s = conj(x) phase(y) / r.
template <typename T>
inline Swap<T> swap_to_first(T x, T y) {
  using R = Real<T>;
  // Numbers from here up to 1 have squares far from underflow, and so have those that aren't negligible beside them.
  constexpr R kSafe = std::is_same_v<R, float> ? R(0x1p-25) : R(0x1p-400);
  const auto size = [](T number) { return std::max(std::abs(std::real(number)), std::abs(std::imag(number))); };
  const R largest = std::max(size(x), size(y));
  if (largest == 0) return {1, T(0)};
  if (largest < kSafe) {
    x /= largest;
    y /= largest;
  }
  const R of_y = squared(y), over = 1 / std::sqrt(squared(x) + of_y);
  if constexpr (std::is_same_v<T, R>) {
    return {std::abs(y) * over, std::copysign(over, y) * x};
  } else {
    // Of a y that is nothing beside x any phase is as good.
    if (of_y < std::numeric_limits<R>::min() / std::numeric_limits<R>::epsilon()) return {0, over * std::conj(x)};
    const R modulus = std::sqrt(of_y);
    return {modulus * over, (over / modulus) * product(std::conj(x), y)};
  }
}

template <typename T>
inline void apply(Swap<T> G, T& x, T& y) {
  const T first = x, second = y;
  x = G.c * second + product(G.s, first);
  y = G.c * first - product(conjugate(G.s), second);
}

// Columns `column` and column + 1, in the first `count` rows.
template <typename T>
inline void swap_columns(Swap<T> G, Matrix<T> X, int column, int count) {
  T* __restrict x = X.column(column);
  T* __restrict y = X.column(column + 1);
  for (int i = 0; i < count; ++i) apply(G, x[i], y[i]);
}

// Rows `row` and row + 1, from the column `begin` on.
template <typename T>
inline void swap_rows(Swap<T> G, Matrix<T> X, int row, int begin) {
  for (int j = begin; j < X.n; ++j) apply(G, X(row, j), X(row + 1, j));
}

template <typename T>
inline Real<T> frobenius(T x, T y, T z) {
  return std::sqrt(squared(x) + squared(y) + squared(z));
}

// P. Van Dooren, A generalized eigenvalue approach for solving Riccati equations, SIAM J. Sci. Stat. Comput. 2 (1981) 121-135: the null
// vector x of t_22 S - s_22 T is the first of the columns that turn columns, and S x and T x are parallel to the first of those that turn
// rows.
template <typename T>
inline bool exchange_numbers(const SchurForm<T>& form, int row) {
  using R = Real<T>;
  const int next = row + 1;
  T *const s_1 = form.S.column(row) + row, *const s_2 = form.S.column(next) + row;
  T *const t_1 = form.T_.column(row) + row, *const t_2 = form.T_.column(next) + row;
  const R of_s = kRounding<T> * frobenius(s_1[0], s_2[0], s_2[1]), of_t = kRounding<T> * frobenius(t_1[0], t_2[0], t_2[1]);
  // x = (-g, f).
  const T of_1 = product(s_2[1], t_1[0]), of_2 = product(t_2[1], s_1[0]);
  const T f = of_1 - of_2, g = product(s_2[1], t_2[0]) - product(t_2[1], s_2[0]);
  // As columns, which are multiplied from the right.
  const Swap<T> right = swap_to_first(-conjugate(g), conjugate(f));
  s_1[1] = t_1[1] = T(0);
  for (int i = 0; i < 2; ++i) {
    apply(right, s_1[i], s_2[i]);
    apply(right, t_1[i], t_2[i]);
  }
  // Of the two columns that of larger entries beside what they were made of: after the exchange the eigenvalue is s_11 / t_11.
  const bool any_s = s_1[0] != T(0) || s_1[1] != T(0), any_t = t_1[0] != T(0) || t_1[1] != T(0);
  const bool by_s = any_s && (squared(of_1) >= squared(of_2) || !any_t);
  const Swap<T> left = by_s ? swap_to_first(s_1[0], s_1[1]) : swap_to_first(t_1[0], t_1[1]);
  apply(left, s_1[0], s_1[1]);
  apply(left, t_1[0], t_1[1]);
  apply(left, s_2[0], s_2[1]);
  apply(left, t_2[0], t_2[1]);
  if (!(squared(s_1[1]) <= of_s * of_s && squared(t_1[1]) <= of_t * of_t)) return false;
  s_1[1] = t_1[1] = T(0);
  swap_columns(right, form.S, row, row);
  swap_columns(right, form.T_, row, row);
  swap_columns(right, form.Z, row, form.n());
  swap_rows(left, form.S, row, row + 2);
  swap_rows(left, form.T_, row, row + 2);
  if (form.Q.present()) swap_columns(left.adjoint(), form.Q, row, form.n());
  return true;
}

// kRows columns of X from `column` on, in its first `count` rows, times U.
template <typename R, int kRows>
inline void turn_columns(const R* U, Matrix<R> X, int column, int count) {
  R* columns[kRows];
  for (int k = 0; k < kRows; ++k) columns[k] = X.column(column + k);
  for (int i = 0; i < count; ++i) {
    R x[kRows];
    for (int k = 0; k < kRows; ++k) x[k] = columns[k][i];
    for (int j = 0; j < kRows; ++j) {
      R sum = 0;
      for (int k = 0; k < kRows; ++k) sum += x[k] * U[j * kRows + k];
      columns[j][i] = sum;
    }
  }
}

// U^T times kRows rows of X from `row` on, from the column `begin` on.
template <typename R, int kRows>
inline void turn_rows(const R* U, Matrix<R> X, int row, int begin) {
  R rows[kRows][kRows];
  for (int j = 0; j < kRows; ++j) {
    for (int k = 0; k < kRows; ++k) rows[k][j] = U[j * kRows + k];
  }
  for (int column = begin; column < X.n; ++column) {
    R* x = X.column(column) + row;
    R sums[kRows] = {};
    for (int k = 0; k < kRows; ++k) {
      for (int j = 0; j < kRows; ++j) sums[j] += x[k] * rows[k][j];
    }
    for (int j = 0; j < kRows; ++j) x[j] = sums[j];
  }
}

template <typename R, int kRows>
inline bool exchange_blocks(const SchurForm<R>& form, int row, int first) {
  ExchangeWindow<R> window;
  for (int j = 0; j < kRows; ++j) {
    std::copy_n(form.S.column(row + j) + row, kRows, window.S + j * kRows);
    std::copy_n(form.T_.column(row + j) + row, kRows, window.T_ + j * kRows);
  }
  if (!exchange_window(first, kRows - first, &window)) return false;
  for (int j = 0; j < kRows; ++j) {
    std::copy_n(window.S + j * kRows, kRows, form.S.column(row + j) + row);
    std::copy_n(window.T_ + j * kRows, kRows, form.T_.column(row + j) + row);
  }
  turn_columns<R, kRows>(window.Z, form.S, row, row);
  turn_columns<R, kRows>(window.Z, form.T_, row, row);
  turn_columns<R, kRows>(window.Z, form.Z, row, form.n());
  turn_rows<R, kRows>(window.Q, form.S, row, row + kRows);
  turn_rows<R, kRows>(window.Q, form.T_, row, row + kRows);
  if (form.Q.present()) turn_columns<R, kRows>(window.Q, form.Q, row, form.n());
  return true;
}

// Of the blocks that begin at `row`, of `first` rows, and after it, of `second`.
template <typename T>
inline bool exchange(const SchurForm<T>& form, int row, int first, int second) {
  if constexpr (std::is_same_v<T, Real<T>>) {
    if (first + second == 4) return exchange_blocks<T, 4>(form, row, first);
    if (first + second == 3) return exchange_blocks<T, 3>(form, row, first);
  }
  return exchange_numbers(form, row);
}

}  // namespace

template <typename T>
TFQZ_FOR_EACH_VECTOR_WIDTH bool sort_blocks(const SchurForm<T>& form, Row* rows) {
  const int n = form.n();
  // As much as an exchange leaves of t_jj = 0 may stand below the diagonal; the next one would make more of it.
  const auto drop_rounding = [&form](int row, const Row& of) {
    T& t = form.T_(row, row);
    if (of.infinite && std::abs(t) <= kRounding<T>) t = T(0);
  };
  // Insertion: blocks above are in order.
  for (int from = form.block_size(0); from < n;) {
    if (interrupted()) return false;
    const int second = form.block_size(from);
    int to = from;
    while (to > 0 && rows[to - 1].label < rows[from].label) {
      const int first = to > 1 && form.S(to - 1, to - 2) != T(0) ? 2 : 1;
      if (!exchange(form, to - first, first, second)) return false;
      to -= first;
      if (second == 1) drop_rounding(to, rows[from]);
      if (first == 1) drop_rounding(to + second, rows[to]);
    }
    std::rotate(rows + to, rows + from, rows + from + second);
    from += second;
  }
  return true;
}

#define TFQZ_INSTANTIATE(T) template bool sort_blocks<T>(const SchurForm<T>&, Row*)
TFQZ_INSTANTIATE(float);
TFQZ_INSTANTIATE(double);
TFQZ_INSTANTIATE(std::complex<float>);
TFQZ_INSTANTIATE(std::complex<double>);
#undef TFQZ_INSTANTIATE

}  // namespace tfqz
