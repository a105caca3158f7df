// The gradient of the QZ decomposition of one pencil: from cotangents of its factors and eigenvalues those of A and B. The formula, its
// derivation and the treatment of equal eigenvalues stand in tfqz/_derivative/formula.py. No TensorFlow header comes in here.
#ifndef TFQZ_GRADIENT_H_
#define TFQZ_GRADIENT_H_

#include <complex>
#include <memory>
#include <vector>

#include "algorithms/eigenvectors.h"
#include "algorithms/reorder.h"
#include "algorithms/scaled_gradient.h"
#include "algorithms/triangular.h"
#include "pencil/clusters.h"
#include "pencil/fork.h"
#include "pencil/lapack.h"

namespace tfqz {

// From here on the gradient of one pencil is worth two threads.
constexpr int kSmallestGradientForked = 64;
// Up to here that of several goes in lockstep: beyond this its matrices leave the cache.
constexpr int kLargestGradientInLockstep = 32;

// Holds the workspace for pencils of one size; use one per thread.
template <typename T>
class QzGradient {
 public:
  // Throws std::bad_alloc. `n` >= 1. `apart`: there are cotangents of alpha and beta alone, of eigenvalues that are taken apart where they
  // coincide.
  QzGradient(int n, bool apart, Fork fork);

  // `pencil` receives the cotangents of A and B.
  void operator()(ConstFactors<T> factors, Cotangents<T> cotangents, const Pair<T>& pencil);

 private:
  using R = Real<T>;
  using Complex = std::complex<R>;

  void find(const ConstFactors<T>& factors, const Cotangents<T>& cotangents, const Pair<T>& pencil);
  bool of_diagonals(const ConstFactors<T>& factors, const Cotangents<T>& cotangents) const;
  void by_eigenvectors(const ConstFactors<T>& factors, bool only_eigenvalues, const Pair<T>& pencil);
  bool all_zero(const T* matrix) const;
  Clusters<R> find_clusters(const ConstFactors<T>& factors);
  void move(const ConstFactors<T>& factors, const typename Clusters<R>::Moves& moves);
  void pull_back(const ConstFactors<T>& factors, const T* qb, const T* zb, bool eigenvalues, bool apart, const Pair<T>& pencil);
  void drop_noise(R noise);
  bool sees_into(const Clusters<R>& clusters, const typename Clusters<R>::Moves& moves) const;

  const int n_;
  const bool apart_;
  const std::size_t size_;
  const Fork fork_;
  ScaledGradient<T> scaled_;
  TriangularSolver<T> solver_;
  std::unique_ptr<T[]> buffer_;
  T *const sb_, *const tb_, *const g_w_, *const g_y_, *const e_, *const f_;
  std::unique_ptr<T[]> moved_;  // S and T, where anything moves
  R norm_s_ = 1, norm_t_ = 1;
  Eigenvectors<T> eigenvectors_;
  EigenvalueCotangents<R> eigenvalues_;
  std::vector<R> alphab_re_, alphab_im_, betab_, work_;
};

}  // namespace tfqz

#endif  // TFQZ_GRADIENT_H_
