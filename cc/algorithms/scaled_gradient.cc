#include "algorithms/scaled_gradient.h"

#include <algorithm>

#include "pencil/largest.h"

namespace tfqz {
namespace {

template <typename T, typename R>
void multiply(const T* from, std::size_t count, PowerOfTwo<R> power, T* to) {
  for (std::size_t k = 0; k < count; ++k) to[k] = power.times(from[k]);
}

template <typename T>
Real<T> largest_part(const T* x, std::size_t count) {
  return largest_of(parts(x), count * kParts<T>);
}

}  // namespace

// Of a cotangent of S or T: the entries beside their pattern count for nothing, whatever they are.
template <typename T>
auto ScaledGradient<T>::largest_on_pattern(const T* s, const T* bar) const -> R {
  R most = 0;
  for (int i = 0; i < m_; ++i) {
    const std::size_t row = static_cast<std::size_t>(i) * n_;
    const int diagonal = std::max(0, i - std::max(0, m_ - n_));
    const bool in_block = diagonal > 0 && s[row + diagonal - 1] != T(0);
    const int begin = in_block ? diagonal - 1 : diagonal;
    most = std::max(most, largest_part(bar + row + begin, n_ - begin));
  }
  return most;
}

template <typename T>
auto ScaledGradient<T>::largest(const ConstFactors<T>& factors, const Cotangents<T>& cotangents) const -> LargestEntries<R> {
  LargestEntries<R> most;
  most.s = largest_part(factors.s, size());
  most.t = largest_part(factors.t, size());
  most.s_bar = largest_on_pattern(factors.s, cotangents.s);
  most.t_bar = largest_on_pattern(factors.s, cotangents.t);
  most.frames_bar = std::max(largest_part(cotangents.q, of_q()), largest_part(cotangents.z, of_z()));
  if (cotangents.alpha != nullptr) {
    most.s_bar = std::max(most.s_bar, largest_part(cotangents.alpha, n_));
    for (int j = 0; j < n_; ++j) most.t_bar = std::max(most.t_bar, std::abs(std::real(cotangents.beta[j])));
  }
  return most;
}

template <typename T>
void ScaledGradient<T>::scale(ConstFactors<T>* factors, Cotangents<T>* cotangents) {
  scale_ = largest(*factors, *cotangents).scale();
  if (!scale_.any()) return;
  const bool eigenvalues = cotangents->alpha != nullptr;
  copies_.resize(4 * size() + of_q() + of_z() + n_);
  T* place = copies_.data();
  const auto copy = [&](const T** x, std::size_t count, int exponent) {
    multiply(*x, count, PowerOfTwo<R>(exponent), place);
    *x = place;
    place += count;
  };
  const int of_s = scale_.s - scale_.common, of_t = scale_.t - scale_.common;
  copy(&factors->s, size(), -scale_.s);
  copy(&factors->t, size(), -scale_.t);
  copy(&cotangents->s, size(), of_s);
  copy(&cotangents->t, size(), of_t);
  copy(&cotangents->q, of_q(), -scale_.common);
  copy(&cotangents->z, of_z(), -scale_.common);
  if (!eigenvalues) return;
  copy(&cotangents->beta, n_, of_t);
  alpha_.resize(n_);
  multiply(cotangents->alpha, n_, PowerOfTwo<R>(of_s), alpha_.data());
  cotangents->alpha = alpha_.data();
}

template <typename T>
void ScaledGradient<T>::scale_back(const Pair<T>& pencil) const {
  if (!scale_.any()) return;
  multiply(pencil.first, size(), PowerOfTwo<R>(scale_.common - scale_.s), pencil.first);
  multiply(pencil.second, size(), PowerOfTwo<R>(scale_.common - scale_.t), pencil.second);
}

template class ScaledGradient<float>;
template class ScaledGradient<double>;
template class ScaledGradient<std::complex<float>>;
template class ScaledGradient<std::complex<double>>;

}  // namespace tfqz
