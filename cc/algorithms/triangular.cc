#include "algorithms/triangular.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "algorithms/arithmetic.h"
#include "pencil/interruption.h"
#include "pencil/largest.h"
#include "pencil/scale.h"

namespace tfqz {
namespace {

// Blocks up to this size are substituted entry by entry; larger ones are cut in two, with a matrix product between the halves.
constexpr int kLargestSubstituted = 24;

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
  scale_right_hand_sides(0, n_, 0, n_);
  solve_lower(0, n_);
  write_unknowns(unknowns);
}

template <typename T>
int TriangularSolver<T>::between(int k, const Pair<const T>& first, const Pair<const T>& second, const Pair<const T>& right_hand_sides,
                                 const Pair<T>& unknowns) {
  const int m = n_ - k;
  const auto larger = [&](const T* x, const T* y) {
    return std::max(largest(static_cast<std::size_t>(k) * k, x), largest(static_cast<std::size_t>(m) * m, y));
  };
  norm_s_ = larger(first.first, second.first);
  norm_t_ = larger(first.second, second.second);
  if (norm_s_ == 0) norm_s_ = 1;
  if (norm_t_ == 0) norm_t_ = 1;
  read_diagonal_block(0, k, first.first, first.second);
  read_diagonal_block(k, m, second.first, second.second);
  s_rows_.column(k)[k - 1] = T(0);  // no pair
  find_blocks();
  const T factor_first = adjoint_ ? T(1) : T(1 / norm_s_), factor_second = adjoint_ ? T(-1) : T(1 / norm_t_);
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < k; ++j) {
      first_rows_.column(k + i)[j] = right_hand_sides.first[i * k + j] * factor_first;
      second_columns_.column(j)[k + i] = right_hand_sides.second[i * k + j] * factor_second;
      if (!adjoint_) second_rows_.column(k + i)[j] = first_columns_.column(j)[k + i] = T(0);
    }
  }
  scale_right_hand_sides(k, n_, 0, k);
  solve_block(k, n_, 0, k);
  const T back_first = factor_of_unknowns(norm_s_), back_second = factor_of_unknowns(norm_t_);
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < k; ++j) {
      unknowns.first[i * k + j] = first_rows_.column(k + i)[j] * back_first;
      unknowns.second[i * k + j] = second_columns_.column(j)[k + i] * back_second;
    }
  }
  int count = 0;
  for (int i = block_of_[k]; i < static_cast<int>(blocks_.size()); ++i) {
    for (int j = 0; j < block_of_[k]; ++j) {
      const Block &I = blocks_[i], &J = blocks_[j];
      for (int p = 0; p < I.size; ++p) {
        for (int q = 0; q < J.size; ++q) count += coincide<Complex>(I.s[p][p], I.t[p][p], J.s[q][q], J.t[q][q]);
      }
    }
  }
  return count;
}

// 0 of a zero matrix.
template <typename T>
auto TriangularSolver<T>::largest(std::size_t size, const T* x) -> R {
  R square = 0, modulus = 0;
  for (std::size_t k = 0; k < size; ++k) square = std::max(square, squared(x[k]));
  if (square > std::numeric_limits<R>::min() / std::numeric_limits<R>::epsilon() && square < std::numeric_limits<R>::max()) {
    return std::sqrt(square);
  }
  for (std::size_t k = 0; k < size; ++k) modulus = std::max(modulus, std::abs(x[k]));
  return modulus;
}

template <typename T>
void TriangularSolver<T>::read_coefficients(const T* s, const T* t) {
  const std::size_t size = static_cast<std::size_t>(n_) * n_;
  norm_s_ = largest(size, s);
  norm_t_ = largest(size, t);
  if (norm_s_ == 0) norm_s_ = 1;
  if (norm_t_ == 0) norm_t_ = 1;
  read_diagonal_block(0, n_, s, t);
  find_blocks();
}

// Row-major ones of that size, over the norms.
template <typename T>
void TriangularSolver<T>::read_diagonal_block(int begin, int size, const T* s, const T* t) {
  const R by_s = 1 / norm_s_, by_t = 1 / norm_t_;
  const bool exact = std::isfinite(by_s) && std::isfinite(by_t);
  for (int i = 0; i < size; ++i) {
    for (int j = std::max(0, i - 1); j < size; ++j) {
      const std::size_t k = static_cast<std::size_t>(i) * size + j;
      const T x = exact ? s[k] * by_s : s[k] / norm_s_, y = exact ? t[k] * by_t : t[k] / norm_t_;
      s_rows_.column(begin + i)[begin + j] = s_columns_.column(begin + j)[begin + i] = x;
      t_rows_.column(begin + i)[begin + j] = t_columns_.column(begin + j)[begin + i] = y;
    }
  }
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

// Those in rows and columns of these ranges, times a power of two where they are so far from 1 that unknowns could leave the range.
template <typename T>
void TriangularSolver<T>::scale_right_hand_sides(int i_begin, int i_end, int j_begin, int j_end) {
  const auto in_rows = [&](const Matrix<T>& x, int i) { return x.column(i) + j_begin; };
  const auto in_columns = [&](const Matrix<T>& x, int j) { return x.column(j) + i_begin; };
  const int rows = i_end - i_begin, columns = j_end - j_begin;
  R most = 0;
  for (int i = i_begin; i < i_end; ++i) most = std::max(most, largest_of(parts(in_rows(first_rows_, i)), columns * kParts<T>));
  for (int j = j_begin; j < j_end; ++j) most = std::max(most, largest_of(parts(in_columns(second_columns_, j)), rows * kParts<T>));
  exponent_ = is_near<R>(most, kFarCotangents<R>) ? 0 : binary_exponent(most);
  if (exponent_ == 0) return;
  const PowerOfTwo<R> power(-exponent_);
  const auto multiply = [&](T* x, int count) {
    for (int k = 0; k < count; ++k) x[k] = power.times(x[k]);
  };
  for (int i = i_begin; i < i_end; ++i) multiply(in_rows(first_rows_, i), columns);
  for (int j = j_begin; j < j_end; ++j) multiply(in_columns(second_columns_, j), rows);
}

template <typename T>
T TriangularSolver<T>::factor_of_unknowns(R norm) const {
  return T(PowerOfTwo<R>(exponent_).times(adjoint_ ? 1 / norm : R(1)));
}

template <typename T>
void TriangularSolver<T>::write_unknowns(const Pair<T>& unknowns) const {
  const T factor_first = factor_of_unknowns(norm_s_), factor_second = factor_of_unknowns(norm_t_);
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
  if (interrupted()) return;
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

template class TriangularSolver<float>;
template class TriangularSolver<double>;
template class TriangularSolver<std::complex<float>>;
template class TriangularSolver<std::complex<double>>;

}  // namespace tfqz
