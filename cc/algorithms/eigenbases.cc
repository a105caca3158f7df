#include "algorithms/eigenbases.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <string>

#include "pencil/matrix.h"

namespace tfqz {

template <typename T>
Batch::Worker EigenvectorBatch<T>::make_worker() const {
  const auto finder = std::make_shared<EigenvectorFinder<T>>(n_);
  return [this, finder](int64_t index) -> std::string {
    const int64_t matrix = index * n_ * n_;
    const ConstFactors<T> factors = {factors_.s + matrix, factors_.t + matrix, factors_.q + matrix, factors_.z + matrix};
    if (!all_finite(factors.s, static_cast<std::size_t>(n_) * n_)) return not_finite("s");
    (*finder)(factors, left_ == nullptr ? nullptr : left_ + matrix, right_ == nullptr ? nullptr : right_ + matrix);
    return "";
  };
}

template <typename T>
void EigenvectorBatch<T>::fill_with_nan(int64_t index) const {
  const Real<T> nan = std::numeric_limits<Real<T>>::quiet_NaN();
  const int64_t size = static_cast<int64_t>(n_) * n_;
  for (Complex* vectors : {left_, right_}) {
    if (vectors != nullptr) std::fill_n(vectors + index * size, size, Complex(nan, nan));
  }
}

template <typename C>
Batch::Worker BorderedBatch<C>::make_worker() const {
  const auto solver = std::make_shared<BorderedSolver<C>>(n_, adjoint_);
  return [this, solver](int64_t index) -> std::string {
    const int64_t matrix = index * n_ * n_, vector = index * n_;
    const BorderedEquations<C>& e = equations_;
    (*solver)({e.s_matrix + matrix, e.t_matrix + matrix, e.s + vector, e.t + vector, e.vectors + matrix}, right_hand_sides_ + matrix,
              unknowns_ + matrix);
    return "";
  };
}

template class EigenvectorBatch<float>;
template class EigenvectorBatch<double>;
template class EigenvectorBatch<std::complex<float>>;
template class EigenvectorBatch<std::complex<double>>;
template class BorderedBatch<std::complex<float>>;
template class BorderedBatch<std::complex<double>>;

}  // namespace tfqz
