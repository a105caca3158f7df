#include "algorithms/reorder.h"

#include <algorithm>
#include <complex>
#include <limits>
#include <type_traits>
#include <utility>

#include "pencil/canonical.h"

namespace tfqz {
namespace {

// The largest that is sorted as a whole.
#ifndef KL
#define KL 48
#define KW 32
#endif
constexpr int kLargestWhole = KL;
// Rows of a window.
constexpr int kWindow = KW;

template <typename T>
void multiply(const char* form, int m, int k, int sum, Matrix<T> a, Matrix<T> b, T* c, int leading) {
  const T one = T(1), zero = T(0);
  Lapack<T>::gemm(form, "N", &m, &k, &sum, &one, a.data, &a.leading, b.data, &b.leading, &zero, c, &leading, 1, 1);
}

}  // namespace

template <typename T>
Reorderer<T>::Reorderer(int n)
    : n_(n),
      matrices_(n, 4),
      form_{matrices_[0], matrices_[1], matrices_[2], matrices_[3]},
      window_(n > kLargestWhole ? kWindow : 1, 4),
      turned_(n > kLargestWhole ? new T[static_cast<std::size_t>(n) * kWindow] : nullptr),
      rows_(n),
      work_(4 * static_cast<std::size_t>(n) + 16) {}

// What is left of S and T is measured against a norm of both.
template <typename T>
void Reorderer<T>::start(const ConstFactors<T>& factors, const int32_t* labels, bool with_q) {
  form_.Q = with_q ? matrices_[2] : Matrix<T>();
  read(factors.s, form_.S);
  read(factors.t, form_.T_);
  read(factors.z, form_.Z);
  if (with_q) read(factors.q, form_.Q);
  scale_s_ = normalize(form_.S);
  scale_t_ = normalize(form_.T_);
  for (int row = 0; row < n_;) {
    const int size = form_.block_size(row);
    const int32_t label = *std::max_element(labels + row, labels + row + size);
    for (const int end = row + size; row < end; ++row) rows_[row] = {label, form_.T_(row, row) == T(0)};
  }
}

template <typename T>
bool Reorderer<T>::sorted(int begin, int end) const {
  return std::is_sorted(rows_.begin() + begin, rows_.begin() + end, [](const Row& x, const Row& y) { return x.label > y.label; });
}

// D. Kressner, Block algorithms for reordering standard and generalized Schur forms, ACM Trans. Math. Softw. 32 (2006) 521-532. Windows
// from the end to the beginning, each over half of the one before: each sends half a window of eigenvalues up to the next.
template <typename T>
bool Reorderer<T>::sort_in_windows() {
  const auto cut = [this](int row) { return row > 0 && row < n_ && form_.S(row, row - 1) != T(0); };
  while (!sorted(0, n_)) {
    for (int begin = n_, end = n_; begin > 0;) {
      begin = std::max(0, end - kWindow);
      if (cut(begin)) ++begin;
      if (!sorted(begin, end) && !sort_window(begin, end)) return false;
      end = begin + kWindow / 2;
      if (cut(end)) ++end;
    }
  }
  return true;
}

template <typename T>
bool Reorderer<T>::sort_window(int begin, int end) {
  int exchanges = 0;
  for (int i = begin; i < end; ++i) {
    for (int k = i + 1; k < end; ++k) exchanges += rows_[i].label < rows_[k].label;
  }
  // Products of matrices take as long whatever there is to exchange.
  if (exchanges < kWindow * kWindow / 16) return sort_blocks(form_, begin, end, rows_.data());
  return sort_apart(begin, end);
}

// In copies of the window's rows and columns; the others are multiplied by what has turned it.
template <typename T>
bool Reorderer<T>::sort_apart(int begin, int end) {
  const int size = end - begin;
  const auto part = [size](Matrix<T> X, int row, int column) { return Matrix<T>{&X(row, column), size, X.leading}; };
  const SchurForm<T> window = {part(window_[0], 0, 0), part(window_[1], 0, 0), part(window_[2], 0, 0), part(window_[3], 0, 0)};
  const std::pair<Matrix<T>, Matrix<T>> copies[] = {{form_.S, window.S}, {form_.T_, window.T_}};
  for (const auto& [X, copy] : copies) {
    for (int j = 0; j < size; ++j) std::copy_n(&X(begin, begin + j), size, copy.column(j));
  }
  for (const Matrix<T>& X : {window.Q, window.Z}) {
    for (int j = 0; j < size; ++j) {
      std::fill_n(X.column(j), size, T(0));
      X(j, j) = T(1);
    }
  }
  if (!sort_blocks(window, 0, size, rows_.data() + begin)) return false;
  const auto turn_columns = [&](Matrix<T> X, int rows, Matrix<T> U) {
    if (rows == 0 || !X.present()) return;
    multiply("N", rows, size, size, part(X, 0, begin), U, turned_.get(), rows);
    for (int j = 0; j < size; ++j) std::copy_n(turned_.get() + static_cast<std::size_t>(j) * rows, rows, X.column(begin + j));
  };
  for (const auto& [X, copy] : copies) {
    for (int j = 0; j < size; ++j) std::copy_n(copy.column(j), size, &X(begin, begin + j));
    turn_columns(X, begin, window.Z);
    if (end == n_) continue;
    multiply(Lapack<T>::adjoint, size, n_ - end, size, window.Q, part(X, begin, end), turned_.get(), size);
    for (int j = end; j < n_; ++j) std::copy_n(turned_.get() + static_cast<std::size_t>(j - end) * size, size, &X(begin, j));
  }
  turn_columns(form_.Q, n_, window.Q);
  turn_columns(form_.Z, n_, window.Z);
  return true;
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
  // Exchanges may turn a block with nearly equal eigenvalues into two real ones, so blocks are found anew for every move.
  for (int to = 0; to < n_; to += form_.block_size(to)) {
    const auto before = [](const Row& x, const Row& y) { return x.label < y.label; };
    const int from = static_cast<int>(std::max_element(rows_.begin() + to, rows_.end(), before) - rows_.begin());
    if (from == to) continue;
    const int size = form_.block_size(from);
    const LapackInt info = move_up(from, to);
    if (info != 0) return info;
    std::rotate(rows_.begin() + to, rows_.begin() + from, rows_.begin() + from + size);
  }
  return 0;
}

template <typename T>
Outcome Reorderer<T>::operator()(const ConstFactors<T>& factors, const int32_t* labels, const Factors<T>& reordered) {
  Outcome outcome = {Lapack<T>::tgexc_name, 0};
  start(factors, labels, /*with_q=*/true);
  if (!sorted(0, n_)) {
    const bool done = n_ > kLargestWhole ? sort_in_windows() : sort_blocks(form_, 0, n_, rows_.data());
    if (!done) {
      // Seldom, and LAPACK, whose way is another one, says what is to be said.
      start(factors, labels, /*with_q=*/true);
      outcome.info = sort_by_lapack();
      if (outcome.info != 0) return outcome;
    }
    split_real_blocks(form_.S, form_.T_, form_.Q, form_.Z);
    // What an exchange leaves of t_jj = 0; as much may stand below the diagonal.
    const Real<T> rounding = 20 * std::numeric_limits<Real<T>>::epsilon();
    for (int row = 0; row < n_; ++row) {
      T& t = form_.T_(row, row);
      if (rows_[row].infinite && form_.block_size(row) == 1 && std::abs(t) <= rounding) t = T(0);
    }
  }
  multiply(form_.S, scale_s_);
  multiply(form_.T_, scale_t_);
  const bool finite = finish(form_.S, form_.T_, form_.Q, form_.Z, reordered) && all_finite(form_.S) && all_finite(form_.T_) &&
                      all_finite(form_.Q) && all_finite(form_.Z);
  if (!finite) outcome.info = Outcome::kNotFinite;
  return outcome;
}

template class Reorderer<float>;
template class Reorderer<double>;
template class Reorderer<std::complex<float>>;
template class Reorderer<std::complex<double>>;

}  // namespace tfqz
