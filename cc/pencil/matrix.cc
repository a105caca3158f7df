#include "pencil/matrix.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>

#include "pencil/lapack.h"

namespace tfqz {
namespace {

// An odd number of cache lines: columns whose distance is a power of two would share a few sets of the cache.
template <typename T>
int padded_leading_dimension(int n) {
  constexpr int per_line = 64 / sizeof(T);
  if (n < 4 * per_line) return n;
  const int lines = (n + per_line - 1) / per_line;
  return (lines | 1) * per_line;
}

template <typename T>
void transpose(const T* from, std::size_t from_stride, T* to, std::size_t to_stride, int n) {
  constexpr int kTile = 16;  // both tiles stay in the first-level cache
  for (int row = 0; row < n; row += kTile) {
    for (int col = 0; col < n; col += kTile) {
      for (int i = row; i < std::min(n, row + kTile); ++i) {
        for (int j = col; j < std::min(n, col + kTile); ++j) to[j * to_stride + i] = from[i * from_stride + j];
      }
    }
  }
}

// The power of two beyond x: short of the ends of the range, so that the inverse is a number too.
template <typename R>
double power_near(R x) {
  constexpr int kLargest = std::numeric_limits<R>::max_exponent - 3;
  int exponent = 0;
  std::frexp(x, &exponent);
  return std::ldexp(1.0, std::clamp(exponent, -kLargest, kLargest));
}

}  // namespace

template <typename T>
Matrices<T>::Matrices(int n, int count)
    : n_(n), leading_(padded_leading_dimension<T>(n)), size_(static_cast<std::size_t>(leading_) * n), buffer_(new T[count * size_]) {}

template <typename T>
void read(const T* from, Matrix<T> to) {
  transpose(from, to.n, to.data, to.leading, to.n);
}

template <typename T>
void write(Matrix<T> from, T* to) {
  transpose(from.data, from.leading, to, from.n, from.n);
}

template <typename T>
double normalize(Matrix<T> matrix) {
  Real<T> largest = 0;
  for (int j = 0; j < matrix.n; ++j) {
    for (int i = 0; i < matrix.n; ++i) {
      largest = std::max({largest, std::abs(std::real(matrix(i, j))), std::abs(std::imag(matrix(i, j)))});
    }
  }
  const double power = power_near(largest);
  multiply(matrix, 1 / power);
  return power;
}

template <typename T>
double normalize(T* x, std::size_t count) {
  Real<T> largest = 0;
  for (std::size_t i = 0; i < count; ++i) largest = std::max({largest, std::abs(std::real(x[i])), std::abs(std::imag(x[i]))});
  const double power = power_near(largest);
  for (std::size_t i = 0; i < count; ++i) x[i] *= static_cast<Real<T>>(1 / power);
  return power;
}

template <typename T>
void multiply(Matrix<T> matrix, double factor) {
  if (factor == 1) return;
  for (int j = 0; j < matrix.n; ++j) {
    for (int i = 0; i < matrix.n; ++i) matrix(i, j) *= static_cast<Real<T>>(factor);
  }
}

template <typename T>
bool all_finite(const T* x, std::size_t count) {
  // x - x is 0 for finite x and NaN otherwise: a sum without branches, which vectorises.
  const Real<T>* entries = reinterpret_cast<const Real<T>*>(x);
  count *= sizeof(T) / sizeof(Real<T>);
  Real<T> sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += entries[i] - entries[i];
  return sum == 0;
}

template <typename T>
bool all_finite(Matrix<T> matrix) {
  for (int j = 0; j < matrix.n; ++j) {
    if (!all_finite(matrix.column(j), matrix.n)) return false;
  }
  return true;
}

#define TFQZ_INSTANTIATE(T)                           \
  template class Matrices<T>;                         \
  template void read<T>(const T*, Matrix<T>);         \
  template void write<T>(Matrix<T>, T*);              \
  template double normalize<T>(Matrix<T>);            \
  template double normalize<T>(T*, std::size_t);      \
  template void multiply<T>(Matrix<T>, double);       \
  template bool all_finite<T>(const T*, std::size_t); \
  template bool all_finite<T>(Matrix<T>)
TFQZ_INSTANTIATE(float);
TFQZ_INSTANTIATE(double);
TFQZ_INSTANTIATE(std::complex<float>);
TFQZ_INSTANTIATE(std::complex<double>);
#undef TFQZ_INSTANTIATE

}  // namespace tfqz
