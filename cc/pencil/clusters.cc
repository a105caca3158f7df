#include "pencil/clusters.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace tfqz {
namespace {

// tfqz/_form/tolerances.py: cluster, move.
template <typename R>
R cluster() {
  return std::pow(std::numeric_limits<R>::epsilon(), R(0.75));
}
template <typename R>
R move(int times) {
  return std::pow(std::numeric_limits<R>::epsilon(), R(1) / (std::max(times, 1) + 1));
}

}  // namespace

template <typename R>
Clusters<R>::Clusters(std::vector<std::complex<R>> alpha, std::vector<R> beta, std::vector<bool> pair)
    : alpha_(std::move(alpha)), beta_(std::move(beta)), pair_(std::move(pair)), length_(alpha_.size()) {
  for (std::size_t j = 0; j < length_.size(); ++j) length_[j] = std::sqrt(std::norm(alpha_[j]) + beta_[j] * beta_[j]);
}

// The chordal distance; 0 from 0/0.
template <typename R>
bool Clusters<R>::near(int i, int j) const {
  const R re = alpha_[i].real() * beta_[j] - alpha_[j].real() * beta_[i];
  const R im = alpha_[i].imag() * beta_[j] - alpha_[j].imag() * beta_[i];
  const R reach = cluster<R>() * length_[i] * length_[j];
  return reach == 0 || re * re + im * im < reach * reach;
}

template <typename R>
bool Clusters<R>::alone(int j) const {
  if (length_[j] == 0) return false;  // 0/0, by itself too
  for (int i = 0; i < static_cast<int>(alpha_.size()); ++i) {
    if (i != j && near(i, j)) return false;
  }
  return true;
}

template <typename R>
bool Clusters<R>::crowded() const {
  const int n = static_cast<int>(alpha_.size());
  std::vector<R> squares(n, R(1));
  const R reach = neighbourhood<R>(n) * neighbourhood<R>(n);
  for (int j = 0; j < n; ++j) {
    for (int i = 0; i < j; ++i) {
      const R re = alpha_[i].real() * beta_[j] - alpha_[j].real() * beta_[i];
      const R im = alpha_[i].imag() * beta_[j] - alpha_[j].imag() * beta_[i];
      const R lengths = length_[i] * length_[j], square = (re * re + im * im) / (lengths * lengths);
      if (square >= reach) continue;
      squares[i] *= square;
      squares[j] *= square;
    }
    if (length_[j] == 0) return true;
  }
  return std::any_of(squares.begin(), squares.end(), [](R x) { return !(x >= crowd<R>() * crowd<R>()); });
}

template <typename R>
typename Clusters<R>::Moves Clusters<R>::moves(bool runs_only) const {
  const int n = static_cast<int>(alpha_.size());
  Moves moves{std::vector<R>(n), std::vector<R>(n), std::vector<R>(n), false};
  // Whether j begins a run: members come before, and not right before, or not but for the other half of a pair.
  std::vector<bool> begins(n);
  std::vector<std::vector<int>> earlier(n);
  for (int j = 0; j < n; ++j) {
    for (int i = 0; i < j; ++i) {
      if (near(i, j)) earlier[j].push_back(i);
    }
    const auto member = [&](int i) { return std::binary_search(earlier[j].begin(), earlier[j].end(), i); };
    const bool follows = member(j - 1) || (pair_[j] && member(j - 2));
    begins[j] = !earlier[j].empty() && !follows;
  }
  std::vector<int> runs(n);
  for (int j = 0; j < n; ++j) {
    runs[j] = begins[j];
    for (int i : earlier[j]) runs[j] += begins[i];
  }
  std::vector<int> most(runs);
  for (int j = 0; j < n; ++j) {
    for (int i : earlier[j]) {
      most[j] = std::max(most[j], runs[i]);
      most[i] = std::max(most[i], runs[j]);
    }
  }
  for (int j = 0; j < n; ++j) {
    R distance = runs[j] * move<R>(most[j]);
    if (!runs_only) distance += earlier[j].size() * move<R>(1);
    moves.distance[j] = j > 0 && pair_[j - 1] ? moves.distance[j - 1] : distance;  // a pair moves as one
    if (moves.distance[j] == 0) continue;
    moves.any = true;
    // By quotients: the squares of what is next to 0/0 are 0.
    const R x = std::abs(alpha_[j]), y = beta_[j], distance_of_j = moves.distance[j];
    const bool finite = y > 0 && (100 * y >= x || pair_[j] || (j > 0 && pair_[j - 1]));
    const R ratio = finite ? x / y : y / x, move = distance_of_j * (1 + ratio * ratio);
    if (!std::isfinite(move)) continue;  // 0/0 stays where it is
    (finite ? moves.of_s : moves.of_t)[j] = move;
  }
  return moves;
}

template class Clusters<float>;
template class Clusters<double>;

}  // namespace tfqz
