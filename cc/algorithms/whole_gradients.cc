#include "algorithms/whole_gradients.h"

#include <algorithm>
#include <complex>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "algorithms/choose_simd.h"
#include "algorithms/gradient.h"
#include "algorithms/scaled_gradient.h"
#include "algorithms/whole_gradient.h"
#include "pencil/as_here.h"
#include "vectors/lockstep_gradient.h"

namespace tfqz {
// Workspaces for as many elements as go together.
template <typename T>
class WholeGradientBatch<T>::Group {
 public:
  explicit Group(const WholeGradientBatch& batch)
      : batch_(batch),
        p_(std::min(batch.m_, batch.n_)),
        size_(static_cast<std::size_t>(p_) * p_),
        element_(8 * size_ + static_cast<std::size_t>(p_) * (std::max(batch.m_, batch.n_) - p_)),
        whole_(batch.m_, batch.n_, batch.fork_),
        identity_(size_),
        buffer_(element_ * batch.group_size_),
        scaled_(batch.group_size_, ScaledGradient<T>(batch.m_, batch.n_)) {
    for (int i = 0; i < p_; ++i) identity_[i * (p_ + std::size_t{1})] = 1;
    if (batch.simd_ != nullptr) lockstep_ = make_lockstep_gradient<T>(*batch.simd_, p_);
    indices_.reserve(batch.group_size_), wholes_.reserve(batch.group_size_);
    factors_.reserve(batch.group_size_), cotangents_.reserve(batch.group_size_), pencils_.reserve(batch.group_size_);
  }

  void operator()(int64_t first, int64_t count) {
    indices_.clear(), wholes_.clear(), factors_.clear(), cotangents_.clear(), pencils_.clear();
    for (int64_t index = first; index < first + count; ++index) {
      ConstFactors<T> factors = factors_of(index);
      Cotangents<T> cotangents = cotangents_of(index);
      if (!whole_.succeeded(factors, cotangents, pencil_of(index))) continue;
      scaled_[indices_.size()].scale(&factors, &cotangents);
      wholes_.push_back({factors, cotangents});
      const InnerGradient<T> inner = inner_of(indices_.size());
      whole_.prepare(factors, cotangents, batch_.rows_ + index * (std::max(batch_.m_, batch_.n_) - p_), inner);
      indices_.push_back(index);
      factors_.push_back({inner.s, inner.t, identity_.data(), identity_.data()});
      cotangents_.push_back({inner.s_bar, inner.t_bar, inner.q_bar, inner.z_bar, nullptr, nullptr});
      pencils_.push_back({inner.a_bar, inner.b_bar});
    }
    const std::size_t usable = indices_.size();
    if (usable == 0) return;
    std::uint64_t left = ~std::uint64_t{0};
    if (lockstep_ != nullptr) left = (*lockstep_)(factors_.data(), cotangents_.data(), pencils_.data(), static_cast<int>(usable));
    for (std::size_t k = 0; k < usable; ++k) {
      if ((left >> k & 1) != 0) alone()(factors_[k], cotangents_[k], pencils_[k]);
      const Pair<T> pencil = pencil_of(indices_[k]);
      whole_.finish(wholes_[k].first, wholes_[k].second, inner_of(k), pencil);
      scaled_[k].scale_back(pencil);
    }
  }

 private:
  QzGradient<T>& alone() {
    const bool forked = batch_.fork_ && p_ >= kSmallestGradientForked;
    if (alone_ == nullptr) alone_ = std::make_unique<QzGradient<T>>(p_, /*apart=*/false, forked ? batch_.fork_ : one_after_the_other());
    return *alone_;
  }

  InnerGradient<T> inner_of(std::size_t k) {
    T* const x = buffer_.data() + k * element_;
    const auto matrix = [&](int i) { return x + i * size_; };
    return {matrix(0), matrix(1), matrix(2), matrix(3), matrix(4), matrix(5), matrix(6), matrix(7), matrix(8)};
  }
  ConstFactors<T> factors_of(int64_t index) const {
    const auto& f = batch_.factors_;
    return {f.s + index * of_s(), f.t + index * of_s(), f.q + index * of_q(), f.z + index * of_z()};
  }
  Cotangents<T> cotangents_of(int64_t index) const {
    const auto& c = batch_.cotangents_;
    return {c.s + index * of_s(), c.t + index * of_s(), c.q + index * of_q(), c.z + index * of_z(), nullptr, nullptr};
  }
  Pair<T> pencil_of(int64_t index) const { return {batch_.pencils_.first + index * of_s(), batch_.pencils_.second + index * of_s()}; }
  int64_t of_s() const { return int64_t{batch_.m_} * batch_.n_; }
  int64_t of_q() const { return int64_t{batch_.m_} * batch_.m_; }
  int64_t of_z() const { return int64_t{batch_.n_} * batch_.n_; }

  const WholeGradientBatch& batch_;
  const int p_;
  const std::size_t size_, element_;
  WholeGradient<T> whole_;
  std::unique_ptr<LockstepGradient<T>> lockstep_;
  std::unique_ptr<QzGradient<T>> alone_;
  std::vector<T> identity_, buffer_;
  std::vector<ScaledGradient<T>> scaled_;
  std::vector<int64_t> indices_;
  std::vector<std::pair<ConstFactors<T>, Cotangents<T>>> wholes_;
  std::vector<ConstFactors<T>> factors_;
  std::vector<Cotangents<T>> cotangents_;
  std::vector<Pair<T>> pencils_;
};

template <typename T>
WholeGradientBatch<T>::WholeGradientBatch(int m, int n, int64_t elements, const ConstFactors<T>& factors, const Cotangents<T>& cotangents,
                                          const int32_t* rows, const Pair<T>& pencils, Fork fork)
    : Batch(/*fill_failures=*/false),
      m_(m),
      n_(n),
      factors_(factors),
      cotangents_(cotangents),
      rows_(rows),
      pencils_(pencils),
      fork_(elements == 1 && std::max(m, n) >= kSmallestGradientForked ? as_here(std::move(fork)) : Fork()) {
  std::string problem;
  const Simd* simd = choose_simd(&problem);
  if (!problem.empty()) this->refuse(problem);
  if (elements == 1 || std::min(m, n) > kLargestGradientInLockstep || simd == nullptr) return;
  simd_ = simd;
  group_size_ = make_lockstep_gradient<T>(*simd, 1)->lanes();
}

template <typename T>
int64_t WholeGradientBatch<T>::cost_per_element() const {
  const int64_t p = std::min(m_, n_), l = std::max(m_, n_);
  const int64_t square = simd_ == nullptr ? 2000 + 50 * p * p + p * p * p : 100 + 10 * p * p + p * p * p;
  return square + 300 + 5 * l * l + l * l * (l + 2 * p) / 3;
}

template <typename T>
Batch::Worker WholeGradientBatch<T>::make_worker() const {
  return [group = std::make_shared<Group>(*this)](int64_t index) -> std::string {
    (*group)(index, 1);
    return "";
  };
}

template <typename T>
Batch::GroupWorker WholeGradientBatch<T>::make_group_worker() const {
  return [group = std::make_shared<Group>(*this)](int64_t first, int64_t count, std::string*) { (*group)(first, count); };
}

#define TFQZ_INSTANTIATE(T) template class WholeGradientBatch<T>
TFQZ_INSTANTIATE(float);
TFQZ_INSTANTIATE(double);
TFQZ_INSTANTIATE(std::complex<float>);
TFQZ_INSTANTIATE(std::complex<double>);
#undef TFQZ_INSTANTIATE

}  // namespace tfqz
