// B. Kagstrom, A direct method for reordering eigenvalues in the generalized real Schur form of a regular matrix pair (A, B), in: Linear
// Algebra for Large Scale and Real-Time Applications, 1993, 195-218. With
//
//     S11 R - L S22 = S12        T11 R - L T22 = T12
//
// [-R; I] and [-L; I] span the right and the left deflating subspace of the second block: the first columns of the orthogonal matrices of
// their QR decompositions, which turn columns and rows.
//
// T's blocks are diagonal, so that each pair (r_ij, l_ij) has one equation of T's to itself. With t_i of T11 and u_j of T22
//
//     r_ij = p h + q w_ij,   l_ij = -q h + p w_ij,   (p, q) = (t_i, u_j) / length,   h = (T12)_ij / length,   length = |(t_i, u_j)|
//
// solves it for any w, and without loss of digits; S's equations give w: 2 or 4 of them.
#include "algorithms/exchange_window.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "vectors/widths.h"

namespace tfqz {
namespace {

template <typename R, int kRows>
struct Square {
  R* entries;

  R& operator()(int i, int j) const { return entries[j * kRows + i]; }
  R* column(int j) const { return entries + j * kRows; }
};

// Makes rows, or columns, i and i + 1 of X c x + s y and c y - s x.
template <typename R, int kRows>
inline void turn_rows(Square<R, kRows> X, int i, R c, R s) {
  for (int j = 0; j < kRows; ++j) {
    const R x = X(i, j), y = X(i + 1, j);
    X(i, j) = c * x + s * y;
    X(i + 1, j) = c * y - s * x;
  }
}
template <typename R, int kRows>
inline void turn_columns(Square<R, kRows> X, int j, R c, R s) {
  for (int i = 0; i < kRows; ++i) {
    const R x = X(i, j), y = X(i, j + 1);
    X(i, j) = c * x + s * y;
    X(i, j + 1) = c * y - s * x;
  }
}

// Of equations each of which ends with its right-hand side. A pivot that is rounding is made as large as rounding.
template <typename R, int kCount>
inline void solve(R (&rows)[kCount][kCount + 1], R (&solution)[kCount]) {
  R largest = 0;
  for (int i = 0; i < kCount; ++i) {
    for (int j = 0; j < kCount; ++j) largest = std::max(largest, std::abs(rows[i][j]));
  }
  const R smallest = std::max(largest * std::numeric_limits<R>::epsilon(), std::numeric_limits<R>::min());
  for (int k = 0; k < kCount; ++k) {
    int pivot = k;
    for (int i = k + 1; i < kCount; ++i) {
      if (std::abs(rows[i][k]) > std::abs(rows[pivot][k])) pivot = i;
    }
    if (pivot != k) {
      for (int j = 0; j <= kCount; ++j) std::swap(rows[k][j], rows[pivot][j]);
    }
    if (std::abs(rows[k][k]) < smallest) rows[k][k] = smallest;
    rows[k][k] = 1 / rows[k][k];
    for (int i = k + 1; i < kCount; ++i) {
      const R factor = rows[i][k] * rows[k][k];
      for (int j = k + 1; j <= kCount; ++j) rows[i][j] -= factor * rows[k][j];
    }
  }
  for (int k = kCount - 1; k >= 0; --k) {
    R sum = rows[k][kCount];
    for (int j = k + 1; j < kCount; ++j) sum -= rows[k][j] * solution[j];
    solution[k] = sum * rows[k][k];
  }
}

// An orthogonal U whose first columns span those of X, kColumns of them, which it overwrites.
template <typename R, int kRows, int kColumns>
inline void complete(R (&X)[kColumns][kRows], Square<R, kRows> U) {
  for (int j = 0; j < kRows; ++j) {
    for (int i = 0; i < kRows; ++i) U(i, j) = i == j;
  }
  for (int k = 0; k < kColumns; ++k) {
    R* v = X[k];
    R largest = 0, squares = 0;
    for (int i = k; i < kRows; ++i) largest = std::max(largest, std::abs(v[i]));
    if (largest == 0) continue;
    const R over = 1 / largest;
    for (int i = k; i < kRows; ++i) {
      v[i] *= over;
      squares += v[i] * v[i];
    }
    // I - v v^T / scale makes it a multiple of e_k.
    const R length = std::sqrt(squares), first = v[k] + std::copysign(length, v[k]);
    const R over_scale = 1 / (length * std::abs(first));
    v[k] = first;
    for (int j = k + 1; j < kColumns; ++j) {
      R sum = 0;
      for (int i = k; i < kRows; ++i) sum += v[i] * X[j][i];
      sum *= over_scale;
      for (int i = k; i < kRows; ++i) X[j][i] -= sum * v[i];
    }
    R sums[kRows] = {};
    for (int i = k; i < kRows; ++i) {
      for (int l = 0; l < kRows; ++l) sums[l] += U(l, i) * v[i];
    }
    for (int i = k; i < kRows; ++i) {
      for (int l = 0; l < kRows; ++l) U(l, i) -= sums[l] * over_scale * v[i];
    }
  }
}

// Q^T X Z in the place of X.
template <typename R, int kRows>
inline void transform(Square<R, kRows> Q, Square<R, kRows> Z, Square<R, kRows> X) {
  R half[kRows * kRows];
  const Square<R, kRows> XZ = {half};
  for (int j = 0; j < kRows; ++j) {
    R sums[kRows] = {};
    for (int k = 0; k < kRows; ++k) {
      for (int i = 0; i < kRows; ++i) sums[i] += X(i, k) * Z(k, j);
    }
    for (int i = 0; i < kRows; ++i) XZ(i, j) = sums[i];
  }
  for (int j = 0; j < kRows; ++j) {
    for (int i = 0; i < kRows; ++i) {
      R sum = 0;
      for (int k = 0; k < kRows; ++k) sum += Q(k, i) * XZ(k, j);
      X(i, j) = sum;
    }
  }
}

// Makes (x, y) the unit vector of the same direction, and returns its length; zeros stay.
template <typename R>
inline R make_unit(R* x, R* y) {
  const R largest = std::max(std::abs(*x), std::abs(*y));
  if (!(largest > 0)) return 0;
  const R x_of_1 = *x / largest, y_of_1 = *y / largest, length = std::sqrt(x_of_1 * x_of_1 + y_of_1 * y_of_1);
  *x = x_of_1 / length;
  *y = y_of_1 / length;
  return length * largest;
}

// T's block at k becomes diag(a, d) by its singular value decomposition, as in lanes_canonical-inl.h after the first step, which makes
// it triangular.
template <typename R, int kRows>
inline bool make_diagonal(Square<R, kRows> S, Square<R, kRows> T_, Square<R, kRows> Q, Square<R, kRows> Z, int k) {
  const R t_11 = T_(k, k), t_12 = T_(k, k + 1), t_21 = T_(k + 1, k), t_22 = T_(k + 1, k + 1);
  const R size = std::max({std::abs(t_11), std::abs(t_12), std::abs(t_21), std::abs(t_22)}), over_size = 1 / size;
  // Either pair of numbers may be so small beside the others that squares of them are denormals, and no cosines and sines come of these.
  R c = t_11, s = t_21;
  const R p = make_unit(&c, &s) * over_size, q = (c * t_12 + s * t_22) * over_size, r = (c * t_22 - s * t_12) * over_size;
  if (!(p > 0)) return false;
  R cosine = (p - r) * (p + r) + q * q, sine = 2 * q * r, u_1 = 1, u_2 = 0;
  if (make_unit(&cosine, &sine) > 0) {
    u_1 = cosine >= 0 ? 1 + cosine : sine;
    u_2 = cosine >= 0 ? sine : 1 - cosine;
    make_unit(&u_1, &u_2);
  }
  R v_1 = p * u_1, v_2 = q * u_1 + r * u_2;
  const R a = std::sqrt(v_1 * v_1 + v_2 * v_2), over_a = 1 / a;
  const R d = std::min(std::abs(p * r) * over_a, a) * size;
  if (!(d > 0)) return false;
  const R left_c = c * u_1 - s * u_2, left_s = s * u_1 + c * u_2;
  const R right_c = v_1 * over_a, right_s = v_2 * over_a;
  for (const Square<R, kRows>& X : {S, T_}) {
    turn_rows(X, k, left_c, left_s);
    turn_columns(X, k, right_c, right_s);
  }
  turn_columns(Q, k, left_c, left_s);
  turn_columns(Z, k, right_c, right_s);
  T_(k, k) = a * size;
  T_(k + 1, k + 1) = r < 0 ? -d : d;
  T_(k + 1, k) = T_(k, k + 1) = 0;
  return true;
}

template <typename R, int kFirst, int kSecond>
inline bool exchange(ExchangeWindow<R>* window) {
  constexpr int kRows = kFirst + kSecond, kCount = kFirst * kSecond;
  const Square<R, kRows> S = {window->S}, T_ = {window->T_}, Q = {window->Q}, Z = {window->Z};
  R p[kFirst][kSecond], q[kFirst][kSecond], h[kFirst][kSecond];
  for (int i = 0; i < kFirst; ++i) {
    for (int j = 0; j < kSecond; ++j) {
      p[i][j] = T_(i, i);
      q[i][j] = T_(kFirst + j, kFirst + j);
      const R length = make_unit(&p[i][j], &q[i][j]);
      if (!(length > std::numeric_limits<R>::min() / std::numeric_limits<R>::epsilon())) return false;
      h[i][j] = T_(i, kFirst + j) / length;
    }
  }
  // Unknowns and equations (i, j) at i kSecond + j.
  R rows[kCount][kCount + 1] = {}, w[kCount];
  for (int i = 0; i < kFirst; ++i) {
    for (int j = 0; j < kSecond; ++j) {
      R(&row)[kCount + 1] = rows[i * kSecond + j];
      R right = S(i, kFirst + j);
      for (int k = 0; k < kFirst; ++k) {
        row[k * kSecond + j] += S(i, k) * q[k][j];
        right -= S(i, k) * p[k][j] * h[k][j];
      }
      for (int l = 0; l < kSecond; ++l) {
        row[i * kSecond + l] -= p[i][l] * S(kFirst + l, kFirst + j);
        right -= q[i][l] * h[i][l] * S(kFirst + l, kFirst + j);
      }
      row[kCount] = right;
    }
  }
  solve(rows, w);
  R of_columns[kSecond][kRows] = {}, of_rows[kSecond][kRows] = {};
  for (int j = 0; j < kSecond; ++j) {
    for (int i = 0; i < kFirst; ++i) {
      const R w_ij = w[i * kSecond + j];
      of_columns[j][i] = -(p[i][j] * h[i][j] + q[i][j] * w_ij);
      of_rows[j][i] = q[i][j] * h[i][j] - p[i][j] * w_ij;
    }
    of_columns[j][kFirst + j] = of_rows[j][kFirst + j] = 1;
  }
  complete(of_columns, Z);
  complete(of_rows, Q);
  for (const Square<R, kRows>& X : {S, T_}) {
    R largest = 0, squares = 0, left = 0;
    for (int i = 0; i < kRows * kRows; ++i) largest = std::max(largest, std::abs(X.entries[i]));
    if (largest == 0) continue;
    const auto square = [largest](R x) { return (x / largest) * (x / largest); };
    for (int i = 0; i < kRows * kRows; ++i) squares += square(X.entries[i]);
    transform(Q, Z, X);
    for (int j = 0; j < kSecond; ++j) {
      for (int i = kSecond; i < kRows; ++i) {
        left += square(X(i, j));
        X(i, j) = 0;
      }
    }
    constexpr R kRounding = 20 * std::numeric_limits<R>::epsilon();
    if (!(left <= kRounding * kRounding * squares)) return false;
  }
  if (kSecond == 2 && !make_diagonal(S, T_, Q, Z, 0)) return false;
  return kFirst == 1 || make_diagonal(S, T_, Q, Z, kSecond);
}

}  // namespace

template <typename R>
TFQZ_FOR_EACH_VECTOR_WIDTH bool exchange_window(int first, int second, ExchangeWindow<R>* window) {
  if (first == 2) return second == 2 ? exchange<R, 2, 2>(window) : exchange<R, 2, 1>(window);
  return exchange<R, 1, 2>(window);
}

template bool exchange_window<float>(int, int, ExchangeWindow<float>*);
template bool exchange_window<double>(int, int, ExchangeWindow<double>*);

}  // namespace tfqz
