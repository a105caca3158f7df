// Products of row-major n x n matrices, or of their corners, by LAPACK's xGEMM.
#ifndef TFQZ_PRODUCTS_H_
#define TFQZ_PRODUCTS_H_

#include <algorithm>

#include "pencil/lapack.h"

namespace tfqz {

enum class Form : char { kAsIs = 'N', kAdjoint = 'C' };

template <typename T>
struct Operand {
  Form form;
  const T* entries;
};

// C = factor A B + keep C, row-major with leading dimension n; C is m x k, and `sum` what A and B have in common. LAPACK sees the
// transposes, and multiplies those.
template <typename T>
void multiply(int n, int m, int k, int sum, int factor, Operand<T> a, Operand<T> b, int keep, T* c) {
  const char form_a = static_cast<char>(a.form), form_b = static_cast<char>(b.form);
  const T alpha = T(factor), beta = T(keep);
  Lapack<T>::gemm(&form_b, &form_a, &k, &m, &sum, &alpha, b.entries, &n, a.entries, &n, &beta, c, &n, 1, 1);
}

// Panels of the dimension that is summed over: with triangular factors each reaches a part of the product only.
inline int panel_width(int n) { return std::max(64, n / 8); }

}  // namespace tfqz

#endif  // TFQZ_PRODUCTS_H_
