// Batches of rectangular matrices: compressions of pencils, orthogonal complements, whole factors, singular value decompositions. No
// TensorFlow header.
#ifndef TFQZ_ALGORITHMS_FRAMES_H_
#define TFQZ_ALGORITHMS_FRAMES_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "algorithms/batch.h"
#include "pencil/factors.h"
#include "pencil/lapack.h"
#include "vectors/simd.h"

namespace tfqz {

// Small matrices go in lockstep where there is more than one, but for those whose rank may not be full.

// Where compressions go.
template <typename T>
struct Compressed {
  T* x;
  int32_t* ranks;
  T *a_inner, *b_inner;
};

// Row-major arrays: `a` and `b` [..., m, n], x [batch, n, p] with p = min(m, n), ranks [batch], a_inner and b_inner [batch, m, p];
// `adjoint`: by the frame of the adjoints, x [batch, m, p], a_inner and b_inner [batch, p, n].
template <typename T>
class TFQZ_INTERFACE CompressBatch : public Batch {
 public:
  // `rank`: of each b, -1 if that is to be found. `a_indices`, `b_indices`: as QzBatch has them.
  CompressBatch(int m, int n, int64_t elements, int rank, bool adjoint, const T* a, const T* b, std::vector<int64_t> a_indices,
                std::vector<int64_t> b_indices, const Compressed<T>& compressed, bool fill_failures);

  int64_t cost_per_element() const override;
  int64_t group_size() const override { return simd_ == nullptr ? 1 : lanes<T>(*simd_); }

 protected:
  Worker make_worker() const override;
  GroupWorker make_group_worker() const override;
  void fill_with_nan(int64_t index) const override;

 private:
  // Where an element's results go.
  Compressed<T> at(int64_t index) const;
  const T* a_of(int64_t index) const { return matrix_of(a_, a_indices_, index); }
  const T* b_of(int64_t index) const { return matrix_of(b_, b_indices_, index); }
  const T* matrix_of(const T* all, const std::vector<int64_t>& indices, int64_t index) const {
    return all + static_cast<std::size_t>(m_) * n_ * (indices.empty() ? index : indices[index]);
  }
  int p() const { return std::min(m_, n_); }
  int64_t l() const { return whole_ ? p() : std::max(m_, n_); }
  int64_t frame_size() const { return l() * p(); }
  int64_t inner_size() const { return whole_ ? int64_t{m_} * n_ : int64_t{p()} * p(); }

  const int m_, n_, rank_;
  const bool whole_;
  const T *const a_, *const b_;
  const std::vector<int64_t> a_indices_, b_indices_;
  const Compressed<T> compressed_;
  const Simd* simd_ = nullptr;  // none: one by one
};

// Row-major arrays: x [batch, l, p], bases [batch, l, d], rows [batch, d] with d = l - p > 0. Nothing fails.
template <typename T>
class TFQZ_INTERFACE ComplementBatch : public Batch {
 public:
  ComplementBatch(int l, int p, int64_t elements, const T* x, T* bases, int32_t* rows);

  int64_t cost_per_element() const override { return 100 + int64_t{l_} * l_ * (10 + l_) / 2; }
  int64_t group_size() const override { return simd_ == nullptr ? 1 : lanes<T>(*simd_); }

 protected:
  Worker make_worker() const override;
  GroupWorker make_group_worker() const override;
  void fill_with_nan(int64_t) const override {}

 private:
  const int l_, p_;
  const T* const x_;
  T* const bases_;
  int32_t* const rows_;
  const Simd* simd_ = nullptr;  // none: one by one
};

// Row-major arrays: a [..., m, n], x [batch, l, p], beside [batch, l, d], the inner factors [batch, p, p], the whole ones S and T
// [batch, m, n], Q [batch, m, m], Z [batch, n, n]; see extension.h. Nothing fails.
template <typename T>
class TFQZ_INTERFACE ExtendBatch : public Batch {
 public:
  ExtendBatch(int m, int n, bool left, const T* a, std::vector<int64_t> a_indices, const T* x, const T* beside,
              const ConstFactors<T>& inner, const Factors<T>& whole)
      : Batch(/*fill_failures=*/false),
        m_(m),
        n_(n),
        left_(left),
        a_(a),
        a_indices_(std::move(a_indices)),
        x_(x),
        beside_(beside),
        inner_(inner),
        whole_(whole) {}

  int64_t cost_per_element() const override {
    const int64_t p = std::min(m_, n_), l = std::max(m_, n_);
    return 100 + 2 * l * l + (l * p * p + (l + p) * p * (l - p)) / 2;
  }

 protected:
  Worker make_worker() const override;
  void fill_with_nan(int64_t) const override {}

 private:
  const int m_, n_;
  const bool left_;
  const T* const a_;
  const std::vector<int64_t> a_indices_;
  const T *const x_, *const beside_;
  const ConstFactors<T> inner_;
  const Factors<T> whole_;
};

// Row-major arrays: b [batch, m, n], u [batch, m, p], s [batch, p], v [batch, n, p] with p = min(m, n).
template <typename T>
class TFQZ_INTERFACE SvdBatch : public Batch {
 public:
  SvdBatch(int m, int n, const T* b, T* u, Real<T>* s, T* v, bool fill_failures)
      : Batch(fill_failures), m_(m), n_(n), b_(b), u_(u), s_(s), v_(v) {}

  int64_t cost_per_element() const override { return 3000 + int64_t{10} * m_ * n_ * std::min(m_, n_); }

 protected:
  Worker make_worker() const override;
  void fill_with_nan(int64_t index) const override;

 private:
  const int m_, n_;
  const T* const b_;
  T* const u_;
  Real<T>* const s_;
  T* const v_;
};

}  // namespace tfqz

#endif  // TFQZ_ALGORITHMS_FRAMES_H_
