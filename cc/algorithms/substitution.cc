#include "algorithms/substitution.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include "algorithms/arithmetic.h"
#include "pencil/interruption.h"
#include "pencil/products.h"
#include "vectors/convention-inl.h"
#include "vectors/widths.h"

namespace tfqz {
namespace {

template <typename R>
constexpr R kEpsilon = std::numeric_limits<R>::epsilon();

// x += a v and y += b v, for two rows v.
template <typename R>
inline void add_rows(int count, const R (&a)[2], const R (&b)[2], const R* __restrict u, const R* __restrict v, R* __restrict x,
                     R* __restrict y) {
  for (int k = 0; k < count; ++k) {
    x[k] += a[0] * u[k] + a[1] * v[k];
    y[k] += b[0] * u[k] + b[1] * v[k];
  }
}
template <typename R>
inline void add_rows(int count, const std::complex<R> (&a)[2], const std::complex<R> (&b)[2], const std::complex<R>* first,
                     const std::complex<R>* second, std::complex<R>* of_s, std::complex<R>* of_t) {
  const R* __restrict u = reinterpret_cast<const R*>(first), * __restrict v = reinterpret_cast<const R*>(second);
  R* __restrict x = reinterpret_cast<R*>(of_s), * __restrict y = reinterpret_cast<R*>(of_t);
  const R a0 = a[0].real(), a1 = a[0].imag(), a2 = a[1].real(), a3 = a[1].imag();
  const R b0 = b[0].real(), b1 = b[0].imag(), b2 = b[1].real(), b3 = b[1].imag();
  for (int k = 0; k < 2 * count; k += 2) {
    x[k] += a0 * u[k] - a1 * u[k + 1] + a2 * v[k] - a3 * v[k + 1];
    x[k + 1] += a0 * u[k + 1] + a1 * u[k] + a2 * v[k + 1] + a3 * v[k];
    y[k] += b0 * u[k] - b1 * u[k + 1] + b2 * v[k] - b3 * v[k + 1];
    y[k + 1] += b0 * u[k + 1] + b1 * u[k] + b2 * v[k + 1] + b3 * v[k];
  }
}

// h = M^-1 h by elimination with complete pivoting, as LAPACK's xLALN2: of a nearly singular M the determinant has few digits, with which
// Cramer's rule leaves a residual. Pivots below `smallest` count as that.
template <typename R>
void solve_block(const std::complex<R> (&m)[2][2], R smallest, std::complex<R>* h) {
  int row = 0, column = 0;
  for (int i = 0; i < 2; ++i) {
    for (int k = 0; k < 2; ++k) {
      if (std::abs(m[i][k]) > std::abs(m[row][column])) row = i, column = k;
    }
  }
  const auto at_least = [&](std::complex<R> x) { return std::abs(x) < smallest ? std::complex<R>(smallest) : x; };
  const std::complex<R> first = at_least(m[row][column]), beside = m[row][1 - column], factor = quotient(m[1 - row][column], first);
  const std::complex<R> second = at_least(m[1 - row][1 - column] - product(factor, beside));
  const std::complex<R> x = quotient(h[1 - row] - product(factor, h[row]), second), y = quotient(h[row] - product(beside, x), first);
  h[column] = y;
  h[1 - column] = x;
}

}  // namespace

template <typename T>
Real<T> largest_modulus(const T* matrix, std::size_t count) {
  Real<T> modulus = 0;
  for (std::size_t k = 0; k < count; ++k) modulus = std::max(modulus, std::abs(matrix[k]));
  // The modulus of numbers in the range may be beyond it.
  return modulus > 0 ? std::min(modulus, std::numeric_limits<Real<T>>::max()) : 1;
}

template <typename T>
Clusters<Real<T>> clusters_of(int n, const ConstFactors<T>& factors, Real<T> norm_s, Real<T> norm_t) {
  using R = Real<T>;
  std::vector<std::complex<R>> alpha(n);
  std::vector<R> beta(n);
  std::vector<bool> pair(n);
  const auto real = [](T x) -> R { return std::real(x); };
  for (int j = 0; j < n; ++j) {
    const std::size_t here = static_cast<std::size_t>(j) * n + j;
    if (j > 0 && pair[j - 1]) {
      alpha[j] = std::conj(alpha[j - 1]);
      beta[j] = beta[j - 1];
    } else if (std::is_same_v<T, R> && j + 1 < n && factors.s[here + n] != T(0)) {
      const T *s = factors.s + here, *t = factors.t + here;
      // Over the norms first: products of denormals have few digits.
      const auto block = HWY_NAMESPACE::balanced(true, real(s[0]) / norm_s, real(s[1]) / norm_s, real(s[n]) / norm_s,
                                                 real(s[n + 1]) / norm_s, real(t[0]) / norm_t, real(t[n + 1]) / norm_t);
      alpha[j] = std::complex<R>((block.p + block.s) / 2, block.y);
      beta[j] = block.beta;
      pair[j] = true;
    } else {
      alpha[j] = std::complex<R>(factors.s[here]) / norm_s;
      beta[j] = std::real(factors.t[here]) / norm_t;
    }
  }
  return Clusters<R>(std::move(alpha), std::move(beta), std::move(pair));
}

template <typename T>
VectorSubstitution<T>::VectorSubstitution(int n, bool bounded) : n_(n), bounded_(bounded), first_column_(n + 1), end_column_(n) {}

template <typename T>
void VectorSubstitution<T>::read(const ConstFactors<T>& factors, R norm_s, R norm_t, const Clusters<R>& clusters) {
  factors_ = factors;
  norm_s_ = norm_s, norm_t_ = norm_t;
  blocks_.clear();
  for (int j = 0; j < n_; j += blocks_.back().size) blocks_.push_back(unit_at(j, clusters));
}

template <typename T>
int VectorSubstitution<T>::choose(std::vector<Unit>* units) {
  columns_ = 0;
  for (Unit& unit : *units) {
    unit.column = columns_;
    columns_ += std::is_same_v<T, R> ? unit.size : 1;
  }
  units_ = *units;
  for (int row = n_, u = static_cast<int>(units_.size()), column = columns_; row >= 0; --row) {
    while (u > 0 && units_[u - 1].begin + units_[u - 1].size > row) column = units_[--u].column;
    first_column_[row] = column;
  }
  for (int row = 0, u = 0, column = 0; row < n_; ++row) {
    for (; u < static_cast<int>(units_.size()) && units_[u].begin <= row; ++u) column = first_column_[units_[u].begin + units_[u].size];
    end_column_[row] = column;
  }
  return columns_;
}

template <typename T>
typename VectorSubstitution<T>::Unit VectorSubstitution<T>::unit_at(int begin, const Clusters<R>& clusters) const {
  Unit unit{};
  unit.begin = begin;
  unit.size = clusters.pair(begin) ? 2 : 1;
  unit.s = clusters.alpha(begin);
  unit.t = clusters.beta(begin);
  unit.right[0] = unit.left[0] = unit.product = 1;
  if constexpr (std::is_same_v<T, R>) {
    if (unit.size == 2) {
      const std::size_t here = static_cast<std::size_t>(begin) * n_ + begin;
      const T *s = factors_.s + here, *t = factors_.t + here;
      const auto block = HWY_NAMESPACE::balanced(true, s[0] / norm_s_, s[1] / norm_s_, s[n_] / norm_s_, s[n_ + 1] / norm_s_, t[0] / norm_t_,
                                                 t[n_ + 1] / norm_t_);
      // (p - x) v_1 + q v_2 = 0, and w_1 (p - x) + r w_2 = 0, of the balanced block. Of a pair that is nearly real y is rounding in part:
      // one and the same for the eigenvalue and for its vectors.
      const R y = unit.s.imag();
      const Complex x((block.s - block.p) / 2, y);
      const R root = std::sqrt(block.rho), size = std::abs(x);
      const R right = std::max(std::abs(block.q), size), left = std::max(std::abs(block.r), size);
      unit.right[0] = block.q / right * root;
      unit.right[1] = x / right / root;
      unit.left[0] = block.r / left * root;
      unit.left[1] = std::conj(x) / left / root;
      unit.product = product(Complex(0, 2 * y / left), x / right);
    }
  }
  return unit;
}

// All vectors at once, row by row: what stands on the side of an eigenvalue's own block is found last.
template <typename T>
template <bool kLeft>
TFQZ_FOR_EACH_VECTOR_WIDTH void VectorSubstitution<T>::find(T* vectors, T* sums) const {
  const auto row_of = [&](int row) { return vectors + static_cast<std::size_t>(row) * n_; };
  for (int row = 0; row < n_; ++row) std::fill_n(row_of(row), columns_, T(0));
  for (const Unit& unit : units_) {
    for (int i = 0; i < unit.size; ++i) {
      set_entry(kLeft ? unit.left[i] : unit.right[i], unit.size, row_of(unit.begin + i) + unit.column);
    }
  }
  const int count = static_cast<int>(blocks_.size());
  for (int b = 0; b < count; ++b) {
    if (interrupted()) return;
    const Unit& block = blocks_[kLeft ? b : count - 1 - b];
    const int end = block.begin + block.size;
    // Of right vectors those of eigenvalues behind the block, of left ones those before it.
    const int first = kLeft ? 0 : first_column_[end], last = kLeft ? first_column_[block.begin] : columns_;
    if (first == last) continue;
    for (int i = 0; i < block.size; ++i) {
      T *of_s = sums + 2 * i * n_, *of_t = of_s + n_;
      std::fill_n(of_s, 2 * n_, T(0));
      const auto coefficients = [&](int k, T* s, T* t) {
        const std::size_t here =
            kLeft ? static_cast<std::size_t>(k) * n_ + block.begin + i : static_cast<std::size_t>(block.begin + i) * n_ + k;
        *s = factors_.s[here] / norm_s_;
        *t = factors_.t[here] / norm_t_;
        if (kLeft) *s = conjugate(*s), *t = conjugate(*t);
      };
      for (int k = kLeft ? 0 : end, k_end = kLeft ? block.begin : n_; k < k_end; k += 2) {
        T s[2] = {}, t[2] = {};
        const int next = std::min(k + 1, k_end - 1);
        coefficients(k, &s[0], &t[0]);
        if (next > k) coefficients(next, &s[1], &t[1]);
        const int begin = kLeft ? 0 : first_column_[k], stop = kLeft ? end_column_[next] : columns_;
        add_rows(stop - begin, s, t, row_of(k) + begin, row_of(next) + begin, of_s + begin, of_t + begin);
      }
    }
    for (const Unit& unit : units_) {
      if (unit.column >= first && unit.column < last) solve<kLeft>(block, unit, sums, vectors);
    }
  }
}

// The entry (i, j) of K, or of K^H, of a unit.
template <typename T>
template <bool kLeft>
typename VectorSubstitution<T>::Complex VectorSubstitution<T>::coefficient(const Unit& unit, int i, int j) const {
  const std::size_t here = kLeft ? static_cast<std::size_t>(j) * n_ + i : static_cast<std::size_t>(i) * n_ + j;
  const Complex x = product(unit.t, Complex(factors_.s[here] / norm_s_)) - product(unit.s, Complex(factors_.t[here] / norm_t_));
  return kLeft ? std::conj(x) : x;
}

// The rows of a diagonal block, given what the rows on its other side add up to.
template <typename T>
template <bool kLeft>
void VectorSubstitution<T>::solve(const Unit& block, const Unit& unit, const T* sums, T* vectors) const {
  const R smallest = bounded_ ? smallest_divisor(unit) : R(0);
  if constexpr (std::is_same_v<T, R>) {
    if (block.size == 1 && unit.size == 1) {
      const R s = unit.s.real(), t = unit.t.real(), *of_s = sums + unit.column;
      R divisor = t * block.s.real() - s * block.t.real();
      if (std::abs(divisor) < smallest) divisor = smallest;
      const R x = (s * of_s[n_] - t * of_s[0]) / divisor;
      vectors[static_cast<std::size_t>(block.begin) * n_ + unit.column] = x;
      return shorten(unit, std::abs(x), vectors);
    }
  }
  const Complex s = kLeft ? std::conj(unit.s) : unit.s, t = unit.t;
  Complex h[2];
  for (int i = 0; i < block.size; ++i) {
    const T* of_s = sums + 2 * i * n_ + unit.column;
    h[i] = product(s, entry(of_s + n_, unit.size)) - product(t, entry(of_s, unit.size));
  }
  const int j = block.begin;
  Complex p = coefficient<kLeft>(unit, j, j);
  if (block.size == 1) {
    if (std::abs(p) < smallest) p = smallest;
    h[0] = quotient(h[0], p);
  } else {
    const Complex q = coefficient<kLeft>(unit, j, j + 1), r = coefficient<kLeft>(unit, j + 1, j),
                  u = coefficient<kLeft>(unit, j + 1, j + 1);
    solve_block({{p, q}, {r, u}}, smallest, h);
  }
  for (int i = 0; i < block.size; ++i) set_entry(h[i], unit.size, vectors + static_cast<std::size_t>(j + i) * n_ + unit.column);
  shorten(unit, std::max(std::abs(h[0]), std::abs(h[block.size - 1])), vectors);
}

// tfqz/_form/tolerances.py: smallest_divisor. Not 0 for s = t = 0.
template <typename T>
typename VectorSubstitution<T>::R VectorSubstitution<T>::smallest_divisor(const Unit& unit) const {
  return std::max(kEpsilon<R> * std::hypot(std::abs(unit.s), std::abs(unit.t)), std::numeric_limits<R>::min());
}

// Divides the vector of a unit by its newest entry where that is so large that the next ones might leave the range.
template <typename T>
void VectorSubstitution<T>::shorten(const Unit& unit, R size, T* vectors) const {
  if (!bounded_ || !(size > 1 / kEpsilon<R>)) return;
  const int columns = std::is_same_v<T, R> ? unit.size : 1;
  for (int i = 0; i < n_; ++i) {
    for (int c = unit.column; c < unit.column + columns; ++c) vectors[static_cast<std::size_t>(i) * n_ + c] /= size;
  }
}

template <typename T>
template <bool kLeft>
void VectorSubstitution<T>::turn_back(const T* vectors, T* out) const {
  const T* const frame = kLeft ? factors_.q : factors_.z;
  const int width = panel_width(n_);
  for (std::size_t first = 0, last; first < units_.size(); first = last) {
    const int begin = units_[first].column;
    for (last = first; last < units_.size() && units_[last].column < begin + width;) ++last;
    const int end = last < units_.size() ? units_[last].column : columns_;
    const int from = kLeft ? units_[first].begin : 0, to = kLeft ? n_ : units_[last - 1].begin + units_[last - 1].size;
    multiply<T>(n_, n_, end - begin, to - from, 1, {Form::kAsIs, frame + from},
                {Form::kAsIs, vectors + static_cast<std::size_t>(from) * n_ + begin}, 0, out + begin);
  }
}

template float largest_modulus(const float*, std::size_t);
template Clusters<float> clusters_of(int, const ConstFactors<float>&, float, float);
template class VectorSubstitution<float>;
template void VectorSubstitution<float>::find<false>(float*, float*) const;
template void VectorSubstitution<float>::find<true>(float*, float*) const;
template void VectorSubstitution<float>::turn_back<false>(const float*, float*) const;
template void VectorSubstitution<float>::turn_back<true>(const float*, float*) const;
template double largest_modulus(const double*, std::size_t);
template Clusters<double> clusters_of(int, const ConstFactors<double>&, double, double);
template class VectorSubstitution<double>;
template void VectorSubstitution<double>::find<false>(double*, double*) const;
template void VectorSubstitution<double>::find<true>(double*, double*) const;
template void VectorSubstitution<double>::turn_back<false>(const double*, double*) const;
template void VectorSubstitution<double>::turn_back<true>(const double*, double*) const;
template float largest_modulus(const std::complex<float>*, std::size_t);
template Clusters<float> clusters_of(int, const ConstFactors<std::complex<float>>&, float, float);
template class VectorSubstitution<std::complex<float>>;
template void VectorSubstitution<std::complex<float>>::find<false>(std::complex<float>*, std::complex<float>*) const;
template void VectorSubstitution<std::complex<float>>::find<true>(std::complex<float>*, std::complex<float>*) const;
template void VectorSubstitution<std::complex<float>>::turn_back<false>(const std::complex<float>*, std::complex<float>*) const;
template void VectorSubstitution<std::complex<float>>::turn_back<true>(const std::complex<float>*, std::complex<float>*) const;
template double largest_modulus(const std::complex<double>*, std::size_t);
template Clusters<double> clusters_of(int, const ConstFactors<std::complex<double>>&, double, double);
template class VectorSubstitution<std::complex<double>>;
template void VectorSubstitution<std::complex<double>>::find<false>(std::complex<double>*, std::complex<double>*) const;
template void VectorSubstitution<std::complex<double>>::find<true>(std::complex<double>*, std::complex<double>*) const;
template void VectorSubstitution<std::complex<double>>::turn_back<false>(const std::complex<double>*, std::complex<double>*) const;
template void VectorSubstitution<std::complex<double>>::turn_back<true>(const std::complex<double>*, std::complex<double>*) const;

}  // namespace tfqz
