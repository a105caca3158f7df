#include "algorithms/schur.h"

#include <complex>
#include <type_traits>

#include "algorithms/apart.h"
#include "pencil/canonical.h"

namespace tfqz {

template <typename T>
SchurSolver<T>::SchurSolver(int n) : n_(n), matrices_(n, 2), T_(matrices_[0]), Z_(matrices_[1]) {
  eigenvalues_.reset(new T[2 * static_cast<std::size_t>(n)]);
  real_work_.reset(new Real<T>[n]);
  work_.reset(new T[1]);
  call_driver(-1);
  lwork_ = static_cast<LapackInt>(std::real(work_[0]));
  work_.reset(new T[lwork_]);
}

template <typename T>
Outcome SchurSolver<T>::call_driver(LapackInt lwork) {
  const char vectors = static_cast<char>(ComputeVectors::kYes), sort = static_cast<char>(SortEigenvalues::kNo);
  LapackInt sdim = 0, info = 0;
  if constexpr (std::is_same_v<T, Real<T>>) {
    Lapack<T>::gees(&vectors, &sort, nullptr, &n_, T_.data, &T_.leading, &sdim, eigenvalues_.get(), eigenvalues_.get() + n_, Z_.data,
                    &Z_.leading, work_.get(), &lwork, nullptr, &info, 1, 1);
  } else {
    Lapack<T>::gees(&vectors, &sort, nullptr, &n_, T_.data, &T_.leading, &sdim, eigenvalues_.get(), Z_.data, &Z_.leading, work_.get(),
                    &lwork, real_work_.get(), nullptr, &info, 1, 1);
  }
  return {Lapack<T>::gees_name, info};
}

template <typename T>
Outcome SchurSolver<T>::operator()(const T* a, const SchurFactors<T>& factors) {
  read(a, T_);
  // xGEES scales very large and very small ones by other numbers than powers of two.
  const double scale = normalize(T_);
  Outcome outcome = {};
  if (!call_apart(this, n_, [](SchurSolver* self) { return self->call_driver(self->lwork_); }, &outcome)) return kLeftAlone;
  if (outcome.info == 0) canonicalize_schur(T_, Z_);
  multiply(T_, scale);
  if (outcome.info == 0 && !(all_finite(T_) && all_finite(Z_))) outcome.info = Outcome::kNotFinite;
  if (outcome.info == 0) {
    write(T_, factors.t);
    write(Z_, factors.z);
  }
  return outcome;
}

template class SchurSolver<float>;
template class SchurSolver<double>;
template class SchurSolver<std::complex<float>>;
template class SchurSolver<std::complex<double>>;

}  // namespace tfqz
