// The substitution, entry by entry, in small blocks of the equations of triangular.h.
#include <type_traits>
#include <utility>

#include "algorithms/arithmetic.h"
#include "algorithms/triangular.h"
#include "vectors/widths.h"

namespace tfqz {
namespace {

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

}  // namespace

// The unknowns of a block, one after the other: what each adds to the others is subtracted at once.
template <typename T>
TFQZ_FOR_EACH_VECTOR_WIDTH void TriangularSolver<T>::substitute(int i_begin, int i_end, int j_begin, int j_end, bool lower) {
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

// Whether two eigenvalues are equal up to rounding, or one of them is 0/0.
template <typename T>
template <typename C>
bool TriangularSolver<T>::coincide(C s_i, C t_i, C s_j, C t_j) const {
  const R length_i = squared(s_i) + squared(t_i), length_j = squared(s_j) + squared(t_j), zero = zero_ * zero_;
  const C determinant = product(s_j, t_i) - product(t_j, s_i);
  return squared(determinant) <= equal_ * equal_ * length_i * length_j || length_i <= zero || length_j <= zero;
}

// One element's 2 x 2 system; where its eigenvalues are equal, the minimum-norm solution. What is 0/0 up to rounding counts as 0/0 there:
// by rounding nothing is divided, which products of its inverses would take out of the range.
template <typename T>
template <typename C>
void TriangularSolver<T>::solve_scalar(C s_i, C t_i, C s_j, C t_j, C* first, C* second) const {
  const C p = *first, r = *second;
  const C determinant = product(s_j, t_i) - product(t_j, s_i);
  if (coincide(s_i, t_i, s_j, t_j)) {
    for (const auto& [s, t] : {std::pair(&s_i, &t_i), std::pair(&s_j, &t_j)}) {
      if (squared(*s) + squared(*t) <= zero_ * zero_) *s = *t = C(0);
    }
    const R by_t = squared(t_i) + squared(t_j), square = ordinary_ ? by_t : by_t + squared(s_i) + squared(s_j);
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
  // The system [a b; c d].
  const C a = adjoint_ ? conjugate(s_j) : s_j, b = adjoint_ ? conjugate(t_j) : -s_i, c = adjoint_ ? conjugate(s_i) : t_j,
          d = adjoint_ ? conjugate(t_i) : -t_i, over = inverse(adjoint_ ? conjugate(determinant) : -determinant);
  const auto solved = [&](C p, C r) {
    return std::pair(product(product(d, p) - product(b, r), over), product(product(a, r) - product(c, p), over));
  };
  const auto [x, y] = solved(p, r);
  // Where eigenvalues are near this leaves a residual, for which it is solved once more: later entries have it over their own small
  // determinants, times as large for each.
  const auto [more_x, more_y] = solved(p - product(a, x) - product(b, y), r - product(c, x) - product(d, y));
  *first = x + more_x;
  *second = y + more_y;
}

template class TriangularSolver<float>;
template class TriangularSolver<double>;
template class TriangularSolver<std::complex<float>>;
template class TriangularSolver<std::complex<double>>;
template bool TriangularSolver<float>::coincide(std::complex<float>, std::complex<float>, std::complex<float>, std::complex<float>) const;
template bool TriangularSolver<double>::coincide(std::complex<double>, std::complex<double>, std::complex<double>,
                                                 std::complex<double>) const;
template bool TriangularSolver<std::complex<float>>::coincide(std::complex<float>, std::complex<float>, std::complex<float>,
                                                              std::complex<float>) const;
template bool TriangularSolver<std::complex<double>>::coincide(std::complex<double>, std::complex<double>, std::complex<double>,
                                                               std::complex<double>) const;

}  // namespace tfqz
