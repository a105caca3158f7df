#include "algorithms/frames.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "algorithms/choose_simd.h"
#include "algorithms/complement.h"
#include "algorithms/compression.h"
#include "algorithms/extension.h"
#include "algorithms/svd.h"
#include "pencil/matrix.h"
#include "vectors/lockstep_frames.h"

namespace tfqz {
namespace {

// The squares are quick to add; they are not finite either if entries are large.
template <typename T>
bool is_finite(const T* x, std::size_t size) {
  return std::isfinite(sum_of_squares(x, size)) || all_finite(x, size);
}

template <typename T>
T nan() {
  return T(std::numeric_limits<Real<T>>::quiet_NaN());
}

// Lanes of a vector, at most.
constexpr int kMostLanes = 64;
// Up to so many entries several matrices go in lockstep.
constexpr int kLargestInLockstep = 1024;

// The vectors for so many m x n matrices; none: one by one.
const Simd* simd_for(int m, int n, int64_t elements, std::string* problem) {
  return elements > 1 && static_cast<int64_t>(m) * n <= kLargestInLockstep ? choose_simd(problem) : nullptr;
}

}  // namespace

template <typename T>
CompressBatch<T>::CompressBatch(int m, int n, int64_t elements, int rank, bool adjoint, const T* a, const T* b,
                                std::vector<int64_t> a_indices, std::vector<int64_t> b_indices, const Compressed<T>& compressed,
                                bool fill_failures)
    : Batch(fill_failures),
      m_(m),
      n_(n),
      rank_(rank),
      whole_(adjoint ? m <= n : n <= m),
      a_(a),
      b_(b),
      a_indices_(std::move(a_indices)),
      b_indices_(std::move(b_indices)),
      compressed_(compressed) {
  std::string problem;
  if (!whole_ && (rank < 0 || rank == std::min(m, n))) simd_ = simd_for(m, n, elements, &problem);
  if (!problem.empty()) this->refuse(problem);
}

template <typename T>
int64_t CompressBatch<T>::cost_per_element() const {
  const int64_t cost = 100 + int64_t{3} * m_ * n_ * (10 + std::min(m_, n_));
  return simd_ == nullptr ? cost : cost / 3;
}

template <typename T>
Compressed<T> CompressBatch<T>::at(int64_t index) const {
  return {compressed_.x + index * frame_size(), compressed_.ranks + index, compressed_.a_inner + index * inner_size(),
          compressed_.b_inner + index * inner_size()};
}

template <typename T>
Batch::Worker CompressBatch<T>::make_worker() const {
  const auto compressor = whole_ ? nullptr : std::make_shared<Compressor<T>>(m_, n_, rank_);
  return [this, compressor](int64_t index) -> std::string {
    const std::size_t size = static_cast<std::size_t>(m_) * n_;
    const T *a = a_of(index), *b = b_of(index);
    const Compressed<T> to = at(index);
    if (!is_finite(a, size)) return not_finite("a");
    if (!is_finite(b, size)) return not_finite("b");
    if (whole_) {
      const int p = static_cast<int>(this->p());
      set_identity<T>({to.x, p, p, p});
      std::copy_n(a, size, to.a_inner);
      std::copy_n(b, size, to.b_inner);
      *to.ranks = p;
    } else {
      *to.ranks = (*compressor)(a, b, to.x, to.a_inner, to.b_inner);
    }
    return "";
  };
}

template <typename T>
Batch::GroupWorker CompressBatch<T>::make_group_worker() const {
  if (simd_ == nullptr) return Batch::make_group_worker();
  const int p = std::min(m_, n_);
  const double tolerance = rank_ == p ? 0 : 2 * static_cast<double>(Compressor<T>::tolerance(m_, n_));
  const std::shared_ptr<LockstepFrames<T>> lockstep =
      make_lockstep_frames<T>(*simd_, {static_cast<int>(l()), p, /*adjoint=*/m_ < n_, /*complement=*/false, tolerance});
  return together_and_the_rest([this, p, lockstep](int64_t first, int64_t count, std::string* problems) {
    const T* b[kMostLanes] = {};
    T* x[kMostLanes] = {};
    std::uint64_t left = 0;
    for (int64_t i = 0; i < count; ++i) {
      b[i] = b_of(first + i), x[i] = at(first + i).x, *at(first + i).ranks = p;
      problems[i].clear();
      // One by one it gets its words.
      if (!is_finite(a_of(first + i), static_cast<std::size_t>(m_) * n_)) left |= std::uint64_t{1} << i;
    }
    left |= (*lockstep)(b, x, static_cast<int>(count));
    for (int64_t i = 0; i < count; ++i) {
      if ((left >> i & 1) != 0) continue;
      const Compressed<T> to = at(first + i);
      compress_by(m_ < n_, static_cast<int>(l()), p, a_of(first + i), to.x, to.a_inner);
      compress_by(m_ < n_, static_cast<int>(l()), p, b[i], to.x, to.b_inner);
    }
    return left;
  });
}

template <typename T>
void CompressBatch<T>::fill_with_nan(int64_t index) const {
  const Compressed<T> to = at(index);
  std::fill_n(to.x, frame_size(), nan<T>());
  for (T* inner : {to.a_inner, to.b_inner}) std::fill_n(inner, inner_size(), nan<T>());
  *to.ranks = -1;
}

template <typename T>
ComplementBatch<T>::ComplementBatch(int l, int p, int64_t elements, const T* x, T* bases, int32_t* rows)
    : Batch(/*fill_failures=*/false), l_(l), p_(p), x_(x), bases_(bases), rows_(rows) {
  std::string problem;
  if (p > 0) simd_ = simd_for(l, l - p, elements, &problem);
  if (!problem.empty()) this->refuse(problem);
}

template <typename T>
Batch::Worker ComplementBatch<T>::make_worker() const {
  const auto finder = std::make_shared<ComplementFinder<T>>(l_, p_);
  return [this, finder](int64_t index) -> std::string {
    const int64_t d = l_ - p_;
    (*finder)(x_ + index * l_ * p_, bases_ + index * l_ * d, rows_ + index * d);
    return "";
  };
}

template <typename T>
Batch::GroupWorker ComplementBatch<T>::make_group_worker() const {
  if (simd_ == nullptr) return Batch::make_group_worker();
  const std::shared_ptr<LockstepFrames<T>> lockstep =
      make_lockstep_frames<T>(*simd_, {l_, p_, /*adjoint=*/false, /*complement=*/true, /*tolerance=*/0});
  const auto finder = std::make_shared<ComplementFinder<T>>(l_, p_);
  return together_and_the_rest([this, lockstep, finder](int64_t first, int64_t count, std::string*) {
    const T* x[kMostLanes] = {};
    T* bases[kMostLanes] = {};
    const int64_t d = l_ - p_;
    for (int64_t i = 0; i < count; ++i) x[i] = x_ + (first + i) * l_ * p_, bases[i] = bases_ + (first + i) * l_ * d;
    const std::uint64_t left = (*lockstep)(x, bases, static_cast<int>(count));
    for (int64_t i = 0; i < count; ++i) {
      if ((left >> i & 1) == 0) finder->triangularize(bases[i], rows_ + (first + i) * d);
    }
    return left;
  });
}

template <typename T>
Batch::Worker ExtendBatch<T>::make_worker() const {
  const auto extender = std::make_shared<Extender<T>>(m_, n_, left_);
  return [this, extender](int64_t index) -> std::string {
    const int64_t m = m_, n = n_, l = std::max(m, n), p = std::min(m, n), inner = index * p * p;
    const T* a = a_ + m * n * (a_indices_.empty() ? index : a_indices_[index]);
    (*extender)(a, x_ + index * l * p, beside_ + index * l * (l - p),
                {inner_.s + inner, inner_.t + inner, inner_.q + inner, inner_.z + inner},
                {whole_.s + index * m * n, whole_.t + index * m * n, whole_.q + index * m * m, whole_.z + index * n * n, nullptr, nullptr});
    return "";
  };
}

template <typename T>
Batch::Worker SvdBatch<T>::make_worker() const {
  const auto solver = std::make_shared<SvdSolver<T>>(m_, n_);
  return [this, solver](int64_t index) -> std::string {
    const int64_t m = m_, n = n_, p = std::min(m_, n_);
    const T* b = b_ + index * m * n;
    if (!is_finite(b, m * n)) return not_finite("b");
    const Outcome outcome = (*solver)(b, u_ + index * m * p, s_ + index * p, v_ + index * n * p);
    return outcome.info == 0 ? "" : "`b` must be a matrix whose singular value decomposition converges; " + said(outcome);
  };
}

template <typename T>
void SvdBatch<T>::fill_with_nan(int64_t index) const {
  const int64_t m = m_, n = n_, p = std::min(m_, n_);
  std::fill_n(u_ + index * m * p, m * p, nan<T>());
  std::fill_n(s_ + index * p, p, nan<Real<T>>());
  std::fill_n(v_ + index * n * p, n * p, nan<T>());
}

#define TFQZ_INSTANTIATE(T)          \
  template class CompressBatch<T>;   \
  template class ComplementBatch<T>; \
  template class ExtendBatch<T>;     \
  template class SvdBatch<T>
TFQZ_INSTANTIATE(float);
TFQZ_INSTANTIATE(double);
TFQZ_INSTANTIATE(std::complex<float>);
TFQZ_INSTANTIATE(std::complex<double>);
#undef TFQZ_INSTANTIATE

}  // namespace tfqz
