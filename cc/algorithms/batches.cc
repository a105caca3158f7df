#include "algorithms/batches.h"

#include <algorithm>
#include <complex>
#include <memory>
#include <utility>

#include "algorithms/choose_simd.h"
#include "algorithms/factors_of_batches.h"
#include "algorithms/isolation.h"
#include "pencil/as_here.h"
#include "vectors/lockstep.h"
#include "vectors/lockstep_gradient.h"

namespace tfqz {
namespace {

// Up to here two pencils in lockstep take no longer than one after the other, and a full vector of them a third to a half of that; up to
// the larger size a full vector takes less. Up to kLargestAlike (batch.h) one goes in lockstep as well.
constexpr int kLargestTwoInLockstep = 32, kLargestInLockstep = 64;
// From here on two threads gain for one pencil.
constexpr int kSmallestForked = 128;

template <typename T>
std::string what_is_not_finite(const T* a, const T* b, int n) {
  const std::size_t size = static_cast<std::size_t>(n) * n;
  if (!all_finite(a, size)) return not_finite("a");
  if (!all_finite(b, size)) return not_finite("b");
  return "";
}

}  // namespace

template <typename T>
QzBatch<T>::QzBatch(int n, int64_t elements, const T* a, const T* b, std::vector<int64_t> a_indices, std::vector<int64_t> b_indices,
                    const Factors<T>& factors, bool fill_failures, Fork fork)
    : Batch(fill_failures),
      n_(n),
      a_(a),
      b_(b),
      a_indices_(std::move(a_indices)),
      b_indices_(std::move(b_indices)),
      factors_(factors),
      fork_(elements == 1 && n >= kSmallestForked ? as_here(std::move(fork)) : one_after_the_other()) {
  std::string problem;
  const Simd* simd = choose_simd(&problem);
  if (!problem.empty()) refuse(problem);
  simd_ = simd;
  if (simd == nullptr) return;
  in_lockstep_ =
      n <= kLargestAlike || (n <= kLargestTwoInLockstep && elements > 1) || (n <= kLargestInLockstep && elements >= lanes<T>(*simd));
  if (in_lockstep_) simd_ = narrowest_for<T>(elements, simd);
}

template <typename T>
int64_t QzBatch<T>::cost_per_element() const {
  const int64_t n = n_;
  if (!in_lockstep_) return 3000 + 20 * n * n * n;  // some 60 n^3 flops
  return (300 + 30 * n * n + 5 * n * n * n / 2) * static_cast<int64_t>(sizeof(T)) / 8;
}

template <typename T>
Batch::Worker QzBatch<T>::make_worker() const {
  const auto solver = std::make_shared<QzSolver<T>>(n_, simd_, fork_);
  return [this, solver](int64_t index) -> std::string {
    const T *a = a_of(index), *b = b_of(index);
    const std::string problem = what_is_not_finite(a, b, n_);
    if (!problem.empty()) return problem;
    const Outcome outcome = (*solver)(a, b, at(factors_, n_, index));
    return outcome.info == 0 ? "" : "`a`, `b` must be a pencil on which QZ converges; " + said(outcome);
  };
}

template <typename T>
Batch::GroupWorker QzBatch<T>::make_group_worker() const {
  if (!in_lockstep_) return Batch::make_group_worker();
  struct Group {
    std::vector<const T*> a, b;
    std::vector<Factors<T>> factors;
    std::vector<int64_t> indices;

    void clear() { a.clear(), b.clear(), factors.clear(), indices.clear(); }
    void add(const T* a_of_one, const T* b_of_one, const Factors<T>& of_one, int64_t index) {
      a.push_back(a_of_one);
      b.push_back(b_of_one);
      factors.push_back(of_one);
      indices.push_back(index);
    }
    // The bits of those that failed, at their indices.
    std::uint64_t decompose(LockstepQz<T>* lockstep) const {
      if (indices.empty()) return 0;
      const std::uint64_t failed = (*lockstep)(a.data(), b.data(), factors.data(), static_cast<int>(indices.size()));
      std::uint64_t bits = 0;
      for (std::size_t k = 0; k < indices.size(); ++k) bits |= (failed >> k & 1) << indices[k];
      return bits;
    }
  };
  struct Workspace {
    std::unique_ptr<LockstepQz<T>> lockstep;
    Group whole, permuted;
    std::vector<std::unique_ptr<Isolation<T>>> isolations;
  };
  const auto space = std::make_shared<Workspace>();
  space->lockstep = make_lockstep<T>(*simd_, n_);
  return together_and_the_rest([this, space](int64_t first, int64_t count, std::string* problems) {
    space->whole.clear(), space->permuted.clear();
    std::size_t moved = 0;
    for (int64_t i = 0; i < count; ++i) {
      const T *a = a_of(first + i), *b = b_of(first + i);
      problems[i] = what_is_not_finite(a, b, n_);
      if (!problems[i].empty()) continue;
      const Factors<T> factors = at(factors_, n_, first + i);
      if (has_lonely_entry(a, b, n_)) {
        if (moved == space->isolations.size()) space->isolations.push_back(std::make_unique<Isolation<T>>(n_));
        Isolation<T>& isolation = *space->isolations[moved];
        if (isolation.permute(a, b)) {
          ++moved;
          space->permuted.add(isolation.a(), isolation.b(), isolation.factors(), i);
          continue;
        }
      }
      space->whole.add(a, b, factors, i);
    }
    std::uint64_t left = space->whole.decompose(space->lockstep.get()) | space->permuted.decompose(space->lockstep.get());
    for (std::size_t k = 0; k < moved; ++k) {
      const int64_t i = space->permuted.indices[k];
      if ((left >> i & 1) != 0) continue;
      left |= std::uint64_t{!space->isolations[k]->finish(at(factors_, n_, first + i))} << i;
    }
    return left;
  });
}

template <typename T>
void QzBatch<T>::fill_with_nan(int64_t index) const {
  fill(at(factors_, n_, index), n_);
}

template <typename T>
Batch::Worker SchurBatch<T>::make_worker() const {
  const auto solver = std::make_shared<SchurSolver<T>>(n_);
  return [this, solver](int64_t index) -> std::string {
    const int64_t matrix = index * n_ * n_;
    if (!all_finite(a_ + matrix, static_cast<std::size_t>(n_) * n_)) return not_finite("a");
    const Outcome outcome = (*solver)(a_ + matrix, {factors_.t + matrix, factors_.z + matrix});
    return outcome.info == 0 ? "" : "`a` must be a matrix on which QR iterations converge; " + said(outcome);
  };
}

template <typename T>
void SchurBatch<T>::fill_with_nan(int64_t index) const {
  const int64_t matrix = index * n_ * n_;
  for (T* factor : {factors_.t, factors_.z}) fill_matrix(factor + matrix, n_);
}

template <typename T>
Batch::Worker BasisBatch<T>::make_worker() const {
  const auto finder = std::make_shared<BasisFinder<T>>(n_);
  return [this, finder](int64_t index) -> std::string {
    const int64_t matrix = index * n_ * n_;
    (*finder)(x_ + matrix, std::clamp(counts_[index], 0, n_), bases_ + matrix, rows_ + index * n_);
    return "";
  };
}

template <typename T>
QzGradientBatch<T>::QzGradientBatch(int n, int64_t elements, bool apart, const ConstFactors<T>& factors, const Cotangents<T>& cotangents,
                                    const Pair<T>& pencils, Fork fork)
    : Batch(/*fill_failures=*/false),
      n_(n),
      apart_(apart),
      factors_(factors),
      cotangents_(cotangents),
      pencils_(pencils),
      fork_(elements == 1 && n >= kSmallestGradientForked ? as_here(std::move(fork)) : one_after_the_other()) {
  std::string problem;
  const Simd* simd = choose_simd(&problem);
  if (!problem.empty()) refuse(problem);
  if ((elements == 1 && n > kLargestAlike) || n > kLargestGradientInLockstep || simd == nullptr) return;
  simd_ = simd;
  group_size_ = make_lockstep_gradient<T>(*simd, 1)->lanes();
}

template <typename T>
int64_t QzGradientBatch<T>::cost_per_element() const {
  const int64_t n = n_;
  if (simd_ == nullptr) return 2000 + 50 * n * n + n * n * n;
  return (100 + 10 * n * n + n * n * n) * static_cast<int64_t>(sizeof(T)) / 8;
}

template <typename T>
Cotangents<T> QzGradientBatch<T>::cotangents_of(int64_t index) const {
  const int64_t matrix = index * n_ * n_, vector = index * n_;
  const auto& c = cotangents_;
  const bool eigenvalues = c.alpha != nullptr;
  return {c.s + matrix,
          c.t + matrix,
          c.q + matrix,
          c.z + matrix,
          eigenvalues ? c.alpha + vector : nullptr,
          eigenvalues ? c.beta + vector : nullptr};
}

template <typename T>
Pair<T> QzGradientBatch<T>::pencil_of(int64_t index) const {
  const int64_t matrix = index * n_ * n_;
  return {pencils_.first + matrix, pencils_.second + matrix};
}

template <typename T>
Batch::Worker QzGradientBatch<T>::make_worker() const {
  const auto gradient = std::make_shared<QzGradient<T>>(n_, apart_, fork_);
  return [this, gradient](int64_t index) -> std::string {
    (*gradient)(at(factors_, n_, index), cotangents_of(index), pencil_of(index));
    return "";
  };
}

template <typename T>
Batch::GroupWorker QzGradientBatch<T>::make_group_worker() const {
  if (simd_ == nullptr) return Batch::make_group_worker();
  struct Workspace {
    std::unique_ptr<LockstepGradient<T>> lockstep;
    std::vector<ConstFactors<T>> factors;
    std::vector<Cotangents<T>> cotangents;
    std::vector<Pair<T>> pencils;
  };
  const auto space = std::make_shared<Workspace>();
  space->lockstep = make_lockstep_gradient<T>(*simd_, n_);
  return together_and_the_rest([this, space](int64_t first, int64_t count, std::string*) {
    space->factors.clear(), space->cotangents.clear(), space->pencils.clear();
    for (int64_t index = first; index < first + count; ++index) {
      space->factors.push_back(at(factors_, n_, index));
      space->cotangents.push_back(cotangents_of(index));
      space->pencils.push_back(pencil_of(index));
    }
    return (*space->lockstep)(space->factors.data(), space->cotangents.data(), space->pencils.data(), static_cast<int>(count));
  });
}

#define TFQZ_INSTANTIATE(T)     \
  template class QzBatch<T>;    \
  template class SchurBatch<T>; \
  template class BasisBatch<T>; \
  template class QzGradientBatch<T>
TFQZ_INSTANTIATE(float);
TFQZ_INSTANTIATE(double);
TFQZ_INSTANTIATE(std::complex<float>);
TFQZ_INSTANTIATE(std::complex<double>);
#undef TFQZ_INSTANTIATE

}  // namespace tfqz
