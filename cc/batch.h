// The loop over a batch of pencils, for whoever has threads to run it: checks, decomposition, failures. No TensorFlow header.
#ifndef TFQZ_BATCH_H_
#define TFQZ_BATCH_H_

#include <algorithm>
#include <cstdint>
#include <limits>
#include <mutex>
#include <string>
#include <vector>

#include "qz.h"

namespace tfqz {

// (3, 4), as Python writes a shape.
std::string shape_text(const std::vector<int64_t>& shape);

// Row-major arrays: `a` and `b` [..., n, n], the factors [batch, n, n], alpha and beta [batch, n].
template <typename T>
struct BatchArrays {
  const T *a, *b;
  // Which matrix of `a` (`b`) belongs to each batch element where something is broadcast; empty: the one with its index.
  std::vector<int64_t> a_indices, b_indices;
  Factors<T> factors;
};

// How many elements a thread should take at once: few enough to balance, and all that it can for one set of workspaces.
inline int64_t range_size(int64_t elements, int64_t threads) {
  return std::max<int64_t>(1, elements / (4 * std::max<int64_t>(1, threads)));
}

template <typename T>
class QzBatch {
 public:
  // `fill_failures`: NaN for the elements that fail, and no failure reported.
  QzBatch(int n, const BatchArrays<T>& arrays, bool fill_failures)
      : n_(n), arrays_(arrays), fill_failures_(fill_failures) {}

  // Decomposes the elements in [begin, end). Disjoint ranges may run at once.
  void run(int64_t begin, int64_t end);

  // What went wrong, in the failing element of lowest index, whichever thread met it first; empty if nothing.
  std::string failure(const std::vector<int64_t>& batch_shape) const;

  // In nanoseconds, near enough for sharing out: QZ takes some 60 n^3 flops.
  int64_t cost_per_element() const { return 3000 + int64_t{20} * n_ * n_ * n_; }

 private:
  enum class Problem { kNone, kInfiniteA, kInfiniteB, kNoConvergence };

  Problem decompose(QzSolver<T>& solver, int64_t index, Outcome* outcome);
  Factors<T> factors_of(int64_t index) const;
  void report(int64_t index, Problem problem, Outcome outcome);

  const int n_;
  const BatchArrays<T> arrays_;
  const bool fill_failures_;

  std::mutex mutex_;
  int64_t failing_index_ = std::numeric_limits<int64_t>::max();
  Problem problem_ = Problem::kNone;
  Outcome outcome_ = {};
};

}  // namespace tfqz

#endif  // TFQZ_BATCH_H_
