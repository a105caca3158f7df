#include "algorithms/row_products.h"

#include <complex>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "algorithms/arithmetic.h"
#include "pencil/lapack.h"

namespace tfqz {
namespace {

// Up to so many products of entries loops take less than xGEMM.
constexpr int64_t kMostInLoops = 7 * 7 * 7;

// A tile of C, whose sums stay in registers. A's entries are `row_step` apart from row to row, and `sum_step` along the sum.
template <int kRows, int kCols, bool kAdjoint, typename T>
void tile(int sum, const T* a, std::size_t row_step, std::size_t sum_step, Rows<const T> b, Rows<T> c) {
  T sums[kRows][kCols] = {};
  for (int l = 0; l < sum; ++l) {
    const T* y = b.row(l);
    for (int i = 0; i < kRows; ++i) {
      const T entry = a[i * row_step + l * sum_step], x = kAdjoint ? conjugate(entry) : entry;
      for (int j = 0; j < kCols; ++j) sums[i][j] += product(x, y[j]);
    }
  }
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kCols; ++j) c.row(i)[j] = sums[i][j];
  }
}

template <int kRows, bool kAdjoint, typename T>
void strip(int sum, int k, const T* a, std::size_t row_step, std::size_t sum_step, Rows<const T> b, Rows<T> c) {
  int j = 0;
  const auto next = [&](auto width) {
    tile<kRows, width, kAdjoint>(sum, a, row_step, sum_step, b.from_column(j), c.from_column(j));
    j += width;
  };
  while (k - j >= 4) next(std::integral_constant<int, 4>());
  if (k - j >= 2) next(std::integral_constant<int, 2>());
  if (k - j >= 1) next(std::integral_constant<int, 1>());
}

template <bool kAdjoint, typename T>
void multiply_in_loops(int m, int sum, int k, Rows<const T> a, Rows<const T> b, Rows<T> c) {
  const std::size_t row_step = kAdjoint ? 1 : a.leading, sum_step = kAdjoint ? a.leading : 1;
  const auto to = [&](int i) { return Rows<T>{c.row(i), c.leading}; };
  int i = 0;
  for (; i + 2 <= m; i += 2) strip<2, kAdjoint>(sum, k, a.data + i * row_step, row_step, sum_step, b, to(i));
  if (i < m) strip<1, kAdjoint>(sum, k, a.data + i * row_step, row_step, sum_step, b, to(i));
}

}  // namespace

template <typename T>
void multiply(Form form, int m, int sum, int k, Rows<const T> a, Rows<const T> b, Rows<T> c) {
  const bool adjoint = form == Form::kAdjoint;
  if (sum == 0 || int64_t{m} * sum * k <= kMostInLoops) {
    adjoint ? multiply_in_loops<true>(m, sum, k, a, b, c) : multiply_in_loops<false>(m, sum, k, a, b, c);
    return;
  }
  const char form_a = static_cast<char>(form), form_b = static_cast<char>(Form::kAsIs);
  const T one = 1, zero = 0;
  Lapack<T>::gemm(&form_b, &form_a, &k, &m, &sum, &one, b.data, &b.leading, a.data, &a.leading, &zero, c.data, &c.leading, 1, 1);
}

#define TFQZ_INSTANTIATE(T) template void multiply<T>(Form, int, int, int, Rows<const T>, Rows<const T>, Rows<T>)
TFQZ_INSTANTIATE(float);
TFQZ_INSTANTIATE(double);
TFQZ_INSTANTIATE(std::complex<float>);
TFQZ_INSTANTIATE(std::complex<double>);
#undef TFQZ_INSTANTIATE

}  // namespace tfqz
