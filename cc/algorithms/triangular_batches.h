// What the ops for triangular equations do for each element. No TensorFlow header.
#ifndef TFQZ_ALGORITHMS_TRIANGULAR_BATCHES_H_
#define TFQZ_ALGORITHMS_TRIANGULAR_BATCHES_H_

#include <cstdint>

#include "algorithms/batch.h"
#include "algorithms/triangular.h"
#include "pencil/factors.h"

namespace tfqz {

// Row-major arrays [batch, n, n]. Nothing fails.
template <typename T>
class TFQZ_INTERFACE TriangularBatch : public Batch {
 public:
  TriangularBatch(int n, bool adjoint, bool ordinary, const T* s, const T* t, const Pair<const T>& right_hand_sides,
                  const Pair<T>& unknowns)
      : Batch(/*fill_failures=*/false),
        n_(n),
        adjoint_(adjoint),
        ordinary_(ordinary),
        s_(s),
        t_(t),
        right_hand_sides_(right_hand_sides),
        unknowns_(unknowns) {}

  int64_t cost_per_element() const override { return 200 + int64_t{20} * n_ * n_ + int64_t{n_} * n_ * n_ / 5; }

 protected:
  Worker make_worker() const override;
  void fill_with_nan(int64_t) const override {}

 private:
  const int n_;
  const bool adjoint_, ordinary_;
  const T *const s_, *const t_;
  const Pair<const T> right_hand_sides_;
  const Pair<T> unknowns_;
};

// Row-major arrays: two pencils in triangular form, [batch, k, k] and [batch, m, m]; right-hand sides and unknowns of the block between
// them, [batch, m, k]; and how many pairs of eigenvalues coincide, [batch].
template <typename T>
class TFQZ_INTERFACE BlockBatch : public Batch {
 public:
  BlockBatch(int k, int m, bool adjoint, bool ordinary, const Pair<const T>& first, const Pair<const T>& second,
             const Pair<const T>& right_hand_sides, const Pair<T>& unknowns, int32_t* coinciding)
      : Batch(/*fill_failures=*/false),
        k_(k),
        m_(m),
        adjoint_(adjoint),
        ordinary_(ordinary),
        first_(first),
        second_(second),
        right_hand_sides_(right_hand_sides),
        unknowns_(unknowns),
        coinciding_(coinciding) {}

  int64_t cost_per_element() const override { return 200 + int64_t{20} * k_ * m_ + int64_t{k_} * m_ * (k_ + m_) / 4; }

 protected:
  Worker make_worker() const override;
  void fill_with_nan(int64_t) const override {}

 private:
  const int k_, m_;
  const bool adjoint_, ordinary_;
  const Pair<const T> first_, second_, right_hand_sides_;
  const Pair<T> unknowns_;
  int32_t* const coinciding_;
};

}  // namespace tfqz

#endif  // TFQZ_ALGORITHMS_TRIANGULAR_BATCHES_H_
