#include "algorithms/reorder.h"

#include <algorithm>
#include <complex>
#include <limits>
#include <type_traits>

#include "pencil/canonical.h"

namespace tfqz {

template <typename T>
Reorderer<T>::Reorderer(int n)
    : n_(n),
      matrices_(n, 4),
      S_(matrices_[0]),
      T_(matrices_[1]),
      Q_(matrices_[2]),
      Z_(matrices_[3]),
      labels_(n),
      infinite_(n),
      work_(4 * static_cast<std::size_t>(n) + 16) {}

template <typename T>
int Reorderer<T>::block_size(int row) const {
  return row + 1 < n_ && S_(row + 1, row) != T(0) ? 2 : 1;
}

template <typename T>
LapackInt Reorderer<T>::move_up(int from, int to) {
  const LapackInt want = 1;
  LapackInt first = from + 1, last = to + 1, info = 0;  // Fortran counts from 1
  if constexpr (std::is_same_v<T, Real<T>>) {
    const LapackInt lwork = static_cast<LapackInt>(work_.size());
    Lapack<T>::tgexc(&want, &want, &n_, S_.data, &S_.leading, T_.data, &T_.leading, Q_.data, &Q_.leading, Z_.data, &Z_.leading, &first,
                     &last, work_.data(), &lwork, &info);
  } else {
    Lapack<T>::tgexc(&want, &want, &n_, S_.data, &S_.leading, T_.data, &T_.leading, Q_.data, &Q_.leading, Z_.data, &Z_.leading, &first,
                     &last, &info);
  }
  return info;
}

template <typename T>
Outcome Reorderer<T>::operator()(const ConstFactors<T>& factors, const int32_t* labels, const Factors<T>& reordered) {
  read(factors.s, S_);
  read(factors.t, T_);
  read(factors.q, Q_);
  read(factors.z, Z_);
  // xTGEXC measures what it leaves of S and T against a norm of both.
  const double scale_s = normalize(S_), scale_t = normalize(T_);
  bool any_infinite = false, any_moved = false;
  for (int row = 0; row < n_; ++row) {
    infinite_[row] = T_(row, row) == T(0);
    any_infinite |= infinite_[row];
  }
  for (int row = 0; row < n_;) {
    const int size = block_size(row);
    std::fill_n(&labels_[row], size, *std::max_element(labels + row, labels + row + size));
    row += size;
  }
  // Exchanges may turn a block with nearly equal eigenvalues into two real ones, so blocks are found anew for every move.
  for (int to = 0; to < n_; to += block_size(to)) {
    const int from = static_cast<int>(std::max_element(labels_.begin() + to, labels_.end()) - labels_.begin());
    if (from == to) continue;
    const int size = block_size(from);
    const LapackInt info = move_up(from, to);
    if (info != 0) return {Lapack<T>::tgexc_name, info};
    std::rotate(labels_.begin() + to, labels_.begin() + from, labels_.begin() + from + size);
    std::rotate(infinite_.begin() + to, infinite_.begin() + from, infinite_.begin() + from + size);
    any_moved = true;
  }
  if (any_moved) split_real_blocks(S_, T_, Q_, Z_);
  if (any_moved && any_infinite) {
    // What an exchange leaves of t_jj = 0; as much may stand below the diagonal.
    const Real<T> rounding = 20 * std::numeric_limits<Real<T>>::epsilon();
    for (int row = 0; row < n_; ++row) {
      if (infinite_[row] && block_size(row) == 1 && std::abs(T_(row, row)) <= rounding) T_(row, row) = T(0);
    }
  }
  multiply(S_, scale_s);
  multiply(T_, scale_t);
  Outcome outcome = {Lapack<T>::tgexc_name, 0};
  const bool finite = finish(S_, T_, Q_, Z_, reordered) && all_finite(S_) && all_finite(T_) && all_finite(Q_) && all_finite(Z_);
  if (!finite) outcome.info = Outcome::kNotFinite;
  return outcome;
}

template class Reorderer<float>;
template class Reorderer<double>;
template class Reorderer<std::complex<float>>;
template class Reorderer<std::complex<double>>;

}  // namespace tfqz
