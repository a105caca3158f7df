#include "algorithms/basis.h"

#include <algorithm>
#include <complex>

#include "algorithms/row_choice.h"

namespace tfqz {
template <typename T>
BasisFinder<T>::BasisFinder(int n) : n_(n), matrices_(n, 1), X_(matrices_[0]), lengths_(n), v_(n), product_(n) {}

template <typename T>
void BasisFinder<T>::operator()(const T* x, int count, T* basis, int32_t* rows) {
  read(x, X_);
  for (int j = 0; j < count; ++j) {
    measure_rows(X_.data, X_.leading, j, count, &lengths_);
    rows[j] = first_longest(lengths_);
    turn_row(X_.data, n_, X_.leading, rows[j], j, count, v_.data(), product_.data());
  }
  for (int j = count; j < n_; ++j) {
    rows[j] = -1;
    std::fill_n(X_.column(j), n_, T(0));
  }
  write(X_, basis);
}

template class BasisFinder<float>;
template class BasisFinder<double>;
template class BasisFinder<std::complex<float>>;
template class BasisFinder<std::complex<double>>;

}  // namespace tfqz
