#include "algorithms/gradient.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "algorithms/substitution.h"
#include "pencil/products.h"
#include "vectors/convention-inl.h"

namespace tfqz {
namespace {

using HWY_NAMESPACE::Convention;
using HWY_NAMESPACE::Field;

// C -= A B^H for upper Hessenberg A and B.
template <typename T>
void subtract_rows(int n, const T* a, const T* b, T* c) {
  const int width = panel_width(n);
  for (int begin = 0; begin < n; begin += width) {
    const int end = std::min(n, begin + width), reach = std::min(n, end + 1);
    multiply<T>(n, reach, reach, end - begin, -1, {Form::kAsIs, a + begin}, {Form::kAdjoint, b + begin}, 1, c);
  }
}

// C += A^H B.
template <typename T>
void add_columns(int n, const T* a, const T* b, T* c) {
  const int width = panel_width(n);
  for (int begin = 0; begin < n; begin += width) {
    const int end = std::min(n, begin + width), reach = std::max(0, begin - 1);
    const std::size_t corner = static_cast<std::size_t>(begin) * n + reach;
    multiply<T>(n, n - reach, n - reach, end - begin, 1, {Form::kAdjoint, a + corner}, {Form::kAsIs, b + corner}, 1,
                c + static_cast<std::size_t>(reach) * n + reach);
  }
}

}  // namespace

template <typename T>
QzGradient<T>::QzGradient(int n, bool apart, Fork fork)
    : n_(n),
      apart_(apart),
      size_(static_cast<std::size_t>(n) * n),
      fork_(std::move(fork)),
      scaled_(n, n),
      solver_(n, /*adjoint=*/true, /*ordinary=*/false),
      buffer_(new T[6 * size_]),
      sb_(buffer_.get()),
      tb_(sb_ + size_),
      g_w_(tb_ + size_),
      g_y_(g_w_ + size_),
      e_(g_y_ + size_),
      f_(e_ + size_),
      eigenvectors_(n),
      eigenvalues_(n),
      alphab_re_(n),
      alphab_im_(n),
      betab_(n),
      work_(5 * static_cast<std::size_t>(n)) {}

template <typename T>
bool QzGradient<T>::all_zero(const T* matrix) const {
  return std::all_of(matrix, matrix + size_, [](T x) { return x == T(0); });
}

// Whether cotangents of S and T are 0 but for the diagonals outside of 2 x 2 blocks, and those of Q and Z are 0.
template <typename T>
bool QzGradient<T>::of_diagonals(const ConstFactors<T>& factors, const Cotangents<T>& cotangents) const {
  if (!all_zero(cotangents.q) || !all_zero(cotangents.z)) return false;
  // Of t_jj, which is real, the real part counts where it isn't 0: `zero_beta` in convention-inl.h.
  const R zero_beta = std::is_same_v<T, R> ? R(0) : 4 * std::numeric_limits<R>::epsilon() * n_ * largest_modulus(factors.t, size_);
  for (int i = 0; i < n_; ++i) {
    for (int j = std::is_same_v<T, R> ? std::max(0, i - 1) : i; j < n_; ++j) {
      const std::size_t here = static_cast<std::size_t>(i) * n_ + j;
      if (cotangents.s[here] == T(0) && cotangents.t[here] == T(0)) continue;
      if (j < i) {
        if (factors.s[here] != T(0)) return false;
      } else if (j > i || (std::imag(cotangents.t[here]) != 0 && std::real(factors.t[here]) <= zero_beta)) {
        return false;
      } else if (std::is_same_v<T, R> && ((i > 0 && factors.s[here - 1] != T(0)) || (i + 1 < n_ && factors.s[here + n_] != T(0)))) {
        return false;
      }
    }
  }
  return true;
}

template <typename T>
void QzGradient<T>::operator()(ConstFactors<T> factors, Cotangents<T> cotangents, const Pair<T>& pencil) {
  scaled_.scale(&factors, &cotangents);
  find(factors, cotangents, pencil);
  scaled_.scale_back(pencil);
}

template <typename T>
void QzGradient<T>::find(const ConstFactors<T>& factors, const Cotangents<T>& cotangents, const Pair<T>& pencil) {
  std::fill_n(pencil.first, size_, T(0));
  std::fill_n(pencil.second, size_, T(0));
  for (int j = 0; j < n_; ++j) {
    eigenvalues_.alpha[j] = cotangents.alpha == nullptr ? Complex(0) : cotangents.alpha[j];
    eigenvalues_.beta[j] = cotangents.alpha == nullptr ? R(0) : std::real(cotangents.beta[j]);
  }
  const bool only_eigenvalues = apart_ || of_diagonals(factors, cotangents);
  if (only_eigenvalues && !apart_) {
    for (int j = 0; j < n_; ++j) {
      const std::size_t here = static_cast<std::size_t>(j) * n_ + j;
      eigenvalues_.alpha[j] += cotangents.s[here];
      eigenvalues_.beta[j] += std::real(cotangents.t[here]);
    }
  }
  if (!eigenvalues_.all_zero()) by_eigenvectors(factors, only_eigenvalues, pencil);
  const bool eigenvalues = !eigenvalues_.all_zero();
  for (int j = 0; j < n_; ++j) {
    alphab_re_[j] = eigenvalues_.alpha[j].real();
    alphab_im_[j] = eigenvalues_.alpha[j].imag();
    betab_[j] = eigenvalues_.beta[j];
  }
  if (only_eigenvalues) {
    if (!eigenvalues) return;
    std::fill_n(sb_, size_, T(0));
    std::fill_n(tb_, size_, T(0));
    return pull_back(factors, nullptr, nullptr, true, apart_, pencil);
  }
  std::copy_n(cotangents.s, size_, sb_);
  std::copy_n(cotangents.t, size_, tb_);
  const auto unless_zero = [this](const T* matrix) { return all_zero(matrix) ? nullptr : matrix; };
  pull_back(factors, unless_zero(cotangents.q), unless_zero(cotangents.z), eigenvalues, false, pencil);
}

// Simple eigenvalues. Where nothing needs it and the equations have to be solved anyway, these do all at once.
template <typename T>
void QzGradient<T>::by_eigenvectors(const ConstFactors<T>& factors, bool only_eigenvalues, const Pair<T>& pencil) {
  const Clusters<R> clusters = find_clusters(factors);
  bool rest;
  if (!eigenvectors_.read(factors, norm_s_, norm_t_, clusters, eigenvalues_, &rest)) return;
  if ((rest || !only_eigenvalues) && !clusters.crowded()) return;
  eigenvectors_(fork_, buffer_.get(), &eigenvalues_, pencil);
}

template <typename T>
Clusters<typename QzGradient<T>::R> QzGradient<T>::find_clusters(const ConstFactors<T>& factors) {
  norm_s_ = largest_modulus(factors.s, size_);
  norm_t_ = largest_modulus(factors.t, size_);
  return clusters_of(n_, factors, norm_s_, norm_t_);
}

// S and T with eigenvalues taken apart, to where `moved_` is.
template <typename T>
void QzGradient<T>::move(const ConstFactors<T>& factors, const typename Clusters<R>::Moves& moves) {
  if (moved_ == nullptr) moved_.reset(new T[2 * size_]);
  std::copy_n(factors.s, size_, moved_.get());
  std::copy_n(factors.t, size_, moved_.get() + size_);
  for (int j = 0; j < n_; ++j) {
    const std::size_t here = static_cast<std::size_t>(j) * n_ + j;
    moved_[here] += factors.t[here] * (moves.of_s[j] * norm_s_ / norm_t_);
    moved_[size_ + here] += factors.s[here] * (moves.of_t[j] * norm_t_ / norm_s_);
  }
}

// Adds the cotangents of A and B that come of those of S and T in `sb_`, `tb_`, of Q and Z unless they are null, and of the eigenvalues if
// `eigenvalues`. `apart`: these take eigenvalues apart that coincide; otherwise only those that others stand between, and only where the
// solution sees into the cluster.
template <typename T>
void QzGradient<T>::pull_back(const ConstFactors<T>& factors, const T* qb, const T* zb, bool eigenvalues, bool apart,
                              const Pair<T>& pencil) {
  const Clusters<R> clusters = find_clusters(factors);
  const auto moves = clusters.moves(/*runs_only=*/!apart);
  if (moves.any) move(factors, moves);
  const T* const moved_s = moves.any ? moved_.get() : factors.s;
  const T* const moved_t = moves.any ? moved_.get() + size_ : factors.t;
  const T* const s = apart ? moved_s : factors.s;
  if (apart) {
    // A function of alpha / beta has betab = -Re(conj(alphab) alpha) / beta.
    for (int j = 0; j < n_; ++j) betab_[j] -= moves.of_s[j] * norm_s_ / norm_t_ * alphab_re_[j];
  }
  if (qb == nullptr || zb == nullptr) std::fill_n(e_, size_, T(0));
  const auto field = [this](const T* matrix) { return Field<const T>(matrix, n_); };
  Convention<T, T> convention(n_, field(s), field(factors.t), field(factors.q), field(factors.z), {sb_, n_}, {tb_, n_},
                              field(qb == nullptr ? e_ : qb), field(zb == nullptr ? e_ : zb), {g_w_, n_}, {g_y_, n_}, work_.data());
  convention.keep_pattern();
  if (eigenvalues) convention.add_eigenvalues(alphab_re_.data(), alphab_im_.data(), betab_.data());
  convention.prepare();
  const auto rotation = [&](const T* u, const T* ub, T* g) {
    if (ub == nullptr) {
      std::fill_n(g, size_, T(0));
    } else {
      multiply<T>(n_, n_, n_, n_, 1, {Form::kAdjoint, u}, {Form::kAsIs, ub}, 0, g);
    }
  };
  fork_(
      [&] {
        rotation(factors.q, qb, g_w_);
        subtract_rows(n_, sb_, s, g_w_);
        subtract_rows(n_, tb_, factors.t, g_w_);
      },
      [&] {
        rotation(factors.z, zb, g_y_);
        add_columns(n_, s, sb_, g_y_);
        add_columns(n_, factors.t, tb_, g_y_);
      });
  convention.add_convention();
  convention.skew();
  const auto is_zero = [](R x) { return x == 0; };
  if (apart ? !std::all_of(moves.of_t.begin(), moves.of_t.end(), is_zero) : moves.any) drop_noise(convention.largest_noise());
  const Pair<const T> right_hand_sides{g_w_, g_y_};
  const Pair<T> unknowns{e_, f_};
  if (apart) {
    solver_(moved_s, moved_t, right_hand_sides, unknowns);
  } else {
    solver_(factors.s, factors.t, right_hand_sides, unknowns);
    if (moves.any && sees_into(clusters, moves)) solver_(moved_s, moved_t, right_hand_sides, unknowns);
  }
  const auto finish = [&](T* xb, const T* unknown, T* work, T* out) {
    for (std::size_t k = 0; k < size_; ++k) xb[k] += unknown[k];
    multiply<T>(n_, n_, n_, n_, 1, {Form::kAsIs, factors.q}, {Form::kAsIs, xb}, 0, work);
    multiply<T>(n_, n_, n_, n_, 1, {Form::kAsIs, work}, {Form::kAdjoint, factors.z}, 1, out);
  };
  fork_([&] { finish(sb_, e_, g_w_, pencil.first); }, [&] { finish(tb_, f_, g_y_, pencil.second); });
}

// Drops what is rounding of P and R: divided by the small distances of a move, over and over, it would grow.
template <typename T>
void QzGradient<T>::drop_noise(R noise) {
  for (T* x : {g_w_, g_y_}) {
    for (std::size_t k = 0; k < size_; ++k) {
      if (std::abs(x[k]) <= noise) x[k] = T(0);
    }
  }
}

// Whether an unknown that belongs to two eigenvalues taken apart is not 0.
template <typename T>
bool QzGradient<T>::sees_into(const Clusters<R>& clusters, const typename Clusters<R>::Moves& moves) const {
  for (const T* x : {e_, f_}) {
    R between = 0;
    for (int i = 0; i < n_; ++i) {
      for (int j = 0; j < i; ++j) {
        if (clusters.apart(moves, i, j)) between = std::max(between, std::abs(x[static_cast<std::size_t>(i) * n_ + j]));
      }
    }
    if (between > std::sqrt(std::numeric_limits<R>::epsilon()) * largest_modulus(x, size_)) return true;
  }
  return false;
}

template class QzGradient<float>;
template class QzGradient<double>;
template class QzGradient<std::complex<float>>;
template class QzGradient<std::complex<double>>;

}  // namespace tfqz
