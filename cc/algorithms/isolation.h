// What precedes QZ where a pencil has rows or columns that are zero but for one entry: LAPACK's permutations (xGGBAL) make it triangular
// beside a block in the middle, and what stands there no rounding touches. No TensorFlow header comes in here.
#ifndef TFQZ_ISOLATION_H_
#define TFQZ_ISOLATION_H_

#include <complex>
#include <memory>

#include "pencil/factors.h"
#include "pencil/lapack.h"
#include "pencil/matrix.h"

namespace tfqz {

// Whether a row or a column of both matrices together has at most one entry that isn't 0: nothing moves otherwise. Dense pencils,
// row-major, are through after a few looks.
template <typename T>
bool has_lonely_entry(const T* a, const T* b, int n);

// Holds one permuted pencil and its factors.
template <typename T>
class Isolation {
 public:
  // Throws std::bad_alloc. `n` >= 1.
  explicit Isolation(int n);

  // Whether something moves, and only then is there a permuted pencil. `a` and `b` are row-major.
  bool permute(const T* a, const T* b);

  // The permuted pencil, row-major, and where its factors are to go.
  const T* a() const { return buffer_.get(); }
  const T* b() const { return buffer_.get() + size_; }
  const Factors<T>& factors() const { return factors_; }

  // From these to the factors of the pencil itself; null for those that aren't wanted. False if alpha or beta isn't finite.
  bool finish(const Factors<T>& to);

 private:
  const LapackInt n_;
  const std::size_t size_;
  std::unique_ptr<T[]> buffer_;
  std::unique_ptr<Real<T>[]> scales_;
  std::unique_ptr<std::complex<Real<T>>[]> alpha_;
  Factors<T> factors_;
  Matrices<T> matrices_;
  LapackInt first_ = 0, last_ = 0;
};

}  // namespace tfqz

#endif  // TFQZ_ISOLATION_H_
