#include "algorithms/frames.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <memory>
#include <string>

#include "algorithms/complement.h"
#include "algorithms/compression.h"
#include "algorithms/extension.h"
#include "algorithms/svd.h"
#include "pencil/matrix.h"

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

}  // namespace

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
    const T* a = a_ + size * (a_indices_.empty() ? index : a_indices_[index]);
    const T* b = b_ + size * (b_indices_.empty() ? index : b_indices_[index]);
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
void CompressBatch<T>::fill_with_nan(int64_t index) const {
  const Compressed<T> to = at(index);
  std::fill_n(to.x, frame_size(), nan<T>());
  for (T* inner : {to.a_inner, to.b_inner}) std::fill_n(inner, inner_size(), nan<T>());
  *to.ranks = -1;
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
