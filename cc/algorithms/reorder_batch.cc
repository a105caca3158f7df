// The batch of `Tfqz>Reorder`.
#include <complex>
#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "algorithms/batches.h"
#include "algorithms/choose_simd.h"
#include "algorithms/factors_of_batches.h"
#include "vectors/lockstep_reorder.h"

namespace tfqz {
namespace {

// From here on S, T, Q and Z of a vector of them leave the cache.
constexpr int kLargestReorderedInLockstep = 48;

// Whether there is a block of 2 x 2 in the row-major S.
template <typename T>
bool any_block(const T* s, int n) {
  for (int i = 1; i < n; ++i) {
    if (s[i * n + i - 1] != T(0)) return true;
  }
  return false;
}

}  // namespace

template <typename T>
ReorderBatch<T>::ReorderBatch(int n, int64_t elements, const ConstFactors<T>& factors, const int32_t* labels, const Factors<T>& reordered,
                              bool fill_failures)
    : Batch(fill_failures), n_(n), factors_(factors), labels_(labels), reordered_(reordered) {
  std::string problem;
  const Simd* simd = choose_simd(&problem);
  if (!problem.empty()) refuse(problem);
  if (n > kLargestReorderedInLockstep || simd == nullptr) return;
  // Half a vector of them takes no longer than one after the other.
  if (n > kLargestAlike && (elements == 1 || elements < lanes<T>(*simd) / 2)) return;
  simd_ = narrowest_for<T>(elements, simd);
  // Of real factors few may be without 2 x 2 blocks: so many as there are bits for.
  group_size_ = std::is_same_v<T, Real<T>> ? 64 : lanes<T>(*simd_);
}

template <typename T>
Batch::Worker ReorderBatch<T>::make_worker() const {
  const auto reorderer = std::make_shared<Reorderer<T>>(n_);
  return [this, reorderer](int64_t index) -> std::string {
    const ConstFactors<T> factors = at(factors_, n_, index);
    // NaN is what an element is filled with whose decomposition failed.
    if (!all_finite(factors.s, static_cast<std::size_t>(n_) * n_)) return not_finite("s");
    const Outcome outcome = (*reorderer)(factors, labels_ + index * n_, at(reordered_, n_, index));
    if (outcome.info == 0) return "";
    return "`a`, `b` must be a pencil whose eigenvalues can be put in the order of `sort`, and this one is too ill-conditioned; " +
           said(outcome);
  };
}

template <typename T>
Batch::GroupWorker ReorderBatch<T>::make_group_worker() const {
  if (simd_ == nullptr) return Batch::make_group_worker();
  struct Workspace {
    std::unique_ptr<LockstepReorder<T>> lockstep;
    std::vector<ConstFactors<T>> factors;
    std::vector<const int32_t*> labels;
    std::vector<Factors<T>> reordered;
    std::vector<int64_t> indices;
  };
  const auto space = std::make_shared<Workspace>();
  space->lockstep = make_lockstep_reorder<T>(*simd_, n_);
  return together_and_the_rest([this, space](int64_t first, int64_t count, std::string* problems) {
    std::uint64_t left = 0;
    const auto reorder = [&] {
      const int together = static_cast<int>(space->indices.size());
      if (together == 0) return;
      const std::uint64_t failed = (*space->lockstep)(space->factors.data(), space->labels.data(), space->reordered.data(), together);
      for (int k = 0; k < together; ++k) left |= (failed >> k & 1) << space->indices[k];
      space->factors.clear(), space->labels.clear(), space->reordered.clear(), space->indices.clear();
    };
    for (int64_t i = 0; i < count; ++i) {
      const ConstFactors<T> factors = at(factors_, n_, first + i);
      problems[i].clear();
      if (any_block(factors.s, n_) || !all_finite(factors.s, static_cast<std::size_t>(n_) * n_)) {
        left |= std::uint64_t{1} << i;
        continue;
      }
      space->factors.push_back(factors);
      space->labels.push_back(labels_ + (first + i) * n_);
      space->reordered.push_back(at(reordered_, n_, first + i));
      space->indices.push_back(i);
      if (static_cast<int>(space->indices.size()) == lanes<T>(*simd_)) reorder();
    }
    reorder();
    return left;
  });
}

template <typename T>
void ReorderBatch<T>::fill_with_nan(int64_t index) const {
  fill(at(reordered_, n_, index), n_);
}

template class ReorderBatch<float>;
template class ReorderBatch<double>;
template class ReorderBatch<std::complex<float>>;
template class ReorderBatch<std::complex<double>>;

}  // namespace tfqz
