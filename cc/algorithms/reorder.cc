#include "algorithms/reorder.h"

#include <algorithm>
#include <complex>
#include <limits>
#include <type_traits>

#include "algorithms/apart.h"
#include "pencil/canonical.h"
#include "pencil/interruption.h"

namespace tfqz {
template <typename T>
Reorderer<T>::Reorderer(int n)
    : n_(n),
      matrices_(n, 4),
      form_{matrices_[0], matrices_[1], matrices_[2], matrices_[3]},
      rows_(n),
      work_(4 * static_cast<std::size_t>(n) + 16) {}

template <typename T>
void Reorderer<T>::start(const ConstFactors<T>& factors, const int32_t* labels, Parts parts) {
  read(factors.s, form_.S);
  read(factors.t, form_.T_);
  read(factors.z, form_.Z);
  // What an exchange leaves of S and T is measured against a norm of each.
  scale_s_ = normalize(form_.S);
  scale_t_ = normalize(form_.T_);
  bool with_q = parts == Parts::kAll;
  for (int row = 0; row < n_;) {
    const int size = form_.block_size(row);
    const int32_t label = *std::max_element(labels + row, labels + row + size);
    for (const int end = row + size; row < end; ++row) {
      rows_[row] = {label, form_.T_(row, row) == T(0)};
      // The phases of S and T are Q's where an eigenvalue is 0/0.
      with_q |= rows_[row].infinite;
    }
  }
  form_.Q = with_q ? matrices_[2] : Matrix<T>();
  if (with_q) read(factors.q, form_.Q);
}

template <typename T>
bool Reorderer<T>::sorted() const {
  return std::is_sorted(rows_.begin(), rows_.end(), [](const Row& x, const Row& y) { return x.label > y.label; });
}

template <typename T>
LapackInt Reorderer<T>::move_up(int from, int to) {
  const Matrix<T>&S = form_.S, &T_ = form_.T_, &Q = form_.Q, &Z = form_.Z;
  const LapackInt want = 1;
  LapackInt first = from + 1, last = to + 1, info = 0;  // Fortran counts from 1
  if constexpr (std::is_same_v<T, Real<T>>) {
    const LapackInt lwork = static_cast<LapackInt>(work_.size());
    Lapack<T>::tgexc(&want, &want, &n_, S.data, &S.leading, T_.data, &T_.leading, Q.data, &Q.leading, Z.data, &Z.leading, &first, &last,
                     work_.data(), &lwork, &info);
  } else {
    Lapack<T>::tgexc(&want, &want, &n_, S.data, &S.leading, T_.data, &T_.leading, Q.data, &Q.leading, Z.data, &Z.leading, &first, &last,
                     &info);
  }
  return info;
}

template <typename T>
LapackInt Reorderer<T>::sort_by_lapack() {
  // Of blocks that hold NaN xTGETC2 chooses no pivot, and goes on with an index that it never set.
  const auto has_blocks = [this] {
    for (int row = 0; row < n_; row += form_.block_size(row)) {
      if (form_.block_size(row) == 2) return true;
    }
    return false;
  };
  if (std::is_same_v<T, Real<T>> && has_blocks() && !(all_finite(form_.S) && all_finite(form_.T_))) return Outcome::kNotFinite;
  // Exchanges may turn a block with nearly equal eigenvalues into two real ones, so blocks are found anew for every move.
  for (int to = 0; to < n_; to += form_.block_size(to)) {
    const auto before = [](const Row& x, const Row& y) { return x.label < y.label; };
    const int from = static_cast<int>(std::max_element(rows_.begin() + to, rows_.end(), before) - rows_.begin());
    if (from == to) continue;
    if (interrupted()) return kLeftAlone.info;
    const int size = form_.block_size(from);
    const LapackInt info = move_up(from, to);
    if (info != 0) return info;
    std::rotate(rows_.begin() + to, rows_.begin() + from, rows_.begin() + from + size);
  }
  // What an exchange leaves of t_jj = 0; as much may stand below the diagonal.
  const Real<T> rounding = 20 * std::numeric_limits<Real<T>>::epsilon();
  for (int row = 0; row < n_; ++row) {
    T& t = form_.T_(row, row);
    if (rows_[row].infinite && form_.block_size(row) == 1 && std::abs(t) <= rounding) t = T(0);
  }
  return 0;
}

template <typename T>
Outcome Reorderer<T>::operator()(const ConstFactors<T>& factors, const int32_t* labels, const Factors<T>& reordered) {
  Outcome outcome = {Lapack<T>::tgexc_name, 0};
  start(factors, labels, wanted(reordered));
  if (!sorted()) {
    if (!sort_blocks(form_, rows_.data())) {
      // Seldom, and LAPACK, whose way is another one, says what is to be said.
      start(factors, labels, Parts::kAll);
      outcome.info = sort_by_lapack();
      if (outcome.info != 0) return outcome;
    }
    split_real_blocks(form_.S, form_.T_, form_.Q, form_.Z);
  }
  const bool finite =
      finish(form_.S, form_.T_, form_.Q, form_.Z, reordered, {scale_s_, scale_t_}) && all_finite(form_.Q) && all_finite(form_.Z);
  if (!finite) outcome.info = Outcome::kNotFinite;
  return outcome;
}

template class Reorderer<float>;
template class Reorderer<double>;
template class Reorderer<std::complex<float>>;
template class Reorderer<std::complex<double>>;

}  // namespace tfqz
