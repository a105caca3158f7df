// Column-major n x n matrices, as LAPACK sees them, and the way between them and TensorFlow's row-major ones.
#ifndef TFQZ_MATRIX_H_
#define TFQZ_MATRIX_H_

#include <cstddef>
#include <memory>

namespace tfqz {

// A matrix that somebody else owns, or none: one that isn't wanted.
template <typename T>
struct Matrix {
  T* data = nullptr;
  int n = 0;
  int leading = 0;

  bool present() const { return data != nullptr; }

  T* column(int j) const { return data + static_cast<std::size_t>(j) * leading; }
  T& operator()(int i, int j) const { return column(j)[i]; }
};

// Room for some matrices of one size, with a leading dimension that suits the cache. Throws std::bad_alloc.
template <typename T>
class Matrices {
 public:
  Matrices(int n, int count);
  Matrix<T> operator[](int i) const { return {buffer_.get() + i * size_, n_, leading_}; }

 private:
  int n_, leading_;
  std::size_t size_;
  std::unique_ptr<T[]> buffer_;
};

// Copies a row-major matrix in or out.
template <typename T>
void read(const T* from, Matrix<T> to);
template <typename T>
void write(Matrix<T> from, T* to);

// Multiplies a matrix by the power of two that brings its largest entry near 1, and returns the inverse of that.
template <typename T>
double normalize(Matrix<T> matrix);
template <typename T>
void multiply(Matrix<T> matrix, double factor);
// The same for `count` entries.
template <typename T>
double normalize(T* x, std::size_t count);

// True if every one of `count` entries is finite.
template <typename T>
bool all_finite(const T* x, std::size_t count);
template <typename T>
bool all_finite(Matrix<T> matrix);

}  // namespace tfqz

#endif  // TFQZ_MATRIX_H_
