#include "algorithms/triangular_batches.h"

#include <complex>
#include <memory>
#include <string>

namespace tfqz {

template <typename T>
Batch::Worker TriangularBatch<T>::make_worker() const {
  const auto solver = std::make_shared<TriangularSolver<T>>(n_, adjoint_, ordinary_);
  return [this, solver](int64_t index) -> std::string {
    const int64_t matrix = index * n_ * n_;
    (*solver)(s_ + matrix, t_ + matrix, {right_hand_sides_.first + matrix, right_hand_sides_.second + matrix},
              {unknowns_.first + matrix, unknowns_.second + matrix});
    return "";
  };
}

template <typename T>
Batch::Worker BlockBatch<T>::make_worker() const {
  const auto solver = std::make_shared<TriangularSolver<T>>(k_ + m_, adjoint_, ordinary_);
  return [this, solver](int64_t index) -> std::string {
    const int64_t of_first = index * k_ * k_, of_second = index * m_ * m_, block = index * m_ * k_;
    coinciding_[index] = solver->between(
        k_, {first_.first + of_first, first_.second + of_first}, {second_.first + of_second, second_.second + of_second},
        {right_hand_sides_.first + block, right_hand_sides_.second + block}, {unknowns_.first + block, unknowns_.second + block});
    return "";
  };
}

#define TFQZ_INSTANTIATE(T)          \
  template class TriangularBatch<T>; \
  template class BlockBatch<T>
TFQZ_INSTANTIATE(float);
TFQZ_INSTANTIATE(double);
TFQZ_INSTANTIATE(std::complex<float>);
TFQZ_INSTANTIATE(std::complex<double>);
#undef TFQZ_INSTANTIATE

}  // namespace tfqz
