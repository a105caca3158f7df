#include "algorithms/eigenvectors.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "algorithms/arithmetic.h"
#include "pencil/products.h"

namespace tfqz {
namespace {

template <typename R>
constexpr R kEpsilon = std::numeric_limits<R>::epsilon();

// tfqz/_form/tolerances.py: longest_vectors, length; zero_pair below.
template <typename R>
R longest_vectors() {
  return 1 / std::sqrt(std::sqrt(kEpsilon<R>));
}
template <typename R>
R length() {
  return 64 * kEpsilon<R>;
}

}  // namespace

template <typename R>
bool EigenvalueCotangents<R>::all_zero() const {
  return std::all_of(alpha.begin(), alpha.end(), [](std::complex<R> x) { return x == R(0); }) &&
         std::all_of(beta.begin(), beta.end(), [](R x) { return x == 0; });
}

template <typename T>
Eigenvectors<T>::Eigenvectors(int n) : n_(n), substitution_(n, /*bounded=*/false), sums_(8 * static_cast<std::size_t>(n)) {}

template <typename T>
bool Eigenvectors<T>::read(const ConstFactors<T>& factors, Real<T> norm_s, Real<T> norm_t, const Clusters<Real<T>>& clusters,
                           const EigenvalueCotangents<Real<T>>& cotangents, bool* rest) {
  factors_ = factors;
  norm_s_ = norm_s, norm_t_ = norm_t;
  substitution_.read(factors, norm_s, norm_t, clusters);
  units_.clear();
  *rest = false;
  for (Unit unit : substitution_.blocks()) {
    if (!split(cotangents, &unit)) continue;
    bool alone = true;
    for (int k = 0; k < unit.size; ++k) alone = alone && clusters.alone(unit.begin + k);
    if (!alone || unit.of_length != R(0)) *rest = true;
    if (!alone || unit.of_ratio == R(0)) continue;
    units_.push_back(unit);
  }
  columns_ = substitution_.choose(&units_);
  return columns_ > 0;
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
  const R zero_pair = 4 * kEpsilon<R> * n_;
  if (!(square > zero_pair * zero_pair)) {  // 0/0, which has no vectors: all is left to the coupled equations
    unit->of_ratio = 0, unit->of_length = 1;
    return true;
  }
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
  fork([&] { substitution_.template find<false>(right, sums_.data()); },
       [&] { substitution_.template find<true>(left, sums_.data() + 4 * n_); });
  drop_ill_conditioned(right, left, cotangents);
  fork([&] { substitution_.template turn_back<false>(right, x); }, [&] { substitution_.template turn_back<true>(left, y); });
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
