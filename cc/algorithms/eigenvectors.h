// The gradient of simple eigenvalues by their eigenvectors, for which each needs its own distances from the others only:
// tfqz/_derivative/eigenvectors.py has the formulas and the reasons. No TensorFlow header comes in
// here.
#ifndef TFQZ_EIGENVECTORS_H_
#define TFQZ_EIGENVECTORS_H_

#include <complex>
#include <vector>

#include "algorithms/reorder.h"
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

  // An eigenvalue, or the two of a 2 x 2 block. Of these the second one's vectors are conjugates of the first one's, and its cotangents go
  // with the first one's.
  struct Unit {
    int begin, size;
    int column;                 // of its vectors: of a block's the real part, and the imaginary part next
    Complex s, t;               // alpha and beta over the norms
    Complex right[2], left[2];  // vectors inside of the diagonal block
    Complex product;            // y^H S x / s = y^H T x / t
    Complex of_ratio, of_length;
  };

  Unit unit_at(int begin, const Clusters<R>& clusters) const;
  bool split(const EigenvalueCotangents<R>& cotangents, Unit* unit) const;
  template <bool kLeft>
  void find(T* vectors, T* sums);
  template <bool kLeft>
  void solve(const Unit& block, const Unit& unit, const T* sums, T* vectors) const;
  template <bool kLeft>
  Complex coefficient(const Unit& unit, int i, int j) const;
  void drop_ill_conditioned(T* right, T* left, EigenvalueCotangents<R>* cotangents);

  const int n_;
  ConstFactors<T> factors_{};
  R norm_s_ = 1, norm_t_ = 1;
  std::vector<Unit> blocks_, units_;  // units_: of these those with vectors
  std::vector<int> first_column_,
      end_column_;  // for each row: the first one of units that end behind it, the end of those that begin before
  int columns_ = 0;
  std::vector<T> sums_;
};

}  // namespace tfqz

#endif  // TFQZ_EIGENVECTORS_H_
