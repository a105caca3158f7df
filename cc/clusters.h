// Which eigenvalues of a pencil coincide, and how far a gradient moves them apart: tfqz/_eigenvalues.py, taken_apart, says why. No
// TensorFlow header comes in here.
#ifndef TFQZ_CLUSTERS_H_
#define TFQZ_CLUSTERS_H_

#include <complex>
#include <vector>

namespace tfqz {

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
