// What a rectangular pencil is compressed by before QZ: an orthonormal basis of the space that B's rows span (wide: m < n) or its columns
// (tall: those of the adjoints), and where B has not full rank of B + (I - B B^+) A's. No TensorFlow header.
#ifndef TFQZ_ALGORITHMS_COMPRESSION_H_
#define TFQZ_ALGORITHMS_COMPRESSION_H_

#include <vector>

#include "algorithms/householder.h"
#include "pencil/lapack.h"

namespace tfqz {

// Holds the workspace for pencils of one size; use one per thread.
template <typename T>
class Compressor {
 public:
  // `rank` of B; -1: what is beyond rounding. `left`: what compresses columns, of tall ones. Throws std::bad_alloc. `m`, `n` >= 1.
  Compressor(int m, int n, int rank, bool left);

  // `a` and `b` are row-major m x n and finite, x row-major n x p, or, `left`, m x p, with p = min(m, n): orthonormal columns, of which the
  // first ones, as many as B's rank, span B's rows (left: columns). The identity where x is square, and p then. Returns the rank.
  int operator()(const T* a, const T* b, T* x);

 private:
  using R = Real<T>;

  void load(const T* from, Columns<T> to);
  void complete(const T* a, const Reflectors<T>& v);

  const bool wide_, nothing_beside_;
  const int l_, p_, rank_;
  const R tolerance_;
  Householder<T> householder_;
  Buffer<T> B_, A_, X_, small_;  // A and B, wide ones as their adjoints: l x p
  std::vector<T> tau_, inner_tau_;
  std::vector<int> pivots_;
};

}  // namespace tfqz

#endif  // TFQZ_ALGORITHMS_COMPRESSION_H_
