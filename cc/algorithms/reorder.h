// A generalized Schur form with its eigenvalues in another order. No TensorFlow header comes in here.
#ifndef TFQZ_REORDER_H_
#define TFQZ_REORDER_H_

#include <cstdint>
#include <vector>

#include "algorithms/exchange.h"
#include "algorithms/qz.h"
#include "pencil/factors.h"
#include "pencil/lapack.h"
#include "pencil/matrix.h"

namespace tfqz {

// Holds the workspace for factors of one size; use one per thread.
template <typename T>
class Reorderer {
 public:
  // Throws std::bad_alloc. `n` >= 1.
  explicit Reorderer(int n);

  // Eigenvalues of larger labels come first, and those of equal labels keep their order. A 2 x 2 block moves as one, with the
  // larger of its labels. What was an infinite eigenvalue is one afterwards. Where info is not 0 the order can't be had: xTGEXC refuses an
  // exchange that would spoil the form, and the contents of `reordered` mean nothing.
  Outcome operator()(const ConstFactors<T>& factors, const int32_t* labels, const Factors<T>& reordered);

 private:
  void start(const ConstFactors<T>& factors, const int32_t* labels, Parts parts);
  bool sorted() const;
  LapackInt sort_by_lapack();
  LapackInt move_up(int from, int to);

  int n_;
  Matrices<T> matrices_;
  SchurForm<T> form_;
  double scale_s_, scale_t_;
  std::vector<Row> rows_;
  std::vector<T> work_;
};

}  // namespace tfqz

#endif  // TFQZ_REORDER_H_
