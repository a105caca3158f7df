#include "qz.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "canonical.h"

namespace tfqz {
namespace {

// xGGES is as fast as the blocked xGGES3 or faster up to about here.
constexpr int kLargestUnblocked = 64;

// One BLAS thread a pencil: the batch is what is shared out over threads. The setting belongs to this instance of
// OpenBLAS; NumPy's and SciPy's are others.
const int single_threaded = (scipy_openblas_set_num_threads(1), 0);

}  // namespace

template <typename T>
QzSolver<T>::QzSolver(int n)
    : n_(n), matrices_(n, 4), S_(matrices_[0]), T_(matrices_[1]), Q_(matrices_[2]), Z_(matrices_[3]) {
  real_work_.reset(new Real<T>[8 * static_cast<std::size_t>(n)]);
  vectors_.reset(new T[2 * static_cast<std::size_t>(n)]);
  work_.reset(new T[1]);
  call_driver(-1);
  lwork_ = static_cast<LapackInt>(std::real(work_[0]));
  work_.reset(new T[lwork_]);
}

template <typename T>
Outcome QzSolver<T>::call_driver(LapackInt lwork) {
  const bool blocked = n_ > kLargestUnblocked;
  const auto driver = blocked ? Lapack<T>::gges3 : Lapack<T>::gges;
  const char vectors = static_cast<char>(ComputeVectors::kYes), sort = static_cast<char>(SortEigenvalues::kNo);
  LapackInt sdim = 0, info = 0;
  if constexpr (std::is_same_v<T, Real<T>>) {
    driver(&vectors, &vectors, &sort, nullptr, &n_, S_.data, &S_.leading, T_.data, &T_.leading, &sdim,
           real_work_.get(), real_work_.get() + n_, vectors_.get(), Q_.data, &Q_.leading, Z_.data, &Z_.leading,
           work_.get(), &lwork, nullptr, &info, 1, 1, 1);
  } else {
    driver(&vectors, &vectors, &sort, nullptr, &n_, S_.data, &S_.leading, T_.data, &T_.leading, &sdim,
           vectors_.get(), vectors_.get() + n_, Q_.data, &Q_.leading, Z_.data, &Z_.leading, work_.get(), &lwork,
           real_work_.get(), nullptr, &info, 1, 1, 1);
  }
  return {blocked ? Lapack<T>::gges3_name : Lapack<T>::gges_name, info};
}

template <typename T>
Outcome QzSolver<T>::operator()(const T* a, const T* b, const Factors<T>& factors) {
  read(a, S_);
  read(b, T_);
  const Outcome outcome = call_driver(lwork_);
  if (outcome.info == 0) finish(S_, T_, Q_, Z_, factors);
  return outcome;
}

template <typename T>
void finish(Matrix<T> S, Matrix<T> T_, Matrix<T> Q, Matrix<T> Z, const Factors<T>& factors) {
  canonicalize(S, T_, Q, Z);
  alpha_beta(S, T_, factors.alpha, factors.beta);
  write(S, factors.s);
  write(T_, factors.t);
  write(Q, factors.q);
  write(Z, factors.z);
}

#define TFQZ_INSTANTIATE(T)   \
  template class QzSolver<T>; \
  template void finish<T>(Matrix<T>, Matrix<T>, Matrix<T>, Matrix<T>, const Factors<T>&)
TFQZ_INSTANTIATE(float);
TFQZ_INSTANTIATE(double);
TFQZ_INSTANTIATE(std::complex<float>);
TFQZ_INSTANTIATE(std::complex<double>);
#undef TFQZ_INSTANTIATE

}  // namespace tfqz
