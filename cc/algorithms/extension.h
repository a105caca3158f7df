// The complete factors of a rectangular pencil from those of the square one that it was compressed to. No TensorFlow header.
#ifndef TFQZ_ALGORITHMS_EXTENSION_H_
#define TFQZ_ALGORITHMS_EXTENSION_H_

#include <vector>

#include "algorithms/row_products.h"
#include "pencil/factors.h"
#include "pencil/lapack.h"

namespace tfqz {

// Holds the workspace for pencils of one size; use one per thread.
template <typename T>
class Extender {
 public:
  // `left`: the frame is Q's, m >= n; else it is Z's, m <= n. Throws std::bad_alloc.
  Extender(int m, int n, bool left);

  // All are row-major: `a` m x n; the frame `x` l x p and a basis of its complement, `beside`, l x d, with l = max(m, n), p = min(m, n),
  // d = l - p; `inner`, p x p, the canonical factors of the pencil a x, b x (left: x^H a, x^H b); S and T m x n, Q m x m, Z n x n. All
  // NaN if the inner S is not finite.
  void operator()(const T* a, const T* x, const T* beside, const ConstFactors<T>& inner, const Factors<T>& whole);

 private:
  using R = Real<T>;

  void extend_right(const T* a, const T* x, const T* beside, const ConstFactors<T>& inner, const Factors<T>& whole);
  void extend_left(const T* a, const T* x, const T* beside, const ConstFactors<T>& inner, const Factors<T>& whole);
  template <int kCols>
  static void turn(Rows<T> x, int rows, T* phases);
  template <typename Act>
  void for_undetermined(const ConstFactors<T>& inner, const Act& act) const;
  void write_turned(const T* from, Rows<T> to) const;

  const int m_, n_, p_, d_;
  const bool left_;
  std::vector<T> outside_, of_rows_, of_columns_;
};

}  // namespace tfqz

#endif  // TFQZ_ALGORITHMS_EXTENSION_H_
