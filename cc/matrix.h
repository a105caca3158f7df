// A column-major n x n matrix that somebody else owns, as LAPACK sees it.
#ifndef TFQZ_MATRIX_H_
#define TFQZ_MATRIX_H_

#include <cstddef>

namespace tfqz {

template <typename T>
struct Matrix {
  T* data;
  int n;
  int leading;

  T* column(int j) const { return data + static_cast<std::size_t>(j) * leading; }
  T& operator()(int i, int j) const { return column(j)[i]; }
};

}  // namespace tfqz

#endif  // TFQZ_MATRIX_H_
