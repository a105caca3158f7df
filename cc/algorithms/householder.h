// QR decompositions of rectangular matrices by Householder's reflectors: small ones in loops, for which LAPACK's calls would take longer
// than the work, others by LAPACK. No TensorFlow header.
#ifndef TFQZ_ALGORITHMS_HOUSEHOLDER_H_
#define TFQZ_ALGORITHMS_HOUSEHOLDER_H_

#include <memory>
#include <vector>

#include "pencil/lapack.h"

namespace tfqz {

// A column-major matrix that somebody else owns.
template <typename T>
struct Columns {
  T* data;
  int rows, cols, leading;

  T* column(int j) const { return data + static_cast<std::size_t>(j) * leading; }
  T& operator()(int i, int j) const { return column(j)[i]; }
  // What begins in row i and column j.
  Columns from(int i, int j) const { return {column(j) + i, rows - i, cols - j, leading}; }
};

// Room for a column-major matrix. Throws std::bad_alloc.
template <typename T>
class Buffer {
 public:
  Buffer() = default;
  Buffer(int rows, int cols) : rows_(rows), cols_(cols), entries_(new T[static_cast<std::size_t>(rows) * cols]) {}
  Columns<T> all() const { return {entries_.get(), rows_, cols_, rows_ > 0 ? rows_ : 1}; }

 private:
  int rows_ = 0, cols_ = 0;
  std::unique_ptr<T[]> entries_;
};

// The row-major rows x cols array into columns: as it is, or its conjugate transpose.
template <typename T>
void read(const T* from, bool adjoint, Columns<T> to);
// The way back, as it is.
template <typename T>
void write(Columns<T> from, T* to);

// The sum of the squares of `count` entries, in any order; finite only if they are.
template <typename T>
Real<T> sum_of_squares(const T* x, std::size_t count);

// The first columns of the identity.
template <typename T>
void set_identity(Columns<T> x);

// Reflectors as LAPACK keeps them: below the diagonal of the first `count` columns of `v`, and in `tau`. Their product is a unitary matrix
// of as many rows as `v` has.
template <typename T>
struct Reflectors {
  Columns<const T> v;
  const T* tau;
  int count;
};

// Holds the workspace for matrices of at most `rows` rows and columns, which must be at least 1; use one per thread.
template <typename T>
class Householder {
 public:
  // Throws std::bad_alloc.
  explicit Householder(int rows);

  // X = Q R in place, with as many reflectors as columns, at most as rows.
  Reflectors<T> factor(Columns<T> x, T* tau);

  // X P = Q R, the largest column next: until `most` columns are done, or, with a `tolerance` > 0, until |r_jj| reaches no longer beyond
  // tolerance |r_11|. As many reflectors as were needed; column j of X P is column pivots[j] of X, and of R only the rows of reflectors are
  // meant.
  Reflectors<T> factor_pivoted(Columns<T> x, int most, Real<T> tolerance, T* tau, int* pivots);

  // The first columns of Q, as many as `x` has: at most one for each reflector.
  void form(const Reflectors<T>& q, Columns<T> x);
  // Q X of X whose first `done` columns are those of the identity.
  void apply(const Reflectors<T>& q, int done, Columns<T> x);
  // Q^H X and X Q.
  void apply_adjoint(const Reflectors<T>& q, Columns<T> x);
  void apply_right(const Reflectors<T>& q, Columns<T> x);

  // Whether the smallest singular value of the upper triangle of X, which must have at least as many rows as columns, is surely beyond
  // `reach`. `scratch`: as large.
  bool surely_regular(Columns<const T> x, Real<T> reach, Columns<T> scratch);

 private:
  bool small(int rows, int cols) const;
  T* work(int size);
  void call_ormqr(const char* side, const char* trans, const Reflectors<T>& q, Columns<T> x);

  std::vector<T> product_, work_;
  std::vector<Real<T>> real_work_;
};

}  // namespace tfqz

#endif  // TFQZ_ALGORITHMS_HOUSEHOLDER_H_
