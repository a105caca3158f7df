// A batch of the gradients of whole_gradient.h. No TensorFlow header.
#ifndef TFQZ_ALGORITHMS_WHOLE_GRADIENTS_H_
#define TFQZ_ALGORITHMS_WHOLE_GRADIENTS_H_

#include <cstdint>

#include "algorithms/batch.h"
#include "pencil/factors.h"
#include "pencil/fork.h"
#include "vectors/simd.h"

namespace tfqz {

// Row-major arrays: S, T and their cotangents [batch, m, n], Q [batch, m, m], Z [batch, n, n], the chosen rows [batch, max(m, n) - min(m,
// n)], cotangents of A and B [batch, m, n]. m != n, neither is 0. Nothing fails. The square gradients of small pencils go in lockstep as
// those of QzGradientBatch do.
template <typename T>
class TFQZ_INTERFACE WholeGradientBatch : public Batch {
 public:
  // `fork`: for one pencil, how to do two things at once.
  WholeGradientBatch(int m, int n, int64_t elements, const ConstFactors<T>& factors, const Cotangents<T>& cotangents, const int32_t* rows,
                     const Pair<T>& pencils, Fork fork);

  int64_t cost_per_element() const override;
  int64_t group_size() const override { return group_size_; }

 protected:
  Worker make_worker() const override;
  GroupWorker make_group_worker() const override;
  void fill_with_nan(int64_t) const override {}

 private:
  class Group;

  const int m_, n_;
  const ConstFactors<T> factors_;
  const Cotangents<T> cotangents_;
  const int32_t* const rows_;
  const Pair<T> pencils_;
  const Fork fork_;
  const Simd* simd_ = nullptr;  // none: one by one
  int64_t group_size_ = 1;
};

}  // namespace tfqz

#endif  // TFQZ_ALGORITHMS_WHOLE_GRADIENTS_H_
