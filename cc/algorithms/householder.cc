#include "algorithms/householder.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include "algorithms/arithmetic.h"

namespace tfqz {
namespace {

// Up to so many entries loops take less than LAPACK.
constexpr int kLargestInLoops = 40 * 40;

template <typename T>
T conjugate_product(T x, T y) {
  return product(conjugate(x), y);
}

// x^H y, in four sums that don't wait for each other.
template <typename T>
T inner(const T* x, const T* y, int count) {
  T sums[4] = {};
  int i = 0;
  for (; i + 4 <= count; i += 4) {
    for (int k = 0; k < 4; ++k) sums[k] += conjugate_product(x[i + k], y[i + k]);
  }
  for (; i < count; ++i) sums[0] += conjugate_product(x[i], y[i]);
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// y += factor x
template <typename T>
void add(T factor, const T* x, int count, T* y) {
  for (int i = 0; i < count; ++i) y[i] += product(factor, x[i]);
}

// X := (I - tau v v^H) X, v_0 = 1.
template <typename T>
void reflect(const T* v, T tau, Columns<T> x) {
  for (int j = 0; j < x.cols; ++j) {
    T* column = x.column(j);
    const T factor = -product(tau, column[0] + inner(v + 1, column + 1, x.rows - 1));
    column[0] += factor;
    add(factor, v + 1, x.rows - 1, column + 1);
  }
}

// Makes x = (I - conj(tau) v v^H) x a multiple beta of e_1, beta real: x_0 = beta, and v behind it. As xLARFG.
template <typename T>
T make_reflector(T* x, int count) {
  using R = Real<T>;
  R scale = 1, rest = sum_of_squares(x + 1, count - 1), square = squared(x[0]) + rest;
  // Less than this squares may have lost digits of.
  const R small = std::numeric_limits<R>::min() / squared(std::numeric_limits<R>::epsilon());
  if (square < small) {
    R largest = 0;
    for (int i = 0; i < count; ++i) largest = std::max({largest, std::abs(std::real(x[i])), std::abs(std::imag(x[i]))});
    if (largest == 0) return T(0);
    int exponent;
    std::frexp(largest, &exponent);
    scale = std::ldexp(R(1), std::min(-exponent, std::numeric_limits<R>::max_exponent - 2));
    for (int i = 0; i < count; ++i) x[i] *= scale;
    rest = sum_of_squares(x + 1, count - 1), square = squared(x[0]) + rest;
  }
  const T alpha = x[0];
  if (rest == 0 && std::imag(alpha) == 0) {
    x[0] = alpha / scale;
    return T(0);
  }
  const R beta = -std::copysign(std::sqrt(square), std::real(alpha));
  const T factor = inverse(alpha - beta);
  for (int i = 1; i < count; ++i) x[i] = product(x[i], factor);
  x[0] = beta / scale;
  return (beta - alpha) / beta;
}

}  // namespace

template <typename T>
void read(const T* from, bool adjoint, Columns<T> to) {
  for (int j = 0; j < to.cols; ++j) {
    T* column = to.column(j);
    if (adjoint) {
      const T* row = from + static_cast<std::size_t>(j) * to.rows;
      for (int i = 0; i < to.rows; ++i) column[i] = conjugate(row[i]);
    }
  }
  if (adjoint) return;
  constexpr int kTile = 16;
  for (int row = 0; row < to.rows; row += kTile) {
    for (int j = 0; j < to.cols; ++j) {
      T* column = to.column(j);
      for (int i = row; i < std::min(to.rows, row + kTile); ++i) column[i] = from[static_cast<std::size_t>(i) * to.cols + j];
    }
  }
}

template <typename T>
void write(Columns<T> from, T* to) {
  constexpr int kTile = 16;
  for (int row = 0; row < from.rows; row += kTile) {
    for (int j = 0; j < from.cols; ++j) {
      const T* column = from.column(j);
      for (int i = row; i < std::min(from.rows, row + kTile); ++i) to[static_cast<std::size_t>(i) * from.cols + j] = column[i];
    }
  }
}

template <typename T>
Real<T> sum_of_squares(const T* x, std::size_t count) {
  using R = Real<T>;
  const R* entries = reinterpret_cast<const R*>(x);
  count *= sizeof(T) / sizeof(R);
  R sums[8] = {};
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int k = 0; k < 8; ++k) sums[k] += entries[i + k] * entries[i + k];
  }
  for (; i < count; ++i) sums[0] += entries[i] * entries[i];
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

template <typename T>
void set_identity(Columns<T> x) {
  for (int j = 0; j < x.cols; ++j) {
    std::fill_n(x.column(j), x.rows, T(0));
    if (j < x.rows) x(j, j) = T(1);
  }
}

template <typename T>
Householder<T>::Householder(int rows) : product_(rows), real_work_(2 * static_cast<std::size_t>(rows)) {}

template <typename T>
bool Householder<T>::small(int rows, int cols) const {
  return static_cast<int64_t>(rows) * cols <= kLargestInLoops;
}

template <typename T>
T* Householder<T>::work(int size) {
  if (work_.size() < static_cast<std::size_t>(size)) work_.resize(size);
  return work_.data();
}

template <typename T>
Reflectors<T> Householder<T>::factor(Columns<T> x, T* tau) {
  const int count = std::min(x.rows, x.cols);
  if (small(x.rows, x.cols)) {
    for (int j = 0; j < count; ++j) {
      tau[j] = make_reflector(x.column(j) + j, x.rows - j);
      if (tau[j] != T(0) && j + 1 < x.cols) reflect(x.column(j) + j, conjugate(tau[j]), x.from(j, j + 1));
    }
  } else {
    LapackInt lwork = -1, info = 0;
    T size;
    Lapack<T>::geqrf(&x.rows, &x.cols, x.data, &x.leading, tau, &size, &lwork, &info);
    lwork = static_cast<LapackInt>(std::real(size));
    Lapack<T>::geqrf(&x.rows, &x.cols, x.data, &x.leading, tau, work(lwork), &lwork, &info);
  }
  return {{x.data, x.rows, x.cols, x.leading}, tau, count};
}

template <typename T>
Reflectors<T> Householder<T>::factor_pivoted(Columns<T> x, int most, Real<T> tolerance, T* tau, int* pivots) {
  most = std::min({most, x.rows, x.cols});
  int count = 0;
  const auto reaches = [&](Real<T> length) { return tolerance <= 0 || length > tolerance * std::abs(x(0, 0)); };
  if (small(x.rows, x.cols)) {
    for (int j = 0; j < x.cols; ++j) pivots[j] = j;
    for (; count < most; ++count) {
      int longest = count;
      Real<T> largest = -1;
      for (int j = count; j < x.cols; ++j) {
        const Real<T> length = sum_of_squares(x.column(j) + count, x.rows - count);
        if (length > largest) largest = length, longest = j;
      }
      if (count == 0 ? tolerance > 0 && largest == 0 : !reaches(std::sqrt(largest))) break;
      std::swap(pivots[count], pivots[longest]);
      if (longest != count) std::swap_ranges(x.column(count), x.column(count) + x.rows, x.column(longest));
      tau[count] = make_reflector(x.column(count) + count, x.rows - count);
      if (count + 1 < x.cols) reflect(x.column(count) + count, conjugate(tau[count]), x.from(count, count + 1));
    }
  } else {
    LapackInt lwork = -1, info = 0;
    const auto call = [&](T* space) {
      std::fill_n(pivots, x.cols, 0);
      if constexpr (std::is_same_v<T, Real<T>>) {
        Lapack<T>::geqp3(&x.rows, &x.cols, x.data, &x.leading, pivots, tau, space, &lwork, &info);
      } else {
        Lapack<T>::geqp3(&x.rows, &x.cols, x.data, &x.leading, pivots, tau, space, &lwork, real_work_.data(), &info);
      }
    };
    T size;
    call(&size);
    lwork = static_cast<LapackInt>(std::real(size));
    call(work(lwork));
    for (int j = 0; j < x.cols; ++j) --pivots[j];
    while (count < most && x(0, 0) != T(0) && reaches(std::abs(x(count, count)))) ++count;
    if (tolerance <= 0) count = most;
  }
  return {{x.data, x.rows, x.cols, x.leading}, tau, count};
}

template <typename T>
void Householder<T>::call_ormqr(const char* side, const char* trans, const Reflectors<T>& q, Columns<T> x) {
  if (q.count == 0 || x.rows == 0 || x.cols == 0) return;
  LapackInt lwork = -1, info = 0;
  T size;
  Lapack<T>::ormqr(side, trans, &x.rows, &x.cols, &q.count, q.v.data, &q.v.leading, q.tau, x.data, &x.leading, &size, &lwork, &info, 1, 1);
  lwork = static_cast<LapackInt>(std::real(size));
  Lapack<T>::ormqr(side, trans, &x.rows, &x.cols, &q.count, q.v.data, &q.v.leading, q.tau, x.data, &x.leading, work(lwork), &lwork, &info,
                   1, 1);
}

template <typename T>
void Householder<T>::form(const Reflectors<T>& q, Columns<T> x) {
  if (small(x.rows, x.cols)) {
    set_identity(x);
    apply(q, x.cols, x);
  } else {
    for (int j = 0; j < x.cols; ++j) std::copy_n(q.v.column(j), x.rows, x.column(j));
    LapackInt lwork = -1, info = 0;
    T size;
    Lapack<T>::orgqr(&x.rows, &x.cols, &x.cols, x.data, &x.leading, q.tau, &size, &lwork, &info);
    lwork = static_cast<LapackInt>(std::real(size));
    Lapack<T>::orgqr(&x.rows, &x.cols, &x.cols, x.data, &x.leading, q.tau, work(lwork), &lwork, &info);
  }
}

template <typename T>
void Householder<T>::apply(const Reflectors<T>& q, int done, Columns<T> x) {
  if (!small(x.rows, x.cols)) return call_ormqr("L", "N", q, x);
  // Before its turn a column of the identity is 0 where a reflector acts.
  for (int j = q.count; j-- > 0;) reflect(q.v.column(j) + j, q.tau[j], x.from(j, std::min(j, done)));
}

template <typename T>
void Householder<T>::apply_adjoint(const Reflectors<T>& q, Columns<T> x) {
  if (!small(x.rows, x.cols)) return call_ormqr("L", Lapack<T>::adjoint, q, x);
  for (int j = 0; j < q.count; ++j) reflect(q.v.column(j) + j, conjugate(q.tau[j]), x.from(j, 0));
}

template <typename T>
void Householder<T>::apply_right(const Reflectors<T>& q, Columns<T> x) {
  if (!small(x.rows, x.cols)) return call_ormqr("R", "N", q, x);
  for (int j = 0; j < q.count; ++j) {
    const T* v = q.v.column(j);
    T* sum = product_.data();
    std::copy_n(x.column(j), x.rows, sum);
    for (int k = j + 1; k < x.cols; ++k) add(v[k], x.column(k), x.rows, sum);
    add(-q.tau[j], sum, x.rows, x.column(j));
    for (int k = j + 1; k < x.cols; ++k) add(-product(q.tau[j], conjugate(v[k])), sum, x.rows, x.column(k));
  }
}

// By the inverse's norm: quickly by a bound of it, that of the comparison matrix's inverse (Higham 2002, chapter 8), then by the
// Frobenius norm.
template <typename T>
bool Householder<T>::surely_regular(Columns<const T> x, Real<T> reach, Columns<T> scratch) {
  const int n = x.cols;
  for (int j = 0; j < n; ++j) {
    if (!(std::abs(x(j, j)) > reach)) return false;
  }
  Real<T> sum = 0;
  if (small(n, n)) {
    Real<T>* y = real_work_.data();
    std::fill_n(y, n, Real<T>(1));
    Real<T> largest = 0;
    for (int j = n - 1; j >= 0; --j) {
      const Real<T> reached = y[j] / std::abs(std::real(x(j, j)));
      largest = std::max(largest, reached);
      const T* column = x.column(j);
      for (int i = 0; i < j; ++i) y[i] += reached * (std::abs(std::real(column[i])) + std::abs(std::imag(column[i])));
    }
    if (1 / (std::sqrt(Real<T>(n)) * largest) > reach) return true;
  }
  if (small(n, n)) {
    // Column after column: R y = e_j from below.
    T* y = scratch.data;
    for (int j = 0; j < n; ++j) {
      std::fill_n(y, j, T(0));
      y[j] = T(1);
      for (int k = j; k >= 0; --k) {
        y[k] = product(y[k], inverse(x(k, k)));
        add(-y[k], x.column(k), k, y);
      }
      sum += sum_of_squares(y, j + 1);
    }
  } else {
    for (int j = 0; j < n; ++j) std::copy_n(x.column(j), j + 1, scratch.column(j));
    LapackInt info = 0;
    Lapack<T>::trtri("U", "N", &n, scratch.data, &scratch.leading, &info, 1, 1);
    if (info != 0) return false;
    for (int j = 0; j < n; ++j) sum += sum_of_squares(scratch.column(j), j + 1);
  }
  return 1 / std::sqrt(sum) > reach;
}

#define TFQZ_INSTANTIATE(T)                                  \
  template void read<T>(const T*, bool, Columns<T>);         \
  template void write<T>(Columns<T>, T*);                    \
  template Real<T> sum_of_squares<T>(const T*, std::size_t); \
  template void set_identity<T>(Columns<T>);                 \
  template class Householder<T>
TFQZ_INSTANTIATE(float);
TFQZ_INSTANTIATE(double);
TFQZ_INSTANTIATE(std::complex<float>);
TFQZ_INSTANTIATE(std::complex<double>);
#undef TFQZ_INSTANTIATE

}  // namespace tfqz
