// LAPACK takes the row-major b for its transpose, b^T = conj(v) diag(s) u^T: column-major, its u^T is the row-major u.
#include "algorithms/svd.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <type_traits>

#include "algorithms/apart.h"
#include "pencil/interruption.h"
#include "pencil/matrix.h"

namespace tfqz {

template <typename T>
SvdSolver<T>::SvdSolver(int m, int n)
    : m_(m), n_(n), p_(std::min(m, n)), B_(n, m), V_(n, p_), work_(1), integer_work_(8 * static_cast<std::size_t>(p_)) {
  if constexpr (!std::is_same_v<T, Real<T>>) {
    const std::size_t p = p_, l = std::max(m, n);
    real_work_.resize(std::max(5 * p * p + 5 * p, 2 * l * p + 2 * p * p + p));
  }
  Real<T> s;
  divide_and_conquer(nullptr, &s, -1);
  auto size = static_cast<std::size_t>(std::real(work_[0]));
  iterate(nullptr, &s, -1);
  size = std::max(size, static_cast<std::size_t>(std::real(work_[0])));
  work_.resize(size);
}

template <typename T>
LapackInt SvdSolver<T>::divide_and_conquer(T* u, Real<T>* s, LapackInt lwork) {
  const Columns<T> B = B_.all(), V = V_.all();
  LapackInt info = 0;
  if constexpr (std::is_same_v<T, Real<T>>) {
    Lapack<T>::gesdd("S", &n_, &m_, B.data, &B.leading, s, V.data, &V.leading, u, &p_, work_.data(), &lwork, integer_work_.data(), &info,
                     1);
  } else {
    Lapack<T>::gesdd("S", &n_, &m_, B.data, &B.leading, s, V.data, &V.leading, u, &p_, work_.data(), &lwork, real_work_.data(),
                     integer_work_.data(), &info, 1);
  }
  return info;
}

template <typename T>
LapackInt SvdSolver<T>::iterate(T* u, Real<T>* s, LapackInt lwork) {
  const Columns<T> B = B_.all(), V = V_.all();
  LapackInt info = 0;
  if constexpr (std::is_same_v<T, Real<T>>) {
    Lapack<T>::gesvd("S", "S", &n_, &m_, B.data, &B.leading, s, V.data, &V.leading, u, &p_, work_.data(), &lwork, &info, 1, 1);
  } else {
    Lapack<T>::gesvd("S", "S", &n_, &m_, B.data, &B.leading, s, V.data, &V.leading, u, &p_, work_.data(), &lwork, real_work_.data(), &info,
                     1, 1);
  }
  return info;
}

// Of what B_ holds. False if interrupted.
template <typename T>
bool SvdSolver<T>::decompose(bool by_halves, T* u, Real<T>* s, LapackInt* info) {
  const auto call = [by_halves](SvdSolver* solver, T* u, Real<T>* s) {
    const auto lwork = static_cast<LapackInt>(solver->work_.size());
    return by_halves ? solver->divide_and_conquer(u, s, lwork) : solver->iterate(u, s, lwork);
  };
  if (p_ < kSmallestApart || interruption() == nullptr) {
    *info = call(this, u, s);
    return true;
  }
  u_.resize(static_cast<std::size_t>(m_) * p_);
  s_.resize(p_);
  const auto into_own = [call](SvdSolver* self) { return call(self, self->u_.data(), self->s_.data()); };
  if (!call_apart(this, p_, into_own, info)) return false;
  std::copy(u_.begin(), u_.end(), u);
  std::copy(s_.begin(), s_.end(), s);
  return true;
}

template <typename T>
Outcome SvdSolver<T>::operator()(const T* b, T* u, Real<T>* s, T* v) {
  const Columns<T> B = B_.all(), V = V_.all();
  const std::size_t size = static_cast<std::size_t>(m_) * n_;
  std::copy_n(b, size, B.data);
  // xGESDD scales very large and very small ones by other numbers than powers of two.
  const double scale = normalize(B.data, size);
  LapackInt info = 0;
  if (!decompose(/*by_halves=*/true, u, s, &info)) return kLeftAlone;
  if (info != 0) {
    std::copy_n(b, size, B.data);
    normalize(B.data, size);
    LapackInt info_too = 0;
    if (!decompose(/*by_halves=*/false, u, s, &info_too)) return kLeftAlone;
    if (info_too != 0) return {Lapack<T>::gesdd_name, info};
  }
  for (int j = 0; j < p_; ++j) {
    s[j] *= static_cast<Real<T>>(scale);
    if (!std::isfinite(s[j])) return {Lapack<T>::gesdd_name, Outcome::kNotFinite};
  }
  write(V, v);
  if constexpr (!std::is_same_v<T, Real<T>>) {
    for (std::size_t i = 0, end = static_cast<std::size_t>(n_) * p_; i < end; ++i) v[i] = std::conj(v[i]);
  }
  return {Lapack<T>::gesdd_name, 0};
}

template class SvdSolver<float>;
template class SvdSolver<double>;
template class SvdSolver<std::complex<float>>;
template class SvdSolver<std::complex<double>>;

}  // namespace tfqz
