// Products of rectangular row-major matrices: small ones in loops, for which xGEMM would take longer to begin than to do. No TensorFlow
// header.
#ifndef TFQZ_ALGORITHMS_ROW_PRODUCTS_H_
#define TFQZ_ALGORITHMS_ROW_PRODUCTS_H_

#include <cstddef>

#include "pencil/products.h"

namespace tfqz {

// A row-major matrix that somebody else owns, whose rows begin `leading` entries apart.
template <typename T>
struct Rows {
  T* data;
  int leading;

  T* row(int i) const { return data + static_cast<std::size_t>(i) * leading; }
  Rows from_column(int j) const { return {data + j, leading}; }
};

// C = A B, or A^H B; C is m x k, and `sum` what A and B have in common.
template <typename T>
void multiply(Form form, int m, int sum, int k, Rows<const T> a, Rows<const T> b, Rows<T> c);

}  // namespace tfqz

#endif  // TFQZ_ALGORITHMS_ROW_PRODUCTS_H_
