#include "algorithms/schur.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <type_traits>
#include <utility>

#include "algorithms/apart.h"
#include "pencil/canonical.h"
#include "pencil/largest.h"
#include "pencil/underflow.h"

namespace tfqz {
namespace {

// Whether the columns of Z, which are orthogonal, have the length 1 up to rounding: `threshold` times n epsilon.
template <typename T>
bool has_unit_columns(Matrix<T> Z, int threshold) {
  using R = Real<T>;
  const R bound = R(threshold) * Z.n * std::numeric_limits<R>::epsilon();
  for (int j = 0; j < Z.n; ++j) {
    R square = 0;
    for (int i = 0; i < Z.n; ++i) square += std::norm(Z.column(j)[i]);
    if (!(std::abs(square - 1) <= bound)) return false;
  }
  return true;
}

template <typename T>
void drop_denormals(Matrix<T> X) {
  using R = Real<T>;
  for (int j = 0; j < X.n; ++j) {
    R* const x = reinterpret_cast<R*>(X.column(j));
    for (int i = 0; i < kParts<T> * X.n; ++i) {
      if (std::abs(x[i]) < std::numeric_limits<R>::min()) x[i] = 0;
    }
  }
}

template <typename T>
void adjoin(Matrix<T> X) {
  for (int j = 0; j < X.n; ++j) {
    for (int i = 0; i <= j; ++i) {
      const T above = X(i, j);
      X(i, j) = conjugate(X(j, i));
      X(j, i) = conjugate(above);
    }
  }
}

// From the Schur form of the adjoint, A^H = Z T Z^H, that of A, with its rows and columns in reverse order.
template <typename T>
void turn_round(Matrix<T> X, Matrix<T> Z) {
  adjoin(X);
  const int n = X.n;
  for (int j = 0; j < n; ++j) std::reverse(X.column(j), X.column(j) + n);
  for (const Matrix<T>& Y : {X, Z}) {
    for (int j = 0; 2 * j < n - 1; ++j) std::swap_ranges(Y.column(j), Y.column(j) + n, Y.column(n - 1 - j));
  }
}

}  // namespace

template <typename T>
SchurSolver<T>::SchurSolver(int n) : n_(n), matrices_(n, 2), T_(matrices_[0]), Z_(matrices_[1]) {
  eigenvalues_.reset(new T[2 * static_cast<std::size_t>(n)]);
  real_work_.reset(new Real<T>[n]);
  work_.reset(new T[1]);
  call_driver(-1);
  lwork_ = static_cast<LapackInt>(std::real(work_[0]));
  work_.reset(new T[lwork_]);
}

template <typename T>
Outcome SchurSolver<T>::call_driver(LapackInt lwork) {
  const char vectors = static_cast<char>(ComputeVectors::kYes), sort = static_cast<char>(SortEigenvalues::kNo);
  LapackInt sdim = 0, info = 0;
  if constexpr (std::is_same_v<T, Real<T>>) {
    Lapack<T>::gees(&vectors, &sort, nullptr, &n_, T_.data, &T_.leading, &sdim, eigenvalues_.get(), eigenvalues_.get() + n_, Z_.data,
                    &Z_.leading, work_.get(), &lwork, nullptr, &info, 1, 1);
  } else {
    Lapack<T>::gees(&vectors, &sort, nullptr, &n_, T_.data, &T_.leading, &sdim, eigenvalues_.get(), Z_.data, &Z_.leading, work_.get(),
                    &lwork, real_work_.get(), nullptr, &info, 1, 1);
  }
  return {Lapack<T>::gees_name, info};
}

template <typename T>
Outcome SchurSolver<T>::operator()(const T* a, const SchurFactors<T>& factors) {
  double scale = 1;
  Outcome outcome = {};
  for (const auto& [denormals, adjoint] :
       {std::pair(Denormals::kNumbers, false), std::pair(Denormals::kZeros, false), std::pair(Denormals::kNumbers, true)}) {
    read(a, T_);
    if (adjoint) adjoin(T_);
    // xGEES scales very large and very small ones by other numbers than powers of two.
    scale = normalize(T_);
    if (denormals == Denormals::kZeros) drop_denormals(T_);  // what LAPACK takes for 0 it leaves as it is
    const auto call = [mode_of = denormals](SchurSolver* self) {
      const UnderflowMode mode(mode_of);
      return self->call_driver(self->lwork_);
    };
    if (!call_apart(this, n_, call, &outcome)) return kLeftAlone;
    if (adjoint && outcome.info == 0) turn_round(T_, Z_);
    // xLAHQR of complex dtypes multiplies lines by x / |x|, whose modulus isn't 1 where x is a denormal. And on some matrices it goes in
    // circles, but hardly on their adjoints, too.
    if (outcome.info == 0 && has_unit_columns(Z_, 8)) break;
  }
  if (outcome.info == 0 && all_finite(Z_) && !has_unit_columns(Z_, 30)) outcome.info = Outcome::kNotUnitary;
  if (outcome.info == 0) canonicalize_schur(T_, Z_);
  multiply(T_, scale);
  if (outcome.info == 0 && !(all_finite(T_) && all_finite(Z_))) outcome.info = Outcome::kNotFinite;
  if (outcome.info == 0) {
    write(T_, factors.t);
    write(Z_, factors.z);
  }
  return outcome;
}

template class SchurSolver<float>;
template class SchurSolver<double>;
template class SchurSolver<std::complex<float>>;
template class SchurSolver<std::complex<double>>;

}  // namespace tfqz
