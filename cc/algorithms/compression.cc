// In the letters of the wide case, where B_ holds B^H and A_ A^H: B^H P = V R.
#include "algorithms/compression.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <limits>

#include "algorithms/row_products.h"
#include "pencil/matrix.h"

namespace tfqz {

template <typename T>
Compressor<T>::Compressor(int m, int n, int rank)
    : wide_(m < n),
      l_(std::max(m, n)),
      p_(std::min(m, n)),
      rank_(rank),
      tolerance_(tolerance(m, n)),
      householder_(l_),
      B_(l_, p_),
      A_(l_, p_),
      X_(l_, p_),
      small_(p_, p_),
      tau_(p_),
      inner_tau_(p_),
      pivots_(p_) {}

template <typename T>
Real<T> Compressor<T>::tolerance(int m, int n) {
  return 8 * std::max(m, n) * std::numeric_limits<R>::epsilon();
}

// Times a power of two if squares could overflow or be flushed. Returns what 1 stands for.
template <typename T>
double Compressor<T>::load(const T* from, Columns<T> to) {
  constexpr R kSmall = sizeof(R) == 4 ? 1e-15 : 1e-150;
  const std::size_t size = static_cast<std::size_t>(l_) * p_;
  const R square = sum_of_squares(from, size);
  read(from, wide_, to);
  return square > kSmall && square < 1 / kSmall ? 1 : normalize(to.data, size);
}

template <typename T>
int Compressor<T>::operator()(const T* a, const T* b, T* x, T* a_inner, T* b_inner) {
  const Columns<T> B = B_.all(), X = X_.all();
  double unit = load(b, B);
  const auto finish = [&](const Reflectors<T>& v, const int* pivots) {
    write(X, x);
    write_inner(v, pivots, unit, b_inner);
    compress_by(wide_, l_, p_, a, x, a_inner);
    return v.count;
  };
  // Without pivoting, which takes longer, if that shows that the rank is full.
  if (rank_ < 0 || rank_ == p_) {
    R longest = 0;
    for (int j = 0; j < p_; ++j) longest = std::max(longest, sum_of_squares(B.column(j), l_));
    const Reflectors<T> v = householder_.factor(B, tau_.data());
    if (rank_ == p_ || householder_.surely_regular(v.v, 2 * tolerance_ * std::sqrt(longest), small_.all())) {
      householder_.form(v, X);
      return finish(v, nullptr);
    }
    unit = load(b, B);
  }
  const Reflectors<T> v = householder_.factor_pivoted(B, rank_ < 0 ? p_ : rank_, rank_ < 0 ? tolerance_ : 0, tau_.data(), pivots_.data());
  if (v.count == p_) {
    householder_.form(v, X);
  } else {
    complete(a, v);
  }
  return finish(v, pivots_.data());
}

// B P = V R: B's columns are those of V R, and V^H x is the identity above.
template <typename T>
void Compressor<T>::write_inner(const Reflectors<T>& v, const int* pivots, double unit, T* b_inner) const {
  const R factor = static_cast<R>(unit);
  for (int j = 0; j < p_; ++j) {
    const int to = pivots == nullptr ? j : pivots[j];
    for (int i = 0; i < p_; ++i) {
      const T entry = i <= j && i < v.count ? v.v(i, j) * factor : T(0);
      if (wide_) {
        b_inner[static_cast<std::size_t>(to) * p_ + i] = conjugate(entry);
      } else {
        b_inner[static_cast<std::size_t>(i) * p_ + to] = entry;
      }
    }
  }
}

// B V[:, :r] = P [R11 R12]^H. What A does from ker B to the complement of B's range: C^H = V2^H A^H U2.
template <typename T>
void Compressor<T>::complete(const T* a, const Reflectors<T>& v) {
  const int r = v.count;
  const Columns<T> A = A_.all(), B = B_.all(), X = X_.all();
  load(a, X);
  for (int j = 0; j < p_; ++j) std::copy_n(X.column(pivots_[j]), l_, A.column(j));
  householder_.apply_adjoint(v, A);
  Columns<T> range = small_.all();
  range.cols = r;
  for (int j = 0; j < r; ++j) {
    for (int i = 0; i < p_; ++i) range(i, j) = i < j ? T(0) : conjugate(B(j, i));
  }
  if (r > 0) {
    const Reflectors<T> u = householder_.factor(range, inner_tau_.data());
    householder_.apply_right(u, A.from(r, 0));
  }
  const Columns<T> C = A.from(r, r);
  set_identity(X);
  householder_.form(householder_.factor(C, inner_tau_.data()), X.from(r, r));
  householder_.apply(v, r, X);
}

template <typename T>
void compress_by(bool wide, int l, int p, const T* a, const T* x, T* inner) {
  if (wide) {
    multiply<T>(Form::kAsIs, p, l, p, {a, l}, {x, p}, {inner, p});
  } else {
    multiply<T>(Form::kAdjoint, p, l, p, {x, p}, {a, p}, {inner, p});
  }
}

#define TFQZ_INSTANTIATE(T)     \
  template class Compressor<T>; \
  template void compress_by<T>(bool, int, int, const T*, const T*, T*)
TFQZ_INSTANTIATE(float);
TFQZ_INSTANTIATE(double);
TFQZ_INSTANTIATE(std::complex<float>);
TFQZ_INSTANTIATE(std::complex<double>);
#undef TFQZ_INSTANTIATE

}  // namespace tfqz
