// QR with pivoting (Businger and Golub 1965) of the adjoint: row after row is chosen, the longest one where what those before it span is
// taken away, and a reflector from the right makes it a multiple of a unit vector.
#include "algorithms/basis.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>

#include "algorithms/arithmetic.h"

namespace tfqz {
template <typename T>
BasisFinder<T>::BasisFinder(int n) : n_(n), matrices_(n, 1), X_(matrices_[0]), lengths_(n), v_(n), product_(n) {}

template <typename T>
void BasisFinder<T>::operator()(const T* x, int count, T* basis, int32_t* rows) {
  read(x, X_);
  for (int j = 0; j < count; ++j) {
    rows[j] = longest_row(j, count);
    reflect(rows[j], j, count);
  }
  for (int j = count; j < n_; ++j) {
    rows[j] = -1;
    std::fill_n(X_.column(j), n_, T(0));
  }
  write(X_, basis);
}

// Counting columns from `first` to `end` only; of rows as long up to rounding, which must not choose between them, the first.
template <typename T>
int BasisFinder<T>::longest_row(int first, int end) {
  constexpr R kReach = 1 - 1024 * std::numeric_limits<R>::epsilon();
  std::fill(lengths_.begin(), lengths_.end(), R(0));
  for (int j = first; j < end; ++j) {
    const T* x = X_.column(j);
    for (int i = 0; i < n_; ++i) lengths_[i] += squared(x[i]);
  }
  const R reach = kReach * *std::max_element(lengths_.begin(), lengths_.end());
  const auto found = std::find_if(lengths_.begin(), lengths_.end(), [reach](R length) { return length >= reach; });
  return found == lengths_.end() ? 0 : static_cast<int>(found - lengths_.begin());  // else something isn't a number
}

// Turns columns `first` to `end` so that a row is positive in the first of them and zero in the others.
template <typename T>
void BasisFinder<T>::reflect(int row, int first, int end) {
  const R length = std::sqrt(lengths_[row]);
  if (!(length > 0)) return;
  // H = I - 2 v v^H / v^H v with x H = -conj(phase) length e^T for the row x, v = x^H + phase length e.
  for (int j = first; j < end; ++j) v_[j] = conjugate(X_(row, j));
  const R pivot = std::abs(v_[first]);
  const T phase = pivot > 0 ? v_[first] / pivot : T(1);
  v_[first] += phase * length;
  const R weight = 1 / (length * (length + pivot));
  std::fill(product_.begin(), product_.end(), T(0));
  for (int j = first; j < end; ++j) {
    const T v = v_[j];
    const T* x = X_.column(j);
    for (int i = 0; i < n_; ++i) product_[i] += product(v, x[i]);
  }
  for (int j = first; j < end; ++j) {
    const T v = conjugate(v_[j]) * weight;
    T* x = X_.column(j);
    for (int i = 0; i < n_; ++i) x[i] -= product(v, product_[i]);
  }
  T* x = X_.column(first);
  for (int i = 0; i < n_; ++i) x[i] = product(x[i], -phase);
  x[row] = length;
  for (int j = first + 1; j < end; ++j) X_(row, j) = T(0);
}

template class BasisFinder<float>;
template class BasisFinder<double>;
template class BasisFinder<std::complex<float>>;
template class BasisFinder<std::complex<double>>;

}  // namespace tfqz
