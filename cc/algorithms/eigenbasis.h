// Eigenvectors of one pencil from its factors, as `tfqz.eig` returns them; and the triangular equations of their derivative, which
// tfqz/_derivative/eigenpairs.py explains. No TensorFlow header.
#ifndef TFQZ_EIGENBASIS_H_
#define TFQZ_EIGENBASIS_H_

#include <complex>
#include <cstddef>
#include <memory>
#include <vector>

#include "algorithms/substitution.h"
#include "pencil/factors.h"
#include "pencil/lapack.h"

namespace tfqz {

// Holds the workspace for pencils of one size; use one per thread.
template <typename T>
class EigenvectorFinder {
 public:
  using Complex = std::complex<Real<T>>;

  explicit EigenvectorFinder(int n);

  // Row-major n x n, one in each column; null for those that aren't wanted.
  void operator()(const ConstFactors<T>& factors, Complex* left, Complex* right);

 private:
  using Unit = EigenvalueUnit<Real<T>>;

  template <bool kLeft>
  void find(Complex* out);
  void finish(const Unit& unit, Complex* out);

  const int n_;
  VectorSubstitution<T> substitution_;
  std::vector<Unit> units_;
  std::unique_ptr<T[]> room_;
  std::vector<T> sums_;
  std::vector<Complex> column_;
};

// What `BorderedSolver` solves: upper triangular S and T and vectors, row-major n x n, of which only the upper triangles count; s_j and
// t_j.
template <typename C>
struct BorderedEquations {
  const C *s_matrix, *t_matrix, *s, *t, *vectors;
};

// u_j of L_j u_j = h_j, or of L_j^H u_j = h_j, in column j. C is complex. Holds the workspace; use one per thread.
template <typename C>
class BorderedSolver {
 public:
  BorderedSolver(int n, bool adjoint);

  void operator()(const BorderedEquations<C>& equations, const C* right_hand_sides, C* unknowns);

 private:
  using R = Real<C>;

  void prepare(const BorderedEquations<C>& equations);
  void substitute(const BorderedEquations<C>& equations, const C* right_hand_sides, C* unknowns);

  const int n_;
  const bool adjoint_;
  std::vector<C> border_, inverse_, sums_, diagonal_;
};

}  // namespace tfqz

#endif  // TFQZ_EIGENBASIS_H_
