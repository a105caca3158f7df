// What a wide pencil, m < n, is compressed to before QZ: an orthonormal basis of the space that B's rows span, and where B has not full
// rank those of B + (I - B B^+) A. A tall one's adjoints are wide. No TensorFlow header.
#ifndef TFQZ_ALGORITHMS_COMPRESSION_H_
#define TFQZ_ALGORITHMS_COMPRESSION_H_

#include <vector>

#include "algorithms/householder.h"
#include "pencil/lapack.h"

namespace tfqz {

// One matrix between frames, p x p, row-major: of a wide one A x, of a tall one x^H A, with the frame x, l x p.
template <typename T>
void compress_by(bool wide, int l, int p, const T* a, const T* x, T* inner);

// Holds the workspace for pencils of one size; use one per thread.
template <typename T>
class Compressor {
 public:
  // `rank` of B; -1: what is beyond rounding. Throws std::bad_alloc. `m`, `n` >= 1, m != n.
  Compressor(int m, int n, int rank);

  // `a` and `b` are row-major m x n and finite, x row-major l x p with l = max(m, n), p = min(m, n): orthonormal columns, of which the
  // first ones, as many as B's rank, span B's rows (tall: columns). Returns the rank. To `a_inner`, `b_inner`, row-major p x p: what the
  // pencil is compressed to, A x and B x (tall: x^H A, x^H B), of B nothing behind the rank.
  int operator()(const T* a, const T* b, T* x, T* a_inner, T* b_inner);

  // What a diagonal entry of QR with pivoting reaches if it is no rounding, over the first one.
  static Real<T> tolerance(int m, int n);

 private:
  using R = Real<T>;

  double load(const T* from, Columns<T> to);
  void write_inner(const Reflectors<T>& v, const int* pivots, double unit, T* b_inner) const;
  void complete(const T* a, const Reflectors<T>& v);

  const bool wide_;
  const int l_, p_, rank_;
  const R tolerance_;
  Householder<T> householder_;
  Buffer<T> B_, A_, X_, small_;  // A and B, wide ones as their adjoints: l x p
  std::vector<T> tau_, inner_tau_;
  std::vector<int> pivots_;
};

}  // namespace tfqz

#endif  // TFQZ_ALGORITHMS_COMPRESSION_H_
