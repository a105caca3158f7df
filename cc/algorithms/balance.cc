#include "algorithms/balance.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string>

#include "pencil/matrix.h"

namespace tfqz {
namespace {

// Osborne's iteration ends by itself, after some 5 to 15 sweeps.
constexpr int kSimilarSweeps = 100;
// The other one takes up to 13 where there are such exponents; where there are none, as for matrices that are singular whatever their
// entries are, it goes one way for ever.
constexpr int kTwoSidedSweeps = 20;
// A step counts if it makes a row and a column together as much shorter: as in LAPACK's xGEBAL.
constexpr double kGain = 0.95;

int nearest(double exponent) { return static_cast<int>(std::lround(exponent)); }

// Rounded down.
int half(int x) { return (x - (x & 1)) / 2; }

// Halfway between the least and the largest of the exponents whose rows, or columns, have a sum.
int middle(const int32_t* exponents, const std::vector<double>& sums) {
  int least = std::numeric_limits<int>::max(), most = std::numeric_limits<int>::min();
  for (std::size_t k = 0; k < sums.size(); ++k) {
    if (sums[k] > 0) least = std::min(least, exponents[k]), most = std::max(most, exponents[k]);
  }
  return half(least + most);
}

// Adds to these exponents, which are at most so large afterwards.
void move(int32_t* exponents, const std::vector<double>& sums, int by, int largest) {
  for (std::size_t k = 0; k < sums.size(); ++k) {
    if (sums[k] > 0) exponents[k] = std::clamp(exponents[k] + by, -largest, largest);
  }
}

}  // namespace

template <typename Real>
bool Balancer<Real>::read(const Real* matrix) {
  if (!all_finite(matrix, w_.size())) return false;
  double largest = 0;
  for (std::size_t i = 0; i < w_.size(); ++i) largest = std::max(largest, std::abs(static_cast<double>(matrix[i])));
  if (largest == 0) return false;
  const int exponent = std::ilogb(largest);
  for (std::size_t i = 0; i < w_.size(); ++i) w_[i] = std::scalbn(std::abs(static_cast<double>(matrix[i])), -exponent);
  return true;
}

template <typename Real>
void Balancer<Real>::operator()(const Real* matrix, int32_t* left, int32_t* right) {
  std::fill_n(left, m_, 0);
  std::fill_n(right, n_, 0);
  if (!read(matrix)) return;
  similarity_ ? balance_similar(left, right) : balance_two_sided(left, right);
}

template <typename Real>
void Balancer<Real>::balance_similar(int32_t* left, int32_t* right) {
  const int largest = largest_exponent();
  for (int i = 0; i < n_; ++i) row(i)[i] = 0;
  for (int sweep = 0, unchanged = 0; sweep < kSimilarSweeps; ++sweep) {
    for (int i = 0; i < n_; ++i) {
      if (unchanged++ == n_) return;
      double of_row = 0, of_column = 0;
      for (int j = 0; j < n_; ++j) of_row += row(i)[j], of_column += row(j)[i];
      if (of_row == 0 || of_column == 0) continue;
      const int wanted = right[i] + nearest((std::log2(of_row) - std::log2(of_column)) / 2);
      const int step = std::clamp(wanted, -largest, largest) - right[i];
      const double up = std::scalbn(1.0, step), down = std::scalbn(1.0, -step);
      if (of_column * up + of_row * down >= kGain * (of_column + of_row)) continue;
      for (int j = 0; j < n_; ++j) row(i)[j] *= down, row(j)[i] *= up;
      right[i] += step;
      left[i] = -right[i];
      unchanged = 0;
    }
  }
}

template <typename Real>
void Balancer<Real>::add_up() {
  std::fill(of_rows_.begin(), of_rows_.end(), 0);
  std::fill(of_columns_.begin(), of_columns_.end(), 0);
  for (int i = 0; i < m_; ++i) {
    for (int j = 0; j < n_; ++j) of_rows_[i] += row(i)[j], of_columns_[j] += row(i)[j];
  }
}

template <typename Real>
int Balancer<Real>::sweep(int32_t* left, int32_t* right) {
  const double larger = std::max(m_, n_);
  int change = 0;
  // Exponents of powers of two that bring the sums near `target`, and these powers instead of the sums.
  const auto step = [&change](int32_t* exponents, std::vector<double>& sums, double target) {
    for (std::size_t k = 0; k < sums.size(); ++k) {
      const int by = sums[k] > 0 ? nearest(std::log2(target / sums[k])) : 0;
      exponents[k] += by;
      change = std::max(change, std::abs(by));
      sums[k] = std::scalbn(1.0, by);
    }
  };
  add_up();
  step(left, of_rows_, n_ / larger);
  std::fill(of_columns_.begin(), of_columns_.end(), 0);
  for (int i = 0; i < m_; ++i) {
    for (int j = 0; j < n_; ++j) of_columns_[j] += row(i)[j] *= of_rows_[i];
  }
  step(right, of_columns_, m_ / larger);
  for (int i = 0; i < m_; ++i) {
    for (int j = 0; j < n_; ++j) row(i)[j] *= of_columns_[j];
  }
  return change;
}

template <typename Real>
void Balancer<Real>::balance_two_sided(int32_t* left, int32_t* right) {
  for (int count = 0; count < kTwoSidedSweeps; ++count) {
    if (sweep(left, right) <= 1) break;
  }
  // What all rows are multiplied by columns can have as well: half of the range is for each.
  add_up();
  const int largest = largest_exponent(), shift = half(middle(right, of_columns_) - middle(left, of_rows_));
  move(left, of_rows_, shift, largest);
  move(right, of_columns_, -shift, largest);
}

template <typename Real>
Batch::Worker BalanceBatch<Real>::make_worker() const {
  const auto balancer = std::make_shared<Balancer<Real>>(m_, n_, similarity_);
  return [this, balancer](int64_t index) -> std::string {
    (*balancer)(matrices_ + index * m_ * n_, left_ + index * m_, right_ + index * n_);
    return "";
  };
}

#define TFQZ_INSTANTIATE(Real)   \
  template class Balancer<Real>; \
  template class BalanceBatch<Real>
TFQZ_INSTANTIATE(float);
TFQZ_INSTANTIATE(double);
#undef TFQZ_INSTANTIATE

}  // namespace tfqz
