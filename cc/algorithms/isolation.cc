#include "algorithms/isolation.h"

#include "algorithms/qz.h"

namespace tfqz {

template <typename T>
bool has_lonely_entry(const T* a, const T* b, int n) {
  if (n == 1) return false;
  for (const bool rows : {true, false}) {
    for (int i = 0; i < n; ++i) {
      int count = 0;
      for (int j = 0; j < n && count < 2; ++j) {
        const int place = rows ? i * n + j : j * n + i;
        count += a[place] != T(0) || b[place] != T(0);
      }
      if (count < 2) return true;
    }
  }
  return false;
}

template <typename T>
Isolation<T>::Isolation(int n)
    : n_(n),
      size_(static_cast<std::size_t>(n) * n),
      buffer_(new T[6 * size_ + n]),
      scales_(new Real<T>[8 * static_cast<std::size_t>(n)]),
      alpha_(new std::complex<Real<T>>[n]),
      matrices_(n, 4) {
  T* const first = buffer_.get() + 2 * size_;
  factors_ = {first, first + size_, first + 2 * size_, first + 3 * size_, alpha_.get(), first + 4 * size_};
}

template <typename T>
bool Isolation<T>::permute(const T* a, const T* b) {
  const int n = n_;
  const Matrix<T> A = matrices_[0], B = matrices_[1];
  read(a, A);
  read(b, B);
  Real<T>*left = scales_.get(), *right = left + n, *space = right + n;
  LapackInt info = 0;
  Lapack<T>::ggbal("P", &n_, A.data, &A.leading, B.data, &B.leading, &first_, &last_, left, right, space, &info, 1);
  bool moved = false;
  for (int i = 0; i < n; ++i) {
    const bool outside = i + 1 < first_ || i + 1 > last_;
    moved = moved || (outside && (left[i] != i + 1 || right[i] != i + 1));
  }
  if (!moved) return false;
  write(A, buffer_.get());
  write(B, buffer_.get() + size_);
  return true;
}

template <typename T>
bool Isolation<T>::finish(const Factors<T>& to) {
  const Matrix<T> S = matrices_[0], T_ = matrices_[1], Q = matrices_[2], Z = matrices_[3];
  read(factors_.s, S);
  read(factors_.t, T_);
  read(factors_.q, Q);
  read(factors_.z, Z);
  Real<T>*left = scales_.get(), *right = left + n_;
  LapackInt info = 0;
  Lapack<T>::ggbak("P", "L", &n_, &first_, &last_, left, right, &n_, Q.data, &Q.leading, &info, 1, 1);
  Lapack<T>::ggbak("P", "R", &n_, &first_, &last_, left, right, &n_, Z.data, &Z.leading, &info, 1, 1);
  return tfqz::finish(S, T_, Q, Z, to);
}

#define TFQZ_INSTANTIATE(T)                                   \
  template bool has_lonely_entry<T>(const T*, const T*, int); \
  template class Isolation<T>
TFQZ_INSTANTIATE(float);
TFQZ_INSTANTIATE(double);
TFQZ_INSTANTIATE(std::complex<float>);
TFQZ_INSTANTIATE(std::complex<double>);
#undef TFQZ_INSTANTIATE

}  // namespace tfqz
