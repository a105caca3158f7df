// What is done for each element of a batch: the operands and results of each op, as arrays. No TensorFlow header.
#ifndef TFQZ_ALGORITHMS_BATCHES_H_
#define TFQZ_ALGORITHMS_BATCHES_H_

#include <cstdint>
#include <vector>

#include "algorithms/basis.h"
#include "algorithms/batch.h"
#include "algorithms/gradient.h"
#include "algorithms/qz.h"
#include "algorithms/reorder.h"
#include "algorithms/schur.h"
#include "pencil/factors.h"
#include "pencil/fork.h"
#include "vectors/simd.h"

namespace tfqz {

// Row-major arrays: `a` and `b` [..., n, n], the factors [batch, n, n], alpha and beta [batch, n]. Small pencils go in lockstep,
// and what doesn't converge there to LAPACK.
template <typename T>
class TFQZ_INTERFACE QzBatch : public Batch {
 public:
  // `a_indices`, `b_indices`: which matrix belongs to each batch element where something is broadcast; empty: the one with its
  // index. `fork`: for one pencil, how to do two things at once.
  QzBatch(int n, int64_t elements, const T* a, const T* b, std::vector<int64_t> a_indices, std::vector<int64_t> b_indices,
          const Factors<T>& factors, bool fill_failures, Fork fork = one_after_the_other());

  int64_t cost_per_element() const override;
  int64_t group_size() const override { return in_lockstep_ ? lanes<T>(*simd_) : 1; }

 protected:
  Worker make_worker() const override;
  GroupWorker make_group_worker() const override;
  void fill_with_nan(int64_t index) const override;

 private:
  const T* a_of(int64_t index) const { return matrix_of(a_, a_indices_, index); }
  const T* b_of(int64_t index) const { return matrix_of(b_, b_indices_, index); }
  const T* matrix_of(const T* all, const std::vector<int64_t>& indices, int64_t index) const {
    return all + static_cast<std::size_t>(n_) * n_ * (indices.empty() ? index : indices[index]);
  }

  const int n_;
  const T *const a_, *const b_;
  const std::vector<int64_t> a_indices_, b_indices_;
  const Factors<T> factors_;
  const Fork fork_;
  const Simd* simd_ = nullptr;  // none: LAPACK
  bool in_lockstep_ = false;
};

// Row-major arrays: factors [batch, n, n], labels [batch, n]. Small ones without 2 x 2 blocks go in lockstep, and
// what can't be exchanged there to LAPACK.
template <typename T>
class TFQZ_INTERFACE ReorderBatch : public Batch {
 public:
  ReorderBatch(int n, int64_t elements, const ConstFactors<T>& factors, const int32_t* labels, const Factors<T>& reordered,
               bool fill_failures);

  // An eigenvalue in two goes past half of the others.
  int64_t cost_per_element() const override { return 300 + int64_t{20} * n_ * n_ + int64_t{n_} * n_ * n_ / 2; }
  int64_t group_size() const override { return group_size_; }

 protected:
  Worker make_worker() const override;
  GroupWorker make_group_worker() const override;
  void fill_with_nan(int64_t index) const override;

 private:
  const int n_;
  const ConstFactors<T> factors_;
  const int32_t* const labels_;
  const Factors<T> reordered_;
  const Simd* simd_ = nullptr;  // none: one by one
  int64_t group_size_ = 1;
};

// Row-major arrays [batch, n, n].
template <typename T>
class TFQZ_INTERFACE SchurBatch : public Batch {
 public:
  SchurBatch(int n, const T* a, const SchurFactors<T>& factors, bool fill_failures)
      : Batch(fill_failures), n_(n), a_(a), factors_(factors) {}

  // The Schur form takes some 25 n^3 flops.
  int64_t cost_per_element() const override { return 2000 + int64_t{10} * n_ * n_ * n_; }

 protected:
  Worker make_worker() const override;
  void fill_with_nan(int64_t index) const override;

 private:
  const int n_;
  const T* const a_;
  const SchurFactors<T> factors_;
};

// Row-major arrays: matrices and bases [batch, n, n], how many columns [batch], chosen rows [batch, n]. Nothing fails.
template <typename T>
class TFQZ_INTERFACE BasisBatch : public Batch {
 public:
  BasisBatch(int n, const T* x, const int32_t* counts, T* bases, int32_t* rows)
      : Batch(/*fill_failures=*/false), n_(n), x_(x), counts_(counts), bases_(bases), rows_(rows) {}

  // For half of the columns.
  int64_t cost_per_element() const override { return 500 + int64_t{n_} * n_ * n_; }

 protected:
  Worker make_worker() const override;
  void fill_with_nan(int64_t) const override {}

 private:
  const int n_;
  const T* const x_;
  const int32_t* const counts_;
  T* const bases_;
  int32_t* const rows_;
};

// Row-major arrays: factors, their cotangents and those of A and B [batch, n, n], cotangents of alpha and beta [batch, n] or null.
// Small pencils go in lockstep, but for those with eigenvalues that coincide.
template <typename T>
class TFQZ_INTERFACE QzGradientBatch : public Batch {
 public:
  // `fork`: for one pencil, how to do two things at once.
  QzGradientBatch(int n, int64_t elements, bool apart, const ConstFactors<T>& factors, const Cotangents<T>& cotangents,
                  const Pair<T>& pencils, Fork fork);

  // Some 10 products of matrices.
  int64_t cost_per_element() const override;
  int64_t group_size() const override { return group_size_; }

 protected:
  Worker make_worker() const override;
  GroupWorker make_group_worker() const override;
  void fill_with_nan(int64_t) const override {}

 private:
  Cotangents<T> cotangents_of(int64_t index) const;
  Pair<T> pencil_of(int64_t index) const;

  const int n_;
  const bool apart_;
  const ConstFactors<T> factors_;
  const Cotangents<T> cotangents_;
  const Pair<T> pencils_;
  const Fork fork_;
  const Simd* simd_ = nullptr;  // none: one by one
  int64_t group_size_ = 1;
};

}  // namespace tfqz

#endif  // TFQZ_ALGORITHMS_BATCHES_H_
