#include "algorithms/eigenvectors.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "algorithms/arithmetic.h"
#include "pencil/products.h"
#include "vectors/convention-inl.h"
#include "vectors/widths.h"

namespace tfqz {
namespace {

template <typename R>
constexpr R kEpsilon = std::numeric_limits<R>::epsilon();

// tfqz/_form/tolerances.py: longest_vectors, length.
template <typename R>
R longest_vectors() {
  return 1 / std::sqrt(std::sqrt(kEpsilon<R>));
}
template <typename R>
R length() {
  return 64 * kEpsilon<R>;
}

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

// Entries of a row that belong to a unit of `size` eigenvalues.
template <typename R>
std::complex<R> entry(const R* row, int size) {
  return {row[0], size == 2 ? row[1] : R(0)};
}
template <typename R>
std::complex<R> entry(const std::complex<R>* row, int) {
  return row[0];
}
template <typename R>
void set_entry(std::complex<R> x, int size, R* row) {
  row[0] = x.real();
  if (size == 2) row[1] = x.imag();
}
template <typename R>
void set_entry(std::complex<R> x, int, std::complex<R>* row) {
  row[0] = x;
}

}  // namespace

template <typename R>
bool EigenvalueCotangents<R>::all_zero() const {
  return std::all_of(alpha.begin(), alpha.end(), [](std::complex<R> x) { return x == R(0); }) &&
         std::all_of(beta.begin(), beta.end(), [](R x) { return x == 0; });
}

template <typename T>
Eigenvectors<T>::Eigenvectors(int n) : n_(n), first_column_(n + 1), end_column_(n), sums_(8 * static_cast<std::size_t>(n)) {}

template <typename T>
bool Eigenvectors<T>::read(const ConstFactors<T>& factors, Real<T> norm_s, Real<T> norm_t, const Clusters<Real<T>>& clusters,
                           const EigenvalueCotangents<Real<T>>& cotangents, bool* rest) {
  factors_ = factors;
  norm_s_ = norm_s, norm_t_ = norm_t;
  blocks_.clear(), units_.clear();
  columns_ = 0;
  *rest = false;
  for (int j = 0; j < n_; j += blocks_.back().size) {
    blocks_.push_back(unit_at(j, clusters));
    Unit unit = blocks_.back();
    if (!split(cotangents, &unit)) continue;
    bool alone = true;
    for (int k = 0; k < unit.size; ++k) alone = alone && clusters.alone(j + k);
    if (!alone || unit.of_length != R(0)) *rest = true;
    if (!alone || unit.of_ratio == R(0)) continue;
    unit.column = columns_;
    columns_ += std::is_same_v<T, R> ? unit.size : 1;
    units_.push_back(unit);
  }
  for (int row = n_, u = static_cast<int>(units_.size()), column = columns_; row >= 0; --row) {
    while (u > 0 && units_[u - 1].begin + units_[u - 1].size > row) column = units_[--u].column;
    first_column_[row] = column;
  }
  for (int row = 0, u = 0, column = 0; row < n_; ++row) {
    for (; u < static_cast<int>(units_.size()) && units_[u].begin <= row; ++u) column = first_column_[units_[u].begin + units_[u].size];
    end_column_[row] = column;
  }
  return columns_ > 0;
}

template <typename T>
typename Eigenvectors<T>::Unit Eigenvectors<T>::unit_at(int begin, const Clusters<R>& clusters) const {
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
      // (p - x) v_1 + q v_2 = 0, and w_1 (p - x) + r w_2 = 0, of the balanced block.
      const Complex x((block.s - block.p) / 2, block.y);
      const R root = std::sqrt(block.rho), size = std::abs(x);
      const R right = std::max(std::abs(block.q), size), left = std::max(std::abs(block.r), size);
      unit.right[0] = block.q / right * root;
      unit.right[1] = x / right / root;
      unit.left[0] = block.r / left * root;
      unit.left[1] = std::conj(x) / left / root;
      unit.product = product(Complex(0, 2 * block.y / left), x / right);
    }
  }
  return unit;
}

// (alphab, betab) = c (beta, -conj(alpha)) + d (alpha, beta). Returns whether there is anything.
template <typename T>
bool Eigenvectors<T>::split(const EigenvalueCotangents<R>& cotangents, Unit* unit) const {
  const int j = unit->begin;
  Complex of_s = cotangents.alpha[j], of_t = cotangents.beta[j];
  if (unit->size == 2) {
    of_s += std::conj(cotangents.alpha[j + 1]);
    of_t += cotangents.beta[j + 1];
  } else if (std::is_same_v<T, R>) {
    of_s = of_s.real();
  }
  if (of_s == R(0) && of_t == R(0)) return false;
  of_s *= norm_s_, of_t *= norm_t_;
  const Complex s = unit->s;
  const R t = unit->t.real(), square = std::norm(s) + t * t;
  if (t > 4 * kEpsilon<R> * n_) of_t -= Complex(0, product(std::conj(s), of_s).imag() / t);
  const Complex d = product(std::conj(s), of_s) + t * of_t;
  unit->of_ratio = (t * of_s - product(s, of_t)) / square;
  unit->of_length = std::abs(d) <= length<R>() * (std::abs(s) * std::abs(of_s) + t * std::abs(of_t)) ? Complex(0) : d / square;
  return true;
}

template <typename T>
void Eigenvectors<T>::operator()(const Fork& fork, T* room, EigenvalueCotangents<Real<T>>* cotangents, const Pair<T>& pencil) {
  const std::size_t size = static_cast<std::size_t>(n_) * n_;
  T *const right = room, *const left = right + size, *const x = left + size, *const y = x + size, *const y_a = y + size,
           *const y_b = y_a + size;
  fork([&] { find<false>(right, sums_.data()); }, [&] { find<true>(left, sums_.data() + 4 * n_); });
  drop_ill_conditioned(right, left, cotangents);
  const auto turn_back = [this](bool is_left, const T* frame, const T* vectors, T* out) {
    const int width = panel_width(n_);
    for (std::size_t first = 0, last; first < units_.size(); first = last) {
      const int begin = units_[first].column;
      for (last = first; last < units_.size() && units_[last].column < begin + width;) ++last;
      const int end = last < units_.size() ? units_[last].column : columns_;
      const int from = is_left ? units_[first].begin : 0, to = is_left ? n_ : units_[last - 1].begin + units_[last - 1].size;
      multiply<T>(n_, n_, end - begin, to - from, 1, {Form::kAsIs, frame + from},
                  {Form::kAsIs, vectors + static_cast<std::size_t>(from) * n_ + begin}, 0, out + begin);
    }
  };
  fork([&] { turn_back(false, factors_.z, right, x); }, [&] { turn_back(true, factors_.q, left, y); });
  const auto add = [&](bool is_b, T* weighted, T* out) {
    for (const Unit& unit : units_) {
      Complex weight = is_b ? -unit.of_ratio * std::conj(unit.s) / norm_t_ : unit.of_ratio * std::conj(unit.t) / norm_s_;
      weight /= std::conj(unit.product);
      for (int i = 0; i < n_; ++i) {
        const std::size_t here = static_cast<std::size_t>(i) * n_ + unit.column;
        set_entry(product(weight, entry(y + here, unit.size)), unit.size, weighted + here);
      }
    }
    multiply<T>(n_, n_, n_, columns_, 1, {Form::kAsIs, weighted}, {Form::kAdjoint, x}, 1, out);
  };
  fork([&] { add(false, y_a, pencil.first); }, [&] { add(true, y_b, pencil.second); });
}

// All vectors at once, row by row: what stands on the side of an eigenvalue's own block is found last.
template <typename T>
template <bool kLeft>
TFQZ_FOR_EACH_VECTOR_WIDTH void Eigenvectors<T>::find(T* vectors, T* sums) {
  const auto row_of = [&](int row) { return vectors + static_cast<std::size_t>(row) * n_; };
  for (int row = 0; row < n_; ++row) std::fill_n(row_of(row), columns_, T(0));
  for (const Unit& unit : units_) {
    for (int i = 0; i < unit.size; ++i) {
      set_entry(kLeft ? unit.left[i] : unit.right[i], unit.size, row_of(unit.begin + i) + unit.column);
    }
  }
  const int count = static_cast<int>(blocks_.size());
  for (int b = 0; b < count; ++b) {
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
typename Eigenvectors<T>::Complex Eigenvectors<T>::coefficient(const Unit& unit, int i, int j) const {
  const std::size_t here = kLeft ? static_cast<std::size_t>(j) * n_ + i : static_cast<std::size_t>(i) * n_ + j;
  const Complex x = product(unit.t, Complex(factors_.s[here] / norm_s_)) - product(unit.s, Complex(factors_.t[here] / norm_t_));
  return kLeft ? std::conj(x) : x;
}

// The rows of a diagonal block, given what the rows on its other side add up to.
template <typename T>
template <bool kLeft>
void Eigenvectors<T>::solve(const Unit& block, const Unit& unit, const T* sums, T* vectors) const {
  if constexpr (std::is_same_v<T, R>) {
    if (block.size == 1 && unit.size == 1) {
      const R s = unit.s.real(), t = unit.t.real(), *of_s = sums + unit.column;
      vectors[static_cast<std::size_t>(block.begin) * n_ + unit.column] =
          (s * of_s[n_] - t * of_s[0]) / (t * block.s.real() - s * block.t.real());
      return;
    }
  }
  const Complex s = kLeft ? std::conj(unit.s) : unit.s, t = unit.t;
  Complex h[2];
  for (int i = 0; i < block.size; ++i) {
    const T* of_s = sums + 2 * i * n_ + unit.column;
    h[i] = product(s, entry(of_s + n_, unit.size)) - product(t, entry(of_s, unit.size));
  }
  const int j = block.begin;
  const Complex p = coefficient<kLeft>(unit, j, j);
  if (block.size == 1) {
    h[0] = quotient(h[0], p);
  } else {
    const Complex q = coefficient<kLeft>(unit, j, j + 1), r = coefficient<kLeft>(unit, j + 1, j),
                  u = coefficient<kLeft>(unit, j + 1, j + 1);
    const Complex determinant = product(p, u) - product(q, r), first = product(u, h[0]) - product(q, h[1]);
    h[1] = quotient(product(p, h[1]) - product(r, h[0]), determinant);
    h[0] = quotient(first, determinant);
  }
  for (int i = 0; i < block.size; ++i) set_entry(h[i], unit.size, vectors + static_cast<std::size_t>(j + i) * n_ + unit.column);
}

// Leaves what vectors are too long for, or not finite, to the coupled equations.
template <typename T>
void Eigenvectors<T>::drop_ill_conditioned(T* right, T* left, EigenvalueCotangents<R>* cotangents) {
  std::vector<R> squares[2];
  for (int side = 0; side < 2; ++side) {
    squares[side].assign(columns_, R(0));
    for (int i = 0; i < n_; ++i) {
      const T* row = (side == 0 ? right : left) + static_cast<std::size_t>(i) * n_;
      for (int c = 0; c < columns_; ++c) squares[side][c] += std::norm(row[c]);
    }
  }
  for (Unit& unit : units_) {
    const int end = unit.column + (std::is_same_v<T, R> ? unit.size : 1);
    R lengths[2];
    for (int side = 0; side < 2; ++side) {
      R square = 0;
      for (int c = unit.column; c < end; ++c) square += squares[side][c];
      lengths[side] = std::sqrt(square);
    }
    if (lengths[0] * lengths[1] <= longest_vectors<R>() * std::abs(unit.product)) {
      cotangents->alpha[unit.begin] = product(unit.of_length, unit.s) / norm_s_;
      cotangents->beta[unit.begin] = product(unit.of_length, unit.t).real() / norm_t_;
      if (unit.size == 2) cotangents->alpha[unit.begin + 1] = cotangents->beta[unit.begin + 1] = 0;
      continue;
    }
    unit.of_ratio = 0;
    for (int i = 0; i < n_; ++i) {
      for (int c = unit.column; c < end; ++c)
        right[static_cast<std::size_t>(i) * n_ + c] = left[static_cast<std::size_t>(i) * n_ + c] = T(0);
    }
  }
}

template struct EigenvalueCotangents<float>;
template struct EigenvalueCotangents<double>;
template class Eigenvectors<float>;
template class Eigenvectors<double>;
template class Eigenvectors<std::complex<float>>;
template class Eigenvectors<std::complex<double>>;

}  // namespace tfqz
