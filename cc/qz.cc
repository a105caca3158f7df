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

// An odd number of cache lines: columns whose distance is a power of two would share a few sets of the cache.
template <typename T>
int padded_leading_dimension(int n) {
  constexpr int per_line = 64 / sizeof(T);
  if (n < 4 * per_line) return n;
  const int lines = (n + per_line - 1) / per_line;
  return (lines | 1) * per_line;
}

template <typename T>
void transpose(const T* from, std::size_t from_stride, T* to, std::size_t to_stride, int n) {
  constexpr int kTile = 16;  // both tiles stay in the first-level cache
  for (int row = 0; row < n; row += kTile) {
    for (int col = 0; col < n; col += kTile) {
      for (int i = row; i < std::min(n, row + kTile); ++i) {
        for (int j = col; j < std::min(n, col + kTile); ++j) to[j * to_stride + i] = from[i * from_stride + j];
      }
    }
  }
}

}  // namespace

template <typename T>
QzSolver<T>::QzSolver(int n) : n_(n) {
  const int leading = padded_leading_dimension<T>(n);
  const std::size_t size = static_cast<std::size_t>(leading) * n;
  buffer_.reset(new T[4 * size]);
  T* next = buffer_.get();
  for (Matrix<T>* matrix : {&S_, &T_, &Q_, &Z_}) {
    *matrix = {next, n, leading};
    next += size;
  }
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
  transpose(a, n_, S_.data, S_.leading, n_);
  transpose(b, n_, T_.data, T_.leading, n_);
  const Outcome outcome = call_driver(lwork_);
  if (outcome.info != 0) return outcome;
  canonicalize(S_, T_, Q_, Z_);
  alpha_beta(S_, T_, factors.alpha, factors.beta);
  transpose(S_.data, S_.leading, factors.s, n_, n_);
  transpose(T_.data, T_.leading, factors.t, n_, n_);
  transpose(Q_.data, Q_.leading, factors.q, n_, n_);
  transpose(Z_.data, Z_.leading, factors.z, n_, n_);
  return outcome;
}

template <typename T>
bool all_finite(const T* x, std::size_t count) {
  // x - x is 0 for finite x and NaN otherwise: a sum without branches, which vectorises.
  const Real<T>* entries = reinterpret_cast<const Real<T>*>(x);
  count *= sizeof(T) / sizeof(Real<T>);
  Real<T> sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += entries[i] - entries[i];
  return sum == 0;
}

#define TFQZ_INSTANTIATE(T)    \
  template class QzSolver<T>;  \
  template bool all_finite<T>(const T*, std::size_t)
TFQZ_INSTANTIATE(float);
TFQZ_INSTANTIATE(double);
TFQZ_INSTANTIATE(std::complex<float>);
TFQZ_INSTANTIATE(std::complex<double>);
#undef TFQZ_INSTANTIATE

}  // namespace tfqz
