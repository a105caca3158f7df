// QR with pivoting (Businger and Golub 1965) of an adjoint: row after row is chosen, the longest one where what those before it span is
// taken away, and a reflector from the right makes it a multiple of a unit vector. No TensorFlow header.
#ifndef TFQZ_ALGORITHMS_ROW_CHOICE_H_
#define TFQZ_ALGORITHMS_ROW_CHOICE_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "algorithms/arithmetic.h"
#include "pencil/lapack.h"
#include "pencil/phase.h"

namespace tfqz {

// Of squared lengths the first that is the largest up to rounding, which must not choose between them.
template <typename R>
int first_longest(const std::vector<R>& lengths) {
  constexpr R kReach = 1 - 1024 * std::numeric_limits<R>::epsilon();
  const R reach = kReach * *std::max_element(lengths.begin(), lengths.end());
  const auto found = std::find_if(lengths.begin(), lengths.end(), [reach](R length) { return length >= reach; });
  return found == lengths.end() ? 0 : static_cast<int>(found - lengths.begin());  // else something isn't a number
}

// The squared lengths of the rows of columns `first` to `end` of column-major x.
template <typename T>
void measure_rows(const T* x, int leading, int first, int end, std::vector<Real<T>>* lengths) {
  std::fill(lengths->begin(), lengths->end(), Real<T>(0));
  for (int j = first; j < end; ++j) {
    const T* column = x + static_cast<std::size_t>(j) * leading;
    for (std::size_t i = 0; i < lengths->size(); ++i) (*lengths)[i] += squared(column[i]);
  }
}

// Turns columns `first` to `end` of column-major x, of so many rows, so that one row is positive in the first of them and zero in the
// others. `v` and `sum` have room for a row and for a column.
template <typename T>
void turn_row(T* x, int rows, int leading, int row, int first, int end, T* v, T* sum) {
  using R = Real<T>;
  const auto column = [&](int j) { return x + static_cast<std::size_t>(j) * leading; };
  // H = I - 2 v v^H / v^H v with x H = -conj(phase) length e^T for the row x, v = x^H + phase length e.
  R square = 0;
  for (int j = first; j < end; ++j) {
    v[j] = conjugate(column(j)[row]);
    square += squared(v[j]);
  }
  const R length = std::sqrt(square), pivot = std::abs(v[first]);
  if (!(length > 0)) return;
  const T turn = phase(v[first]);
  v[first] += turn * length;
  const R weight = 1 / (length * (length + pivot));
  std::fill_n(sum, rows, T(0));
  for (int j = first; j < end; ++j) {
    const T factor = v[j];
    const T* y = column(j);
    for (int i = 0; i < rows; ++i) sum[i] += product(factor, y[i]);
  }
  for (int j = first; j < end; ++j) {
    const T factor = conjugate(v[j]) * weight;
    T* y = column(j);
    for (int i = 0; i < rows; ++i) y[i] -= product(factor, sum[i]);
  }
  T* y = column(first);
  for (int i = 0; i < rows; ++i) y[i] = product(y[i], -turn);
  y[row] = length;
  for (int j = first + 1; j < end; ++j) column(j)[row] = T(0);
}

}  // namespace tfqz

#endif  // TFQZ_ALGORITHMS_ROW_CHOICE_H_
