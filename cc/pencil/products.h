// Products of row-major n x n matrices, or of their corners, by LAPACK's xGEMM.
#ifndef TFQZ_PRODUCTS_H_
#define TFQZ_PRODUCTS_H_

#include <algorithm>
#include <cstddef>

#include "pencil/interruption.h"
#include "pencil/lapack.h"

namespace tfqz {

enum class Form : char { kAsIs = 'N', kAdjoint = 'C' };

template <typename T>
struct Operand {
  Form form;
  const T* entries;
};

// C = factor A B + keep C, row-major with leading dimension n; C is m x k, and `sum` what A and B have in common. LAPACK sees the
// transposes, and multiplies those. So many rows at a time that it can be interrupted.
template <typename T>
void multiply(int n, int m, int k, int sum, int factor, Operand<T> a, Operand<T> b, int keep, T* c) {
  constexpr int kRows = 512;
  const char form_a = static_cast<char>(a.form), form_b = static_cast<char>(b.form);
  const T alpha = T(factor), beta = T(keep);
  for (int row = 0; row < m && !interrupted(); row += kRows) {
    const int rows = std::min(m - row, kRows);
    const T* of_a = a.entries + static_cast<std::size_t>(row) * (a.form == Form::kAsIs ? n : 1);
    Lapack<T>::gemm(&form_b, &form_a, &k, &rows, &sum, &alpha, b.entries, &n, of_a, &n, &beta, c + static_cast<std::size_t>(row) * n, &n, 1,
                    1);
  }
}

// Panels of the dimension that is summed over: with triangular factors each reaches a part of the product only.
inline int panel_width(int n) { return std::max(64, n / 8); }

}  // namespace tfqz

#endif  // TFQZ_PRODUCTS_H_
