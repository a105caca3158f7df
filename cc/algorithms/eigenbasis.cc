#include "algorithms/eigenbasis.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "algorithms/arithmetic.h"
#include "pencil/interruption.h"
#include "pencil/phase.h"
#include "vectors/widths.h"

namespace tfqz {
namespace {

// x += a y for a row.
template <typename R>
inline void add_row(int count, std::complex<R> a, const std::complex<R>* row, std::complex<R>* sum) {
  const R* __restrict y = reinterpret_cast<const R*>(row);
  R* __restrict x = reinterpret_cast<R*>(sum);
  const R re = a.real(), im = a.imag();
  for (int k = 0; k < 2 * count; k += 2) {
    x[k] += re * y[k] - im * y[k + 1];
    x[k + 1] += re * y[k + 1] + im * y[k];
  }
}

}  // namespace

template <typename T>
EigenvectorFinder<T>::EigenvectorFinder(int n)
    : n_(n),
      substitution_(n, /*bounded=*/true),
      room_(new T[2 * static_cast<std::size_t>(n) * n]),
      sums_(4 * static_cast<std::size_t>(n)),
      column_(n) {}

template <typename T>
void EigenvectorFinder<T>::operator()(const ConstFactors<T>& factors, Complex* left, Complex* right) {
  const std::size_t size = static_cast<std::size_t>(n_) * n_;
  const Real<T> norm_s = largest_modulus(factors.s, size), norm_t = largest_modulus(factors.t, size);
  substitution_.read(factors, norm_s, norm_t, clusters_of(n_, factors, norm_s, norm_t));
  units_ = substitution_.blocks();
  substitution_.choose(&units_);
  if (left != nullptr) find<true>(left);
  if (right != nullptr) find<false>(right);
}

template <typename T>
template <bool kLeft>
void EigenvectorFinder<T>::find(Complex* out) {
  T *const vectors = room_.get(), *const turned = vectors + static_cast<std::size_t>(n_) * n_;
  substitution_.template find<kLeft>(vectors, sums_.data());
  substitution_.template turn_back<kLeft>(vectors, turned);
  for (const Unit& unit : units_) {
    for (int i = 0; i < n_; ++i) column_[i] = entry(turned + static_cast<std::size_t>(i) * n_ + unit.column, unit.size);
    finish(unit, out);
  }
}

// Length 1, the largest entry real and positive: tfqz/_form/vectors.py, unique.
template <typename T>
void EigenvectorFinder<T>::finish(const Unit& unit, Complex* out) {
  Real<T> largest = 0, square = 0;
  for (const Complex& x : column_) largest = std::max(largest, std::max(std::abs(x.real()), std::abs(x.imag())));
  for (Complex& x : column_) x /= largest;  // before squares
  largest = 0;
  for (const Complex& x : column_) {
    square += std::norm(x);
    largest = std::max(largest, std::norm(x));
  }
  const Real<T> reach = largest * squared(1 - 1024 * std::numeric_limits<Real<T>>::epsilon());
  int pivot = 0;
  while (pivot < n_ - 1 && !(std::norm(column_[pivot]) >= reach)) ++pivot;
  const Complex turn = std::conj(phase(column_[pivot]));
  const Real<T> length = std::sqrt(square);
  for (int i = 0; i < n_; ++i) {
    const Complex x = i == pivot ? Complex(std::abs(column_[i]) / length) : product(column_[i], turn) / length;
    Complex* const row = out + static_cast<std::size_t>(i) * n_ + unit.begin;
    row[0] = x;
    if (unit.size == 2) row[1] = std::conj(x);
  }
}

template <typename C>
BorderedSolver<C>::BorderedSolver(int n, bool adjoint)
    : n_(n),
      adjoint_(adjoint),
      border_(static_cast<std::size_t>(n) * n),
      inverse_(static_cast<std::size_t>(n) * n),
      sums_(2 * static_cast<std::size_t>(n)),
      diagonal_(n) {}

template <typename C>
void BorderedSolver<C>::operator()(const BorderedEquations<C>& equations, const C* right_hand_sides, C* unknowns) {
  prepare(equations);
  substitute(equations, right_hand_sides, unknowns);
  // What left the range is no derivative.
  for (int j = 0; j < n_; ++j) {
    bool finite = true;
    for (int i = 0; i < n_; ++i) finite = finite && std::isfinite(std::norm(unknowns[static_cast<std::size_t>(i) * n_ + j]));
    for (int i = 0; !finite && i < n_; ++i) unknowns[static_cast<std::size_t>(i) * n_ + j] = 0;
  }
}

// The columns N_j v_j, and one over the diagonals of L_j.
template <typename C>
TFQZ_FOR_EACH_VECTOR_WIDTH void BorderedSolver<C>::prepare(const BorderedEquations<C>& e) {
  const R cluster = std::pow(std::numeric_limits<R>::epsilon(), R(0.75));  // tfqz/_form/tolerances.py
  C *const by_s = sums_.data(), *const by_t = by_s + n_;
  for (int i = 0; i < n_; ++i) {
    if (interrupted()) return;
    const std::size_t row = static_cast<std::size_t>(i) * n_;
    std::fill_n(by_s, 2 * n_, C(0));
    for (int k = i; k < n_; ++k) {
      const std::size_t here = static_cast<std::size_t>(k) * n_ + k;
      add_row(n_ - k, e.s_matrix[row + k], e.vectors + here, by_s + k);
      add_row(n_ - k, e.t_matrix[row + k], e.vectors + here, by_t + k);
    }
    const C of_s = e.s_matrix[row + i], of_t = e.t_matrix[row + i];
    const R reach = cluster * cluster * (std::norm(of_s) + std::norm(of_t));
    for (int j = 0; j < n_; ++j) {
      border_[row + j] = product(std::conj(e.s[j]), by_s[j]) + product(std::conj(e.t[j]), by_t[j]);
      C divisor = i == j ? -border_[row + j] : product(e.t[j], of_s) - product(e.s[j], of_t);
      if (i != j && std::norm(divisor) <= reach) divisor = 0;
      inverse_[row + j] = divisor == C(0) ? C(0) : inverse(divisor);
    }
  }
}

// All columns at once, row by row: from the last row upwards, or from the first one downwards.
template <typename C>
TFQZ_FOR_EACH_VECTOR_WIDTH void BorderedSolver<C>::substitute(const BorderedEquations<C>& e, const C* h, C* u) {
  C *const by_s = sums_.data(), *const by_t = by_s + n_;
  for (int step = 0; step < n_; ++step) {
    if (interrupted()) return;
    const int i = adjoint_ ? step : n_ - 1 - step;
    const std::size_t row = static_cast<std::size_t>(i) * n_;
    std::fill_n(by_s, 2 * n_, C(0));
    for (int k = adjoint_ ? 0 : i + 1, end = adjoint_ ? i : n_; k < end; ++k) {
      const std::size_t other = static_cast<std::size_t>(k) * n_;
      add_row(n_, adjoint_ ? std::conj(e.s_matrix[other + i]) : e.s_matrix[row + k], u + other, by_s);
      add_row(n_, adjoint_ ? std::conj(e.t_matrix[other + i]) : e.t_matrix[row + k], u + other, by_t);
    }
    for (int j = 0; j < n_; ++j) {
      C sum = h[row + j];
      if (!adjoint_) {
        sum += product(e.s[j], by_t[j]) - product(e.t[j], by_s[j]);
        if (j > i) sum += product(diagonal_[j], border_[row + j]);
      } else if (i != j) {
        sum += std::conj(product(std::conj(by_t[j]), e.s[j]) - product(std::conj(by_s[j]), e.t[j]));
      } else {
        for (int k = 0; k < i; ++k) {
          const std::size_t here = static_cast<std::size_t>(k) * n_ + j;
          sum += product(std::conj(border_[here]), u[here]);
        }
      }
      u[row + j] = product(sum, adjoint_ ? std::conj(inverse_[row + j]) : inverse_[row + j]);
    }
    if (!adjoint_) {
      // Found in the place of an entry that is 0.
      diagonal_[i] = u[row + i];
      u[row + i] = 0;
    }
  }
  for (int j = 0; !adjoint_ && j < n_; ++j) u[static_cast<std::size_t>(j) * n_ + j] = diagonal_[j];
}

template class EigenvectorFinder<float>;
template class EigenvectorFinder<double>;
template class EigenvectorFinder<std::complex<float>>;
template class EigenvectorFinder<std::complex<double>>;
template class BorderedSolver<std::complex<float>>;
template class BorderedSolver<std::complex<double>>;

}  // namespace tfqz
