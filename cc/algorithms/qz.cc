#include "algorithms/qz.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "algorithms/apart.h"
#include "pencil/canonical.h"
#include "vectors/qz_iteration.h"

namespace tfqz {
namespace {

// xGGES is as fast as the blocked xGGES3 or faster up to about here.
constexpr int kLargestUnblocked = 64;

// Up to here LAPACK's reduction and iteration, whose rotations are made into products of matrices, take longer than what turns rows and
// columns by vectors.
template <typename T>
constexpr int kLargestIterated = std::is_same_v<T, Real<T>> ? 512 : 320;
// Below, nothing is gained.
constexpr int kSmallestIterated = 16;

template <typename T>
void set_identity(Matrix<T> X) {
  for (int j = 0; j < X.n; ++j) {
    for (int i = 0; i < X.n; ++i) X(i, j) = T(i == j);
  }
}

// Makes T's diagonal, which is real, positive, as in lockstep (lanes_reduction-inl.h). Q may be absent.
template <typename T>
void make_diagonal_positive(Matrix<T> S, Matrix<T> T_, Matrix<T> Q) {
  for (int j = 0; j < S.n; ++j) {
    if (!(std::real(T_(j, j)) < 0)) continue;
    for (int k = 0; k < S.n; ++k) S(j, k) = -S(j, k);
    for (int k = j; k < S.n; ++k) T_(j, k) = -T_(j, k);
    for (int i = 0; i < S.n && Q.present(); ++i) Q(i, j) = -Q(i, j);
  }
}

// eps times the Frobenius norm of the rows and columns first..last: t_jj up to it is 0 (LAPACK's rule).
template <typename T>
Real<T> zero_beta(Matrix<T> T_, int first, int last) {
  using R = Real<T>;
  R largest = 0, squares = 0;
  for (int j = first; j <= last; ++j) {
    for (int i = first; i <= j; ++i) largest = std::max({largest, std::abs(std::real(T_(i, j))), std::abs(std::imag(T_(i, j)))});
  }
  if (largest == 0) return 0;
  for (int j = first; j <= last; ++j) {
    for (int i = first; i <= j; ++i) squares += std::norm(T_(i, j) / largest);
  }
  return std::numeric_limits<R>::epsilon() * std::sqrt(squares) * largest;
}

// Whether there will be an eigenvalue 0/0 when S and T are multiplied by these.
template <typename T>
bool any_undetermined(Matrix<T> S, Matrix<T> T_, PencilScale scale) {
  const auto of_s = static_cast<Real<T>>(scale.s), of_t = static_cast<Real<T>>(scale.t);
  for (int j = 0; j < S.n; ++j) {
    if (std::abs(S(j, j)) * of_s == 0 && std::abs(T_(j, j)) * of_t == 0) return true;
  }
  return false;
}

// One BLAS thread a pencil: the batch is what is shared out over threads. The setting belongs to this instance of
// OpenBLAS; NumPy's and SciPy's are others.
const int single_threaded = (scipy_openblas_set_num_threads(1), 0);

}  // namespace

template <typename T>
QzSolver<T>::QzSolver(int n, const Simd* simd, const Fork& fork)
    : n_(n), matrices_(n, 4), S_(matrices_[0]), T_(matrices_[1]), Q_(matrices_[2]), Z_(matrices_[3]) {
  if (simd != nullptr && n >= kSmallestIterated && n <= kLargestIterated<T>) iteration_ = make_iteration<T>(*simd, n, fork);
  real_work_.reset(new Real<T>[8 * static_cast<std::size_t>(n)]);
  vectors_.reset(new T[2 * static_cast<std::size_t>(n)]);
  work_.reset(new T[1]);
  call_driver(n_ > kLargestUnblocked, Parts::kAll, -1);
  // xORMQR has more use for room than xGGES, which calls it, asks for: 64 columns, and as many reflectors' triangle.
  lwork_ = std::max<LapackInt>(static_cast<LapackInt>(std::real(work_[0])), 64 * n + 65 * 64);
  work_.reset(new T[lwork_]);
}

template <typename T>
QzSolver<T>::~QzSolver() = default;

template <typename T>
Outcome QzSolver<T>::call_driver(bool blocked, Parts parts, LapackInt lwork) {
  const auto driver = blocked ? Lapack<T>::gges3 : Lapack<T>::gges;
  const auto compute = [](bool vectors) { return static_cast<char>(vectors ? ComputeVectors::kYes : ComputeVectors::kNo); };
  const char left = compute(parts == Parts::kAll), right = compute(parts != Parts::kEigenvalues);
  const char sort = static_cast<char>(SortEigenvalues::kNo);
  LapackInt sdim = 0, info = 0;
  if constexpr (std::is_same_v<T, Real<T>>) {
    driver(&left, &right, &sort, nullptr, &n_, S_.data, &S_.leading, T_.data, &T_.leading, &sdim, real_work_.get(), real_work_.get() + n_,
           vectors_.get(), Q_.data, &Q_.leading, Z_.data, &Z_.leading, work_.get(), &lwork, nullptr, &info, 1, 1, 1);
  } else {
    driver(&left, &right, &sort, nullptr, &n_, S_.data, &S_.leading, T_.data, &T_.leading, &sdim, vectors_.get(), vectors_.get() + n_,
           Q_.data, &Q_.leading, Z_.data, &Z_.leading, work_.get(), &lwork, real_work_.get(), nullptr, &info, 1, 1, 1);
  }
  return {blocked ? Lapack<T>::gges3_name : Lapack<T>::gges_name, info};
}

// As xGGES. False if it doesn't converge.
template <typename T>
bool QzSolver<T>::iterate(Parts parts) {
  const Matrix<T> Q = parts == Parts::kAll ? Q_ : Matrix<T>(), Z = parts == Parts::kEigenvalues ? Matrix<T>() : Z_;
  LapackInt first = 0, last = 0, info = 0;
  Real<T>*left = real_work_.get(), *right = left + n_, *space = right + n_;
  Lapack<T>::ggbal("P", &n_, S_.data, &S_.leading, T_.data, &T_.leading, &first, &last, left, right, space, &info, 1);
  // B = Q T in the rows and columns from `first` to `last`; beside them it is triangular already.
  const int start = first - 1;
  const LapackInt rows = last - start, columns = n_ - start;
  Lapack<T>::geqrf(&rows, &columns, &T_(start, start), &T_.leading, vectors_.get(), work_.get(), &lwork_, &info);
  Lapack<T>::ormqr("L", Lapack<T>::adjoint, &rows, &columns, &rows, &T_(start, start), &T_.leading, vectors_.get(), &S_(start, start),
                   &S_.leading, work_.get(), &lwork_, &info, 1, 1);
  if (Q.present()) {
    set_identity(Q);
    for (int j = start; j < last; ++j) std::copy(&T_(j, j), T_.column(j) + last, &Q(j, j));
    Lapack<T>::orgqr(&rows, &rows, &rows, &Q(start, start), &Q.leading, vectors_.get(), work_.get(), &lwork_, &info);
  }
  for (int j = start; j < last; ++j) std::fill(&T_(j, j) + 1, T_.column(j) + last, T(0));
  if constexpr (!std::is_same_v<T, Real<T>>) make_diagonal_positive(S_, T_, Q);
  if (Z.present()) set_identity(Z);
  if (!(*iteration_)(S_, T_, Q, Z, start, last - 1)) return false;
  if (Q.present()) Lapack<T>::ggbak("P", "L", &n_, &first, &last, left, right, &n_, Q.data, &Q.leading, &info, 1, 1);
  if (Z.present()) Lapack<T>::ggbak("P", "R", &n_, &first, &last, left, right, &n_, Z.data, &Z.leading, &info, 1, 1);
  return true;
}

template <typename T>
bool QzSolver<T>::all_finite_of(Parts parts) const {
  if (parts != Parts::kEigenvalues && !all_finite(Z_)) return false;
  return all_finite(S_) && all_finite(T_) && (parts != Parts::kAll || all_finite(Q_));
}

// Where xLAQZ0 sends an infinite eigenvalue away it turns rows through the t_jj that it found negligible without making it 0, and leaves a
// part of that below the diagonal. False if there is more than rounding.
template <typename T>
bool QzSolver<T>::drop_below_diagonal() {
  const Real<T> rounding = zero_beta(T_, 0, n_ - 1);
  for (int j = 0; j + 1 < n_; ++j) {
    for (T *t = &T_(j + 1, j), *end = T_.column(j) + n_; t < end; ++t) {
      if (std::abs(*t) > rounding) return false;
      *t = T(0);
    }
  }
  return true;
}

// As in lanes_iteration-inl.h: LAPACK looks at t_jj where it looks for the next shift, and not at those of eigenvalues that split off
// before.
template <typename T>
void QzSolver<T>::drop_negligible_betas(const T* a, const T* b) {
  const auto negligible = [this](int j, Real<T> zero) { return T_(j, j) != T(0) && std::abs(T_(j, j)) <= zero && !in_block(S_, j); };
  const Real<T> largest = zero_beta(T_, 0, n_ - 1);
  int j = 0;
  while (j < n_ && !negligible(j, largest)) ++j;
  if (j == n_) return;
  // Seldom. What LAPACK's permutation made triangular no rounding touches.
  const Matrices<T> pencil(n_, 2);
  const Matrix<T> A = pencil[0], B = pencil[1];
  read(a, A);
  read(b, B);
  LapackInt first = 0, last = 0, info = 0;
  Real<T>*left = real_work_.get(), *right = left + n_, *space = right + n_;
  Lapack<T>::ggbal("P", &n_, A.data, &A.leading, B.data, &B.leading, &first, &last, left, right, space, &info, 1);
  const Real<T> zero = zero_beta(T_, first - 1, last - 1);
  for (j = first - 1; j < last; ++j) {
    if (negligible(j, zero)) T_(j, j) = T(0);
  }
}

// S and T near 1: by powers of two, where xGGES scales very large and very small ones by other numbers.
template <typename T>
void QzSolver<T>::read_near_one(const T* a, const T* b) {
  read(a, S_);
  read(b, T_);
  scale_ = {normalize(S_), normalize(T_)};
}

template <typename T>
Outcome QzSolver<T>::decompose(const T* a, const T* b, Parts parts) {
  if (iteration_ != nullptr) {
    read_near_one(a, b);
    if (iterate(parts) && all_finite_of(parts)) return {"", 0};
  }
  Outcome outcome = {};
  for (const bool blocked : {true, false}) {
    if (blocked && n_ <= kLargestUnblocked) continue;
    read_near_one(a, b);
    const auto call = [blocked, parts](QzSolver* self) { return self->call_driver(blocked, parts, self->lwork_); };
    if (!call_apart(this, n_, call, &outcome)) return kLeftAlone;
    if (outcome.info != 0) return outcome;
    if (drop_below_diagonal()) break;
  }
  const Matrix<T> Q = parts == Parts::kAll ? Q_ : Matrix<T>(), Z = parts == Parts::kEigenvalues ? Matrix<T>() : Z_;
  split_real_blocks(S_, T_, Q, Z);
  drop_negligible_betas(a, b);
  if (!all_finite_of(parts)) outcome.info = Outcome::kNotFinite;
  return outcome;
}

template <typename T>
Outcome QzSolver<T>::operator()(const T* a, const T* b, const Factors<T>& factors) {
  Parts parts = wanted(factors);
  Outcome outcome = decompose(a, b, parts);
  if (outcome.info != 0) return outcome;
  if (parts == Parts::kAllButQ && any_undetermined(S_, T_, scale_)) {
    // The phases of S and T are Q's there.
    parts = Parts::kAll;
    outcome = decompose(a, b, parts);
    if (outcome.info != 0) return outcome;
  }
  const Matrix<T> Q = parts == Parts::kAll ? Q_ : Matrix<T>(), Z = parts == Parts::kEigenvalues ? Matrix<T>() : Z_;
  if (!finish(S_, T_, Q, Z, factors, scale_)) outcome.info = Outcome::kNotFinite;
  return outcome;
}

template <typename T>
bool finish(Matrix<T> S, Matrix<T> T_, Matrix<T> Q, Matrix<T> Z, const Factors<T>& factors, PencilScale scale) {
  const auto of_s = static_cast<Real<T>>(scale.s), of_t = static_cast<Real<T>>(scale.t);
  drop_underflowing(S, T_, of_s, of_t);
  canonicalize(S, T_, Q, Z);
  alpha_beta(S, T_, factors.alpha, factors.beta);
  multiply(S, scale.s);
  multiply(T_, scale.t);
  for (int j = 0; j < S.n; ++j) factors.alpha[j] *= of_s, factors.beta[j] *= of_t;
  if (factors.s != nullptr) write(S, factors.s);
  if (factors.t != nullptr) write(T_, factors.t);
  if (factors.q != nullptr) write(Q, factors.q);
  if (factors.z != nullptr) write(Z, factors.z);
  return all_finite(factors.alpha, S.n) && all_finite(factors.beta, S.n) && all_finite(S) && all_finite(T_);
}

#define TFQZ_INSTANTIATE(T)   \
  template class QzSolver<T>; \
  template bool finish<T>(Matrix<T>, Matrix<T>, Matrix<T>, Matrix<T>, const Factors<T>&, PencilScale)
TFQZ_INSTANTIATE(float);
TFQZ_INSTANTIATE(double);
TFQZ_INSTANTIATE(std::complex<float>);
TFQZ_INSTANTIATE(std::complex<double>);
#undef TFQZ_INSTANTIATE

}  // namespace tfqz
