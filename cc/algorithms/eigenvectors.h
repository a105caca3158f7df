// The gradient of simple eigenvalues by their eigenvectors, for which each needs its own distances from the others only:
// tfqz/_derivative/eigenvectors.py has the formulas and the reasons. No TensorFlow header comes in
// here.
#ifndef TFQZ_EIGENVECTORS_H_
#define TFQZ_EIGENVECTORS_H_

#include <complex>
#include <vector>

#include "algorithms/reorder.h"
#include "algorithms/substitution.h"
#include "algorithms/triangular.h"
#include "pencil/clusters.h"
#include "pencil/fork.h"
#include "pencil/lapack.h"

namespace tfqz {

// Of alpha and beta; of the latter the real part counts.
template <typename R>
struct EigenvalueCotangents {
  std::vector<std::complex<R>> alpha;
  std::vector<R> beta;

  explicit EigenvalueCotangents(int n) : alpha(n), beta(n) {}
  bool all_zero() const;
};

// Holds the workspace for pencils of one size; use one per thread.
template <typename T>
class Eigenvectors {
 public:
  explicit Eigenvectors(int n);

  // Takes up a pencil's factors, of which S and T have these norms. Returns whether any of the cotangents is that of alpha : beta for a
  // simple eigenvalue; `*rest`: whether that isn't all.
  bool read(const ConstFactors<T>& factors, Real<T> norm_s, Real<T> norm_t, const Clusters<Real<T>>& clusters,
            const EigenvalueCotangents<Real<T>>& cotangents, bool* rest);

  // Adds what comes of these to the cotangents of A and B and leaves the rest in `cotangents`. `room`: six n x n matrices.
  void operator()(const Fork& fork, T* room, EigenvalueCotangents<Real<T>>* cotangents, const Pair<T>& pencil);

 private:
  using R = Real<T>;
  using Complex = std::complex<R>;

  using Unit = EigenvalueUnit<R>;

  bool split(const EigenvalueCotangents<R>& cotangents, Unit* unit) const;
  void drop_ill_conditioned(T* right, T* left, EigenvalueCotangents<R>* cotangents);

  const int n_;
  ConstFactors<T> factors_{};
  R norm_s_ = 1, norm_t_ = 1;
  VectorSubstitution<T> substitution_;
  std::vector<Unit> units_;  // those with vectors
  int columns_ = 0;
  std::vector<T> sums_;
};

}  // namespace tfqz

#endif  // TFQZ_EIGENVECTORS_H_
