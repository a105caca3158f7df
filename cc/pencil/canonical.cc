#include "pencil/canonical.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "pencil/phase.h"

namespace tfqz {
namespace {

// Of a column of length 1, whose largest entry has a square that is far from underflow.
template <typename T>
int largest_entry(const T* column, int n) {
  constexpr Real<T> kReach = 1 - 1024 * std::numeric_limits<Real<T>>::epsilon();
  Real<T> largest = 0;
  for (int i = 0; i < n; ++i) largest = std::max(largest, std::norm(column[i]));
  const Real<T> reach = largest * (kReach * kReach);
  for (int i = 0; i < n; ++i) {
    if (std::norm(column[i]) >= reach) return i;
  }
  return 0;
}

template <typename R>
void scale(R* x, int count, int stride, R factor) {
  for (int i = 0; i < count; ++i) x[static_cast<std::size_t>(i) * stride] *= factor;
}
template <typename R>
void scale(std::complex<R>* x, int count, int stride, std::complex<R> factor) {
  // Without the tests for infinities that C++ asks for.
  const R re = factor.real(), im = factor.imag();
  for (int i = 0; i < count; ++i, x += stride) *x = {x->real() * re - x->imag() * im, x->real() * im + x->imag() * re};
}

// Multiplies column j of Z by the phase that makes its largest entry real and positive, and returns that phase.
template <typename T>
T turn_column(Matrix<T> Z, int j) {
  T* z = Z.column(j);
  const int pivot = largest_entry(z, Z.n);
  const T turn = conjugate(phase(z[pivot]));
  if (turn != T(1)) {
    scale(z, Z.n, 1, turn);
    z[pivot] = std::abs(z[pivot]);
  }
  return turn;
}

// Lines k and k + 1, vectors of which are `step` apart: (x, y) becomes (c x + s y, c y - s x).
template <typename R>
void rotate(R* x, R* y, int count, std::size_t step, R c, R s) {
  for (std::size_t i = 0; i < count * step; i += step) {
    const R turned = c * x[i] + s * y[i];
    y[i] = c * y[i] - s * x[i];
    x[i] = turned;
  }
}

// The same arithmetic as split_real in lanes_canonical-inl.h, where the reasons are.
template <typename R>
void split_real_block(Matrix<R> S, Matrix<R> T_, Matrix<R> Q, Matrix<R> Z, int k) {
  const R t_1 = T_(k, k), t_2 = T_(k + 1, k + 1), a = std::abs(t_1), d = a > 0 ? std::min(std::abs(t_2) / a, R(1)) : R(0);
  const R of_s = std::max({std::abs(S(k, k)), std::abs(S(k, k + 1)), std::abs(S(k + 1, k)), std::abs(S(k + 1, k + 1))});
  const R first = t_1 < 0 ? -of_s : of_s, second = t_2 < 0 ? -of_s : of_s;
  const R p = S(k, k) / first, q = S(k, k + 1) / first, r = S(k + 1, k) / second, u = S(k + 1, k + 1) / second;
  const R rho = std::sqrt(d), balanced_p = p * rho, balanced_u = u / rho;
  const R outer = std::sqrt(std::abs(q)) * std::sqrt(std::abs(r)), inner = std::abs(balanced_p - balanced_u) / 2;
  const R rounding = 4 * std::numeric_limits<R>::epsilon() * (outer + std::abs(balanced_p) + std::abs(balanced_u));
  const bool opposite = (q < 0 && r > 0) || (q > 0 && r < 0);
  if (opposite && outer - inner > rounding) return;
  const R difference = (p * d - u) / 2, mean = (p * d + u) / 2;
  const R root = std::sqrt(std::max(difference * difference + d * (q * r), R(0)));
  R alpha = mean < 0 ? mean - root : mean + root;
  if (alpha == 0 && d == 0) alpha = 1;
  const R longer = std::max(std::abs(alpha), d), beta = d / longer;
  alpha /= longer;
  R x[2] = {beta * q, alpha - beta * p};
  if (std::max(std::abs(x[0]), std::abs(x[1])) < std::max(std::abs(beta * r), std::abs(beta * u - alpha * d))) {
    x[0] = beta * u - alpha * d;
    x[1] = -beta * r;
  }
  R length = std::hypot(x[0], x[1]);
  if (length > 0) {
    for (Matrix<R> X : {S, T_}) rotate(X.column(k), X.column(k + 1), k + 2, 1, x[0] / length, x[1] / length);
    if (Z.present()) rotate(Z.column(k), Z.column(k + 1), Z.n, 1, x[0] / length, x[1] / length);
  }
  const bool by_t = std::abs(alpha) <= beta && (T_(k, k) != 0 || T_(k + 1, k) != 0);
  const Matrix<R>& Y = by_t ? T_ : S;
  const R y[2] = {Y(k, k) / (by_t ? a : of_s), Y(k + 1, k) / (by_t ? a : of_s)};
  length = std::hypot(y[0], y[1]);
  if (length > 0) {
    for (Matrix<R> X : {S, T_}) rotate(&X(k, k), &X(k + 1, k), X.n - k, X.leading, y[0] / length, y[1] / length);
    if (Q.present()) rotate(Q.column(k), Q.column(k + 1), Q.n, 1, y[0] / length, y[1] / length);
  }
  S(k + 1, k) = T_(k + 1, k) = 0;
}

// sqrt(x y) of x, y >= 0, to the last bit homogeneous: powers of two make no difference.
template <typename R>
R geometric_mean(R x, R y) {
  const R larger = std::max(x, y);
  return larger > 0 ? larger * std::sqrt(std::min(x, y) / larger) : larger;
}

}  // namespace

template <typename T>
void split_real_blocks(Matrix<T> S, Matrix<T> T_, Matrix<T> Q, Matrix<T> Z) {
  if constexpr (std::is_same_v<T, Real<T>>) {
    for (int k = 0; k + 1 < S.n; ++k) {
      if (S(k + 1, k) != 0) split_real_block(S, T_, Q, Z, k);
    }
  }
}

template <typename T>
void drop_underflowing(Matrix<T> S, Matrix<T> T_, Real<T> of_s, Real<T> of_t) {
  for (int j = 0; j + 1 < S.n; ++j) {
    if (std::abs(S(j + 1, j)) * of_s == 0) S(j + 1, j) = T(0);
  }
  for (int j = 0; j < S.n; ++j) {
    if (in_block(S, j)) continue;
    T &s = S(j, j), &t = T_(j, j);
    if (std::abs(s) * of_s == 0) s = T(0);
    if (std::abs(t) * of_t == 0) t = T(0);
  }
}

template <typename T>
void canonicalize(Matrix<T> S, Matrix<T> T_, Matrix<T> Q, Matrix<T> Z) {
  const int n = S.n;
  for (int j = 0; j < n && Z.present(); ++j) {
    const T right = turn_column(Z, j);
    if (right != T(1)) {
      const int rows = std::min(n, j + 2);  // a 2 x 2 block reaches one row below the diagonal
      scale(S.column(j), rows, 1, right);
      scale(T_.column(j), rows, 1, right);
    }
  }
  for (int j = 0; j < n; ++j) {
    T& t = T_(j, j);
    T& s = S(j, j);
    T left = t != T(0) ? phase(t) : phase(s);
    if (t == T(0) && s == T(0) && Q.present()) left = conjugate(phase(Q(largest_entry(Q.column(j), n), j)));
    if (left != T(1)) {
      const int first = std::max(0, j - 1);
      if (Q.present()) scale(Q.column(j), n, 1, left);
      scale(&S(j, first), n - first, S.leading, conjugate(left));
      scale(&T_(j, first), n - first, T_.leading, conjugate(left));
    }
    if (t != T(0)) {
      t = std::abs(t);
    } else {
      t = T(0);  // drops the sign of a negative zero
      if (s != T(0)) s = std::abs(s);
    }
  }
}

template <typename T>
void canonicalize_schur(Matrix<T> T_, Matrix<T> Z) {
  const int n = T_.n;
  for (int j = 0; j + 1 < n; ++j) {
    if (std::abs(T_(j, j + 1)) >= std::abs(T_(j + 1, j)) || T_(j + 1, j) == T(0)) continue;
    // A turn by 90 degrees but for the sign of a column: two rows and two columns change places.
    std::swap_ranges(Z.column(j), Z.column(j) + n, Z.column(j + 1));
    std::swap_ranges(T_.column(j), T_.column(j) + j + 2, T_.column(j + 1));
    for (int k = j; k < n; ++k) std::swap(T_(j, k), T_(j + 1, k));
  }
  for (int j = 0; j < n; ++j) {
    const T turn = turn_column(Z, j);
    if (turn != T(1)) {
      const int first = std::max(0, j - 1);
      // The diagonal entry is turned forth and back.
      const T diagonal = T_(j, j);
      scale(T_.column(j), std::min(n, j + 2), 1, turn);
      scale(&T_(j, first), n - first, T_.leading, conjugate(turn));
      T_(j, j) = diagonal;
    }
  }
}

template <typename T>
void alpha_beta(Matrix<T> S, Matrix<T> T_, std::complex<Real<T>>* alpha, T* beta) {
  const int n = S.n;
  for (int j = 0; j < n; ++j) {
    alpha[j] = S(j, j);
    beta[j] = T_(j, j);
    if constexpr (!std::is_same_v<T, Real<T>>) continue;
    if (j + 1 == n || S(j + 1, j) == T(0)) continue;
    using R = Real<T>;
    const R a = std::real(T_(j, j)), d = std::real(T_(j + 1, j + 1)), rho = std::sqrt(d / a);
    const R p = std::real(S(j, j)) * rho, s = std::real(S(j + 1, j + 1)) / rho;
    // -q r - ((p - s) / 2)^2 as a product of two factors: squares would overflow.
    const R outer = geometric_mean(std::abs(S(j, j + 1)), std::abs(S(j + 1, j)));
    const R inner = std::abs(p - s) / 2;
    const R imaginary = geometric_mean(std::max(outer - inner, R(0)), outer + inner);
    alpha[j] = {p / 2 + s / 2, imaginary};
    alpha[j + 1] = std::conj(alpha[j]);
    beta[j] = beta[j + 1] = a * rho;
    ++j;
  }
}

#define TFQZ_INSTANTIATE(T)                                                       \
  template void split_real_blocks<T>(Matrix<T>, Matrix<T>, Matrix<T>, Matrix<T>); \
  template void drop_underflowing<T>(Matrix<T>, Matrix<T>, Real<T>, Real<T>);     \
  template void canonicalize<T>(Matrix<T>, Matrix<T>, Matrix<T>, Matrix<T>);      \
  template void canonicalize_schur<T>(Matrix<T>, Matrix<T>);                      \
  template void alpha_beta<T>(Matrix<T>, Matrix<T>, std::complex<Real<T>>*, T*)
TFQZ_INSTANTIATE(float);
TFQZ_INSTANTIATE(double);
TFQZ_INSTANTIATE(std::complex<float>);
TFQZ_INSTANTIATE(std::complex<double>);
#undef TFQZ_INSTANTIATE

}  // namespace tfqz
