// Which eigenvalues of a pencil coincide, and how far a gradient moves them apart: tfqz/_form/eigenvalues.py, taken_apart, says why. No
// TensorFlow header comes in here.
#ifndef TFQZ_CLUSTERS_H_
#define TFQZ_CLUSTERS_H_

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <vector>

namespace tfqz {

// Of `Clusters::crowded`: how near, chordal, others count, one in six on a sphere with n of them; and how small the product of an
// eigenvalue's distances from these may be. In single precision less than that would be a crowd in many an ordinary pencil.
template <typename R>
R neighbourhood(int n) {
  return R(0.4) / std::sqrt(R(n));
}
template <typename R>
R crowd() {
  return std::min(std::cbrt(std::numeric_limits<R>::epsilon()), R(1) / 2000);
}

template <typename R>
class Clusters {
 public:
  // alpha[j] / beta[j], both over the norms of S and T; `pair[j]`: the two eigenvalues of a 2 x 2 block begin at j.
  Clusters(std::vector<std::complex<R>> alpha, std::vector<R> beta, std::vector<bool> pair);

  // What is added to the diagonals of S and T, as multiples of those of T and S, for S and T over their norms; all 0 where nothing
  // coincides. `runs_only`: members of a cluster that stand side by side stay together.
  struct Moves {
    std::vector<R> of_s, of_t;
    std::vector<R> distance;
    bool any;
  };
  Moves moves(bool runs_only) const;

  std::complex<R> alpha(int j) const { return alpha_[j]; }
  R beta(int j) const { return beta_[j]; }
  bool pair(int j) const { return pair_[j]; }

  // Whether no other eigenvalue is of the same cluster.
  bool alone(int j) const;

  // Whether eigenvalues lie so close together, clusters of any kind that rounding has split among them, that divisions by their distances,
  // one after the other, may lose what is known of others between them.
  bool crowded() const;

  // Whether two eigenvalues are of one cluster that `moves` takes apart.
  bool apart(const Moves& moves, int i, int j) const { return moves.distance[i] != moves.distance[j] && near(i, j); }

 private:
  bool near(int i, int j) const;

  const std::vector<std::complex<R>> alpha_;
  const std::vector<R> beta_;
  const std::vector<bool> pair_;
  std::vector<R> length_;
};

}  // namespace tfqz

#endif  // TFQZ_CLUSTERS_H_
