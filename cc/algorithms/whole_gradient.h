// The gradient of the complete factors of rectangular pencils, around that of the square pencil that they are compressed to. The formulas
// and their derivation stand in tfqz/_derivative/compressed.py and bases.py. No TensorFlow header comes in here.
#ifndef TFQZ_ALGORITHMS_WHOLE_GRADIENT_H_
#define TFQZ_ALGORITHMS_WHOLE_GRADIENT_H_

#include <cstdint>
#include <vector>

#include "algorithms/row_products.h"
#include "pencil/factors.h"
#include "pencil/fork.h"
#include "pencil/lapack.h"

namespace tfqz {

// Of the square pencil (S, T) whose frames are I: row-major p x p matrices, what its gradient reads and writes; and what is left of the
// frame's cotangent for later, d x p.
template <typename T>
struct InnerGradient {
  T *s, *t, *s_bar, *t_bar, *q_bar, *z_bar, *a_bar, *b_bar, *beside;
};

// Holds the workspace for pencils of one size; use one per thread.
//
// With l = max(m, n), p = min(m, n), d = l - p: O is the p x p frame, U = [X N] the l x l one, of which X belongs to the triangular block.
// What is said of m < n, where U is Z, holds for the adjoint pencil if m > n: it has lower triangles then.
template <typename T>
class WholeGradient {
 public:
  // Throws std::bad_alloc. m != n, and neither is 0. `fork`: how to do two things at once; empty: one after the other.
  WholeGradient(int m, int n, Fork fork);

  // Whether the decomposition didn't fail; otherwise `pencil` receives its cotangents, 0 or NaN.
  bool succeeded(const ConstFactors<T>& factors, const Cotangents<T>& cotangents, const Pair<T>& pencil) const;

  // Writes what the gradient of the square pencil reads, and `beside`. `rows`: the d chosen rows of N.
  void prepare(const ConstFactors<T>& factors, const Cotangents<T>& cotangents, const int32_t* rows, const InnerGradient<T>& inner);

  // `pencil` receives the cotangents of A and B, from what the gradient of the square pencil wrote and `prepare`.
  void finish(const ConstFactors<T>& factors, const Cotangents<T>& cotangents, const InnerGradient<T>& inner, const Pair<T>& pencil);

 private:
  using R = Real<T>;

  void read(const ConstFactors<T>& factors, const Cotangents<T>& cotangents, bool all);
  template <typename One, typename Other>
  void both(const One& one, const Other& other) const {
    if (fork_) return fork_(one, other);
    one();
    other();
  }
  void keep_largest_real(const InnerGradient<T>& inner);
  R find_infinite(Rows<const T> t);
  void solve_deficient(const InnerGradient<T>& inner, R scale);
  int orthonormalize(Rows<T> vectors, int count) const;

  const int m_, n_, p_, l_, d_;
  const bool left_;
  const Fork fork_;
  std::vector<T> buffer_;
  Rows<const T> o_, o_bar_, u_, u_bar_, s_, s_bar_;    // as they are in memory, or copies of them
  Rows<T> frame_, frame_bar_, factor_, factor_bar_;    // the copies
  Rows<T> of_u_, of_o_, triangle_, chosen_, turning_;  // U^H and O^H times the cotangents, and what the basis N is made by
  Rows<T> inside_, product_, adjoint_, work_, h_;      // inside_: [A1 E; B1 F]
  Rows<T> v_, rows_of_v_, left_null_, right_null_;     // of deficient pencils
  std::vector<int> infinite_;
};

}  // namespace tfqz

#endif  // TFQZ_ALGORITHMS_WHOLE_GRADIENT_H_
