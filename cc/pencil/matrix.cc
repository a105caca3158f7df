#include "pencil/matrix.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>

#include "pencil/lapack.h"
#include "pencil/largest.h"

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

// kSide x kSide numbers, all of which are read before one is written: what is written may be far apart.
template <int kSide, typename T>
inline void transpose_square(const T* from, std::size_t from_stride, T* to, std::size_t to_stride) {
  T square[kSide][kSide];
  for (int i = 0; i < kSide; ++i) {
    for (int j = 0; j < kSide; ++j) square[j][i] = from[i * from_stride + j];
  }
  for (int j = 0; j < kSide; ++j) {
    for (int i = 0; i < kSide; ++i) to[j * to_stride + i] = square[j][i];
  }
}

template <typename T>
void transpose(const T* from, std::size_t from_stride, T* to, std::size_t to_stride, int n) {
  constexpr int kSide = 4, kTile = 16;  // both tiles stay in the first-level cache
  const int whole = n / kSide * kSide;
  for (int row = 0; row < whole; row += kTile) {
    for (int col = 0; col < whole; col += kTile) {
      const int row_end = std::min(whole, row + kTile), col_end = std::min(whole, col + kTile);
      for (int i = row; i < row_end; i += kSide) {
        for (int j = col; j < col_end; j += kSide) {
          transpose_square<kSide>(from + i * from_stride + j, from_stride, to + j * to_stride + i, to_stride);
        }
      }
    }
  }
  for (int i = 0; i < n; ++i) {
    for (int j = i < whole ? whole : 0; j < n; ++j) to[j * to_stride + i] = from[i * from_stride + j];
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
    largest = std::max(largest, largest_of(parts(matrix.column(j)), static_cast<std::size_t>(matrix.n) * kParts<T>));
  }
  const double power = power_near(largest);
  multiply(matrix, 1 / power);
  return power;
}

template <typename T>
double normalize(T* x, std::size_t count) {
  const double power = power_near(largest_of(parts(x), count * kParts<T>));
  for (std::size_t i = 0; i < count; ++i) x[i] *= static_cast<Real<T>>(1 / power);
  return power;
}

template <typename T>
void multiply(Matrix<T> matrix, double factor) {
  if (factor == 1) return;
  const Real<T> of_type = static_cast<Real<T>>(factor);
  for (int j = 0; j < matrix.n; ++j) {
    T* column = matrix.column(j);
    for (int i = 0; i < matrix.n; ++i) column[i] *= of_type;
  }
}

template <typename T>
bool all_finite(const T* x, std::size_t count) {
  // x - x is 0 for finite x and NaN otherwise: a sum without branches.
  const Real<T>* entries = parts(x);
  count *= kParts<T>;
  Real<T> sums[kAbreast] = {};
  std::size_t i = 0;
  for (; i + kAbreast <= count; i += kAbreast) {
    for (int k = 0; k < kAbreast; ++k) sums[k] += entries[i + k] - entries[i + k];
  }
  for (; i < count; ++i) sums[0] += entries[i] - entries[i];
  Real<T> sum = 0;
  for (const Real<T> x_k : sums) sum += x_k;
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
