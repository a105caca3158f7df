// Row-major matrices with rows that begin some entries apart: copies, sums, and triangular equations in blocks. No TensorFlow header.
#ifndef TFQZ_ALGORITHMS_ROW_MATRICES_H_
#define TFQZ_ALGORITHMS_ROW_MATRICES_H_

#include <algorithm>
#include <complex>

#include "algorithms/arithmetic.h"
#include "algorithms/row_products.h"
#include "pencil/lapack.h"

namespace tfqz {

template <typename R>
R over(R x, R y) {
  return x / y;
}
template <typename R>
std::complex<R> over(std::complex<R> x, std::complex<R> y) {
  return quotient(x, y);
}

template <typename T>
void copy(Rows<const T> from, int rows, int cols, Rows<T> to) {
  for (int i = 0; i < rows; ++i) std::copy_n(from.row(i), cols, to.row(i));
}

// to, cols x rows, is the adjoint.
template <typename T>
void copy_adjoint(Rows<const T> from, int rows, int cols, Rows<T> to) {
  constexpr int kTile = 16;  // a line of the cache, of several rows
  for (int begin = 0; begin < rows; begin += kTile) {
    const int end = std::min(rows, begin + kTile);
    for (int j = 0; j < cols; ++j) {
      T* const column = to.row(j);
      for (int i = begin; i < end; ++i) column[i] = conjugate(from.row(i)[j]);
    }
  }
}

template <typename T>
void add(Rows<const T> from, int rows, int cols, Rows<T> to) {
  for (int i = 0; i < rows; ++i) {
    const T* row = from.row(i);
    T* sum = to.row(i);
    for (int j = 0; j < cols; ++j) sum[j] += row[j];
  }
}

template <typename T>
void subtract(Rows<const T> from, int rows, int cols, Rows<T> to) {
  for (int i = 0; i < rows; ++i) {
    const T* row = from.row(i);
    T* sum = to.row(i);
    for (int j = 0; j < cols; ++j) sum[j] -= row[j];
  }
}

template <typename T>
Rows<const T> constant(Rows<T> x) {
  return {x.data, x.leading};
}
template <typename T>
Rows<T> from_row(Rows<T> x, int i) {
  return {x.row(i), x.leading};
}

// X, n x k, becomes H^-1 X, H lower triangular or upper; for zeros on the diagonal it has ones.
template <bool kLower, typename T>
void solve(int n, int k, Rows<const T> h, Rows<T> x) {
  constexpr int kBlock = 32;
  for (int done = 0; done < n; done += kBlock) {
    const int size = std::min(kBlock, n - done), begin = kLower ? done : n - done - size;
    if (done > 0) {
      const int known = kLower ? 0 : begin + size;
      const T minus = -1, one = 1;
      Lapack<T>::gemm("N", "N", &k, &size, &done, &minus, x.row(known), &x.leading, h.row(begin) + known, &h.leading, &one, x.row(begin),
                      &x.leading, 1, 1);
    }
    for (int step = 0; step < size; ++step) {
      const int i = kLower ? begin + step : begin + size - 1 - step;
      T* const row = x.row(i);
      for (int before = 0; before < step; ++before) {
        const int j = kLower ? begin + before : begin + size - 1 - before;
        const T factor = h.row(i)[j];
        const T* const known = x.row(j);
        for (int c = 0; c < k; ++c) row[c] -= product(factor, known[c]);
      }
      const T pivot = h.row(i)[i];
      if (pivot == T(0)) continue;
      for (int c = 0; c < k; ++c) row[c] = over(row[c], pivot);
    }
  }
}

}  // namespace tfqz

#endif  // TFQZ_ALGORITHMS_ROW_MATRICES_H_
