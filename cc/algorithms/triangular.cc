#include "algorithms/triangular.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "vectors/widths.h"

namespace tfqz {
namespace {

// Blocks up to this size are substituted entry by entry; larger ones are cut in two, with a matrix product between the halves.
constexpr int kLargestSubstituted = 24;

// Without the tests for infinities of C++'s product and quotient; the quotient's divisor is at most of order 1 here.
template <typename R>
R product(R x, R y) {
  return x * y;
}
template <typename R>
std::complex<R> product(std::complex<R> x, std::complex<R> y) {
  return {x.real() * y.real() - x.imag() * y.imag(), x.real() * y.imag() + x.imag() * y.real()};
}
template <typename R>
R inverse(R x) {
  return 1 / x;
}
template <typename R>
std::complex<R> inverse(std::complex<R> x) {
  const R size = std::max(std::abs(x.real()), std::abs(x.imag()));
  const R re = x.real() / size, im = x.imag() / size, square = (re * re + im * im) * size;
  return {re / square, -im / square};
}

template <typename R>
R squared(R x) {
  return x * x;
}
template <typename R>
R squared(std::complex<R> x) {
  return std::norm(x);
}

// y -= x a + z b for `count` entries, a and b conjugated or not.
template <bool kConjugate, typename R>
inline void subtract(int count, R x, const R* __restrict a, R z, const R* __restrict b, R* __restrict y) {
  for (int k = 0; k < count; ++k) y[k] -= x * a[k] + z * b[k];
}
template <bool kConjugate, typename R>
inline void subtract(int count, std::complex<R> x, const std::complex<R>* a, std::complex<R> z, const std::complex<R>* b,
                     std::complex<R>* y) {
  const R* __restrict p = reinterpret_cast<const R*>(a);
  const R* __restrict q = reinterpret_cast<const R*>(b);
  R* __restrict out = reinterpret_cast<R*>(y);
  const R xr = x.real(), xi = x.imag(), zr = z.real(), zi = z.imag(), sign = kConjugate ? -1 : 1;
  for (int k = 0; k < count; ++k) {
    const R pr = p[2 * k], pi = sign * p[2 * k + 1], qr = q[2 * k], qi = sign * q[2 * k + 1];
    out[2 * k] -= xr * pr - xi * pi + zr * qr - zi * qi;
    out[2 * k + 1] -= xr * pi + xi * pr + zr * qi + zi * qr;
  }
}
template <typename T>
inline void subtract_one(int count, T x, const T* __restrict a, T* __restrict y) {
  for (int k = 0; k < count; ++k) y[k] -= product(x, a[k]);
}

enum class Op : char { kNone = 'N', kTranspose = 'T', kAdjoint = 'C' };

// C += factor op(A) op(B) for column-major A, B, C of one leading dimension; C is m x n.
template <typename T>
void multiply_add(Op op_a, Op op_b, int m, int n, int k, int factor, const T* a, const T* b, T* c, int leading) {
  const char transpose_a = static_cast<char>(op_a), transpose_b = static_cast<char>(op_b);
  const T alpha = T(factor), beta = T(1);
  Lapack<T>::gemm(&transpose_a, &transpose_b, &m, &n, &k, &alpha, a, &leading, b, &leading, &beta, c, &leading, 1, 1);
}

}  // namespace

template <typename T>
TriangularSolver<T>::TriangularSolver(int n, bool adjoint, bool ordinary)
    : n_(n),
      adjoint_(adjoint),
      ordinary_(ordinary),
      // tfqz/_form/tolerances.py: equal_eigenvalues, zero_pair.
      equal_(16 * std::numeric_limits<R>::epsilon() * std::sqrt(static_cast<R>(n))),
      zero_(4 * std::numeric_limits<R>::epsilon() * n),
      matrices_(n, adjoint ? 6 : 8),
      s_rows_(matrices_[0]),
      t_rows_(matrices_[1]),
      s_columns_(matrices_[2]),
      t_columns_(matrices_[3]),
      first_rows_(matrices_[4]),
      second_rows_(matrices_[adjoint ? 4 : 6]),
      first_columns_(matrices_[adjoint ? 5 : 7]),
      second_columns_(matrices_[5]),
      block_of_(n) {
  blocks_.reserve(n);
}

template <typename T>
void TriangularSolver<T>::operator()(const T* s, const T* t, const Pair<const T>& right_hand_sides, const Pair<T>& unknowns) {
  read_coefficients(s, t);
  read_right_hand_sides(right_hand_sides);
  solve_lower(0, n_);
  write_unknowns(unknowns);
}

template <typename T>
void TriangularSolver<T>::read_coefficients(const T* s, const T* t) {
  const std::size_t size = static_cast<std::size_t>(n_) * n_;
  const auto largest = [size](const T* x) {
    R square = 0, modulus = 0;
    for (std::size_t k = 0; k < size; ++k) square = std::max(square, squared(x[k]));
    if (square > std::numeric_limits<R>::min() / std::numeric_limits<R>::epsilon() && square < std::numeric_limits<R>::max()) {
      return std::sqrt(square);
    }
    for (std::size_t k = 0; k < size; ++k) modulus = std::max(modulus, std::abs(x[k]));
    return modulus > 0 ? modulus : R(1);
  };
  norm_s_ = largest(s);
  norm_t_ = largest(t);
  const R by_s = 1 / norm_s_, by_t = 1 / norm_t_;
  const bool exact = std::isfinite(by_s) && std::isfinite(by_t);
  for (int i = 0; i < n_; ++i) {
    for (int j = std::max(0, i - 1); j < n_; ++j) {
      const std::size_t k = static_cast<std::size_t>(i) * n_ + j;
      const T x = exact ? s[k] * by_s : s[k] / norm_s_, y = exact ? t[k] * by_t : t[k] / norm_t_;
      s_rows_.column(i)[j] = s_columns_.column(j)[i] = x;
      t_rows_.column(i)[j] = t_columns_.column(j)[i] = y;
    }
  }
  find_blocks();
}

template <typename T>
void TriangularSolver<T>::find_blocks() {
  blocks_.clear();
  for (int begin = 0; begin < n_; begin += blocks_.back().size) {
    const bool pair = std::is_same_v<T, R> && begin + 1 < n_ && s_rows_.column(begin + 1)[begin] != T(0);
    Block block;
    block.begin = begin;
    block.size = pair ? 2 : 1;
    block.s[0][0] = s_rows_.column(begin)[begin];
    block.t[0][0] = t_rows_.column(begin)[begin];
    if (pair) triangularize(&block);
    for (int k = 0; k < block.size; ++k) block_of_[begin + k] = static_cast<int>(blocks_.size());
    blocks_.push_back(block);
  }
}

// The first column of H is the right eigenvector of the block's eigenvalue with positive imaginary part, that of G the direction of
// T times it: tfqz/_form/blocks.py, triangularize.
template <typename T>
void TriangularSolver<T>::triangularize(Block* block) const {
  const int k = block->begin;
  const auto entry = [&](const Matrix<T>& rows, int i, int j) { return std::real(rows.column(k + i)[k + j]); };
  const R a = entry(t_rows_, 0, 0), d = entry(t_rows_, 1, 1), rho = std::sqrt(d / a), root = std::sqrt(rho);
  const R p = entry(s_rows_, 0, 0) * rho, s = entry(s_rows_, 1, 1) / rho, q = entry(s_rows_, 0, 1), r = entry(s_rows_, 1, 0);
  const R outer = std::sqrt(std::abs(q)) * std::sqrt(std::abs(r)), inner = std::abs(p - s) / 2;
  const Complex alpha((p + s) / 2, std::sqrt(std::max(outer - inner, R(0))) * std::sqrt(outer + inner));
  const bool from_first = std::abs(q) >= std::abs(r);
  const Complex v1 = from_first ? Complex(q) : alpha - s, v2 = from_first ? alpha - p : Complex(r);
  const auto unitary = [](Complex x1, Complex x2, Complex(&u)[2][2]) {
    const R largest = std::max(std::abs(x1), std::abs(x2));
    x1 /= largest;
    x2 /= largest;
    const R norm = std::sqrt(std::norm(x1) + std::norm(x2));
    u[0][0] = x1 / norm;
    u[1][0] = x2 / norm;
    u[0][1] = -std::conj(u[1][0]);
    u[1][1] = std::conj(u[0][0]);
  };
  unitary(v1 / root, v2 * root, block->g);
  unitary(v1 * root, v2 / root, block->h);
  const auto transform = [&](const Matrix<T>& rows, Complex(&x)[2][2]) {
    for (int i = 0; i < 2; ++i) {
      for (int j = i; j < 2; ++j) {
        x[i][j] = 0;
        for (int l = 0; l < 2; ++l) {
          for (int m = 0; m < 2; ++m) x[i][j] += std::conj(block->g[l][i]) * entry(rows, l, m) * block->h[m][j];
        }
      }
    }
  };
  transform(s_rows_, block->s);
  transform(t_rows_, block->t);
}

template <typename T>
void TriangularSolver<T>::read_right_hand_sides(const Pair<const T>& right_hand_sides) {
  const T factor_first = adjoint_ ? T(1) : T(1 / norm_s_), factor_second = adjoint_ ? T(-1) : T(1 / norm_t_);
  for (int i = 0; i < n_; ++i) {
    const std::size_t row = static_cast<std::size_t>(i) * n_;
    const int end = blocks_[block_of_[i]].begin;
    for (int j = 0; j < n_; ++j) {
      const bool lower = j < end;
      const T x = lower ? right_hand_sides.first[row + j] * factor_first : T(0);
      const T y = lower ? right_hand_sides.second[row + j] * factor_second : T(0);
      first_rows_.column(i)[j] = x;
      second_columns_.column(j)[i] = y;
      if (!adjoint_) second_rows_.column(i)[j] = first_columns_.column(j)[i] = T(0);
    }
  }
}

template <typename T>
void TriangularSolver<T>::write_unknowns(const Pair<T>& unknowns) const {
  const T factor_first = adjoint_ ? T(1 / norm_s_) : T(1), factor_second = adjoint_ ? T(1 / norm_t_) : T(1);
  for (int i = 0; i < n_; ++i) {
    const std::size_t row = static_cast<std::size_t>(i) * n_;
    const int end = blocks_[block_of_[i]].begin;
    for (int j = 0; j < end; ++j) {
      unknowns.first[row + j] = first_rows_.column(i)[j] * factor_first;
      unknowns.second[row + j] = second_columns_.column(j)[i] * factor_second;
    }
    std::fill(unknowns.first + row + end, unknowns.first + row + n_, T(0));
    std::fill(unknowns.second + row + end, unknowns.second + row + n_, T(0));
  }
}

// About the middle, and not inside a block.
template <typename T>
int TriangularSolver<T>::split(int begin, int end) const {
  return blocks_[block_of_[begin + (end - begin) / 2]].begin;
}

// The unknowns below the diagonal of rows and columns [begin, end), which those outside need, or don't need any more.
template <typename T>
void TriangularSolver<T>::solve_lower(int begin, int end) {
  if (end - begin <= kLargestSubstituted) return substitute(begin, end, begin, end, /*lower=*/true);
  const int middle = split(begin, end);
  if (adjoint_) {
    solve_lower(begin, middle);
    solve_lower(middle, end);
    update_rows(middle, end, middle, end, begin, middle);
    update_columns(begin, middle, middle, end, begin, middle);
    solve_block(middle, end, begin, middle);
  } else {
    solve_block(middle, end, begin, middle);
    update_columns(middle, end, begin, middle, begin, middle);
    update_rows(middle, end, begin, middle, middle, end);
    solve_lower(begin, middle);
    solve_lower(middle, end);
  }
}

// Those of a block below the diagonal, given what others add.
template <typename T>
void TriangularSolver<T>::solve_block(int i_begin, int i_end, int j_begin, int j_end) {
  const int rows = i_end - i_begin, columns = j_end - j_begin;
  if (std::max(rows, columns) <= kLargestSubstituted) return substitute(i_begin, i_end, j_begin, j_end, /*lower=*/false);
  if (columns >= rows) {
    const int middle = split(j_begin, j_end);
    const int order[2][2] = {{j_begin, middle}, {middle, j_end}};  // the adjoint begins at the end
    const auto& [first, first_end] = order[adjoint_ ? 1 : 0];
    const auto& [second, second_end] = order[adjoint_ ? 0 : 1];
    solve_block(i_begin, i_end, first, first_end);
    update_rows(i_begin, i_end, first, first_end, second, second_end);
    solve_block(i_begin, i_end, second, second_end);
  } else {
    const int middle = split(i_begin, i_end);
    const int order[2][2] = {{i_begin, middle}, {middle, i_end}};
    const auto& [first, first_end] = order[adjoint_ ? 0 : 1];
    const auto& [second, second_end] = order[adjoint_ ? 1 : 0];
    solve_block(first, first_end, j_begin, j_end);
    update_columns(first, first_end, second, second_end, j_begin, j_end);
    solve_block(second, second_end, j_begin, j_end);
  }
}

// What unknowns in columns [from, from_end) add in columns [to, to_end), by coefficients on their right.
template <typename T>
void TriangularSolver<T>::update_rows(int i_begin, int i_end, int from, int from_end, int to, int to_end) {
  const int m = to_end - to, n = i_end - i_begin, k = from_end - from, leading = first_rows_.leading;
  T* out = first_rows_.column(i_begin) + to;
  const T* unknown = first_rows_.column(i_begin) + from;
  if (adjoint_) {
    multiply_add(Op::kAdjoint, Op::kNone, m, n, k, -1, s_rows_.column(to) + from, unknown, out, leading);
    const T* other = second_columns_.column(from) + i_begin;
    multiply_add(Op::kAdjoint, Op::kTranspose, m, n, k, -1, t_rows_.column(to) + from, other, out, leading);
  } else {
    multiply_add(Op::kNone, Op::kNone, m, n, k, -1, s_rows_.column(from) + to, unknown, out, leading);
    multiply_add(Op::kNone, Op::kNone, m, n, k, -1, t_rows_.column(from) + to, unknown, second_rows_.column(i_begin) + to, leading);
  }
}

// What unknowns in rows [from, from_end) add in rows [to, to_end), by coefficients on their left.
template <typename T>
void TriangularSolver<T>::update_columns(int from, int from_end, int to, int to_end, int j_begin, int j_end) {
  const int m = to_end - to, n = j_end - j_begin, k = from_end - from, leading = second_columns_.leading;
  T* out = second_columns_.column(j_begin) + to;
  const T* unknown = second_columns_.column(j_begin) + from;
  if (adjoint_) {
    const T* other = first_rows_.column(from) + j_begin;
    multiply_add(Op::kAdjoint, Op::kTranspose, m, n, k, -1, s_columns_.column(to) + from, other, out, leading);
    multiply_add(Op::kAdjoint, Op::kNone, m, n, k, -1, t_columns_.column(to) + from, unknown, out, leading);
  } else {
    multiply_add(Op::kNone, Op::kNone, m, n, k, 1, s_columns_.column(from) + to, unknown, first_columns_.column(j_begin) + to, leading);
    multiply_add(Op::kNone, Op::kNone, m, n, k, 1, t_columns_.column(from) + to, unknown, out, leading);
  }
}

template <typename T>
TFQZ_FOR_EACH_VECTOR_WIDTH
void TriangularSolver<T>::substitute(int i_begin, int i_end, int j_begin, int j_end, bool lower) {
  const int first_i = block_of_[i_begin], last_i = block_of_[i_end - 1], first_j = block_of_[j_begin], last_j = block_of_[j_end - 1];
  const int step = adjoint_ ? 1 : -1;  // of rows; columns go the other way
  for (int j = adjoint_ ? last_j : first_j; j >= first_j && j <= last_j; j -= step) {
    const Block& J = blocks_[j];
    const int top = lower ? j + 1 : first_i;
    for (int i = adjoint_ ? top : last_i; i >= top && i <= last_i; i += step) {
      const Block& I = blocks_[i];
      solve_entry(I, J);
      for (int row = I.begin; row < I.begin + I.size; ++row) {
        for (int column = J.begin; column < J.begin + J.size; ++column) {
          if (adjoint_) {
            subtract_from_row(row, column, j_begin, J.begin);
            subtract_from_column(row, column, I.begin + I.size, i_end);
          } else {
            subtract_from_row(row, column, J.begin + J.size, lower ? I.begin : j_end);
            subtract_from_column(row, column, blocks_[top].begin, I.begin);
          }
        }
      }
    }
  }
}

// What the unknown (i, j) adds to (i, [begin, end)).
template <typename T>
void TriangularSolver<T>::subtract_from_row(int i, int j, int begin, int end) {
  const int count = end - begin;
  const T x = first_rows_.column(i)[j];
  T* out = first_rows_.column(i) + begin;
  if (adjoint_) {
    const T y = second_columns_.column(j)[i];
    subtract<true>(count, x, s_columns_.column(j) + begin, y, t_columns_.column(j) + begin, out);
  } else {
    subtract_one(count, x, s_rows_.column(j) + begin, out);
    subtract_one(count, x, t_rows_.column(j) + begin, second_rows_.column(i) + begin);
  }
}

// What the unknown (i, j) adds to ([begin, end), j).
template <typename T>
void TriangularSolver<T>::subtract_from_column(int i, int j, int begin, int end) {
  const int count = end - begin;
  const T y = second_columns_.column(j)[i];
  T* out = second_columns_.column(j) + begin;
  if (adjoint_) {
    const T x = first_rows_.column(i)[j];
    subtract<true>(count, x, s_rows_.column(i) + begin, y, t_rows_.column(i) + begin, out);
  } else {
    subtract_one(count, -y, s_columns_.column(i) + begin, first_columns_.column(j) + begin);
    subtract_one(count, -y, t_columns_.column(i) + begin, out);
  }
}

// The unknowns of one diagonal block against another, from what is left of their right-hand sides.
template <typename T>
void TriangularSolver<T>::solve_entry(const Block& I, const Block& J) {
  const auto first = [&](int i, int j) {
    T x = first_rows_.column(I.begin + i)[J.begin + j];
    return adjoint_ ? x : x + first_columns_.column(J.begin + j)[I.begin + i];
  };
  const auto second = [&](int i, int j) {
    T x = second_columns_.column(J.begin + j)[I.begin + i];
    return adjoint_ ? x : x + second_rows_.column(I.begin + i)[J.begin + j];
  };
  if (I.size == 1 && J.size == 1) {
    T x = first(0, 0), y = second(0, 0);
    const int i = I.begin, j = J.begin;
    solve_scalar<T>(s_rows_.column(i)[i], t_rows_.column(i)[i], s_rows_.column(j)[j], t_rows_.column(j)[j], &x, &y);
    first_rows_.column(i)[j] = x;
    second_columns_.column(j)[i] = y;
    return;
  }
  if constexpr (std::is_same_v<T, R>) {
    // In the frames in which the blocks are triangular: the adjoint has P in that of G on both sides and R in that of H, E and F
    // between G and H; otherwise M and N are between G and H, X is in that of G and V in that of H.
    static constexpr Complex kIdentity[2][2] = {{1, 0}, {0, 1}};
    const auto &g_i = I.size == 2 ? I.g : kIdentity, &h_i = I.size == 2 ? I.h : kIdentity;
    const auto &g_j = J.size == 2 ? J.g : kIdentity, &h_j = J.size == 2 ? J.h : kIdentity;
    Complex x[2][2] = {}, y[2][2] = {};
    const auto &left = adjoint_ ? h_i : g_i, &right = adjoint_ ? g_j : h_j;
    for (int i = 0; i < I.size; ++i) {
      for (int j = 0; j < J.size; ++j) {
        for (int k = 0; k < I.size; ++k) {
          for (int l = 0; l < J.size; ++l) {
            x[i][j] += product(std::conj(g_i[k][i]), right[l][j]) * first(k, l);
            y[i][j] += product(std::conj(left[k][i]), h_j[l][j]) * second(k, l);
          }
        }
      }
    }
    for (int l = 0; l < J.size; ++l) {
      const int j = adjoint_ ? J.size - 1 - l : l;
      for (int k = 0; k < I.size; ++k) {
        const int i = adjoint_ ? k : I.size - 1 - k;
        solve_scalar<Complex>(I.s[i][i], I.t[i][i], J.s[j][j], J.t[j][j], &x[i][j], &y[i][j]);
        if (adjoint_) {
          if (j == 1) x[i][0] -= product(x[i][1], std::conj(J.s[0][1])) + product(y[i][1], std::conj(J.t[0][1]));
          if (i == 0 && I.size == 2) y[1][j] -= product(std::conj(I.s[0][1]), x[0][j]) + product(std::conj(I.t[0][1]), y[0][j]);
        } else {
          if (j == 0 && J.size == 2) {
            y[i][1] -= product(x[i][0], J.t[0][1]);
            x[i][1] -= product(x[i][0], J.s[0][1]);
          }
          if (i == 1) {
            x[0][j] += product(I.s[0][1], y[1][j]);
            y[0][j] += product(I.t[0][1], y[1][j]);
          }
        }
      }
    }
    const auto &x_right = adjoint_ ? h_j : g_j, &y_left = adjoint_ ? g_i : h_i;
    for (int i = 0; i < I.size; ++i) {
      for (int j = 0; j < J.size; ++j) {
        R sum_x = 0, sum_y = 0;
        for (int k = 0; k < I.size; ++k) {
          for (int l = 0; l < J.size; ++l) {
            sum_x += product(product(g_i[i][k], x[k][l]), std::conj(x_right[j][l])).real();
            sum_y += product(product(y_left[i][k], y[k][l]), std::conj(h_j[j][l])).real();
          }
        }
        first_rows_.column(I.begin + i)[J.begin + j] = sum_x;
        second_columns_.column(J.begin + j)[I.begin + i] = sum_y;
      }
    }
  }
}

// One element's 2 x 2 system; where its eigenvalues are equal, the minimum-norm solution.
template <typename T>
template <typename C>
void TriangularSolver<T>::solve_scalar(C s_i, C t_i, C s_j, C t_j, C* first, C* second) const {
  const C p = *first, r = *second;
  const R length_i = squared(s_i) + squared(t_i), length_j = squared(s_j) + squared(t_j);
  const C determinant = product(s_j, t_i) - product(t_j, s_i);
  const R zero = zero_ * zero_;
  if (squared(determinant) <= equal_ * equal_ * length_i * length_j || length_i <= zero || length_j <= zero) {
    const R square = ordinary_ ? squared(t_i) + squared(t_j) : length_i + length_j;
    const C by_s = ordinary_ ? C(0) : C(1);
    const R factor = square > 0 ? 1 / square : R(0);
    if (adjoint_) {
      *first = by_s * (product(s_j, p) + product(s_i, r)) * factor;
      *second = (product(t_j, p) + product(t_i, r)) * factor;
    } else {
      *first = (by_s * product(conjugate(s_j), p) + product(conjugate(t_j), r)) * factor;
      *second = -(by_s * product(conjugate(s_i), p) + product(conjugate(t_i), r)) * factor;
    }
    return;
  }
  if (adjoint_) {
    const C over = inverse(conjugate(determinant));
    *first = product(product(conjugate(t_i), p) - product(conjugate(t_j), r), over);
    *second = product(product(conjugate(s_j), r) - product(conjugate(s_i), p), over);
  } else {
    const C over = inverse(determinant);
    *first = product(product(t_i, p) - product(s_i, r), over);
    *second = product(product(t_j, p) - product(s_j, r), over);
  }
}

template class TriangularSolver<float>;
template class TriangularSolver<double>;
template class TriangularSolver<std::complex<float>>;
template class TriangularSolver<std::complex<double>>;

}  // namespace tfqz
