// Powers of two by which the rows and columns of a non-negative matrix get about equal norms. No TensorFlow header comes in here.
#ifndef TFQZ_ALGORITHMS_BALANCE_H_
#define TFQZ_ALGORITHMS_BALANCE_H_

#include <cstdint>
#include <vector>

#include "algorithms/batch.h"

namespace tfqz {

// Exponents l, r such that diag(2^l) M diag(2^r) is balanced, by sums of rows and columns:
//
//   similarity   l = -r: for each index the sums of its row and of its column, without the diagonal, are equal up to a factor of about 2
//                (E. E. Osborne, J. ACM 7 (1960) 338-345; LAPACK's xGEBAL).
//   else         all rows have equal sums, and all columns, up to factors of about 2 (D. Lemonnier and P. Van Dooren, SIAM J. Matrix Anal.
//                Appl. 28 (2006) 253-263, with sums for their sums of squares): rows n / max(m, n), columns m / max(m, n), times a number.
//
// Rows and columns without an entry other than 0 have exponent 0, and so has all of a matrix that isn't finite. Holds the workspace for
// matrices of one size; use one per thread.
template <typename Real>
class Balancer {
 public:
  // Throws std::bad_alloc.
  Balancer(int m, int n, bool similarity)
      : m_(m), n_(n), similarity_(similarity), w_(static_cast<std::size_t>(m) * n), of_rows_(m), of_columns_(n) {}

  // `matrix`: row-major m x n, n x n for `similarity`. `left`, `right`: m and n exponents.
  void operator()(const Real* matrix, int32_t* left, int32_t* right);

  // No exponent is larger: products of two such powers of two are normal numbers.
  static constexpr int largest_exponent() { return sizeof(Real) == 4 ? 60 : 500; }

 private:
  // The matrix over a power of two near its largest entry; false if there is nothing to do.
  bool read(const Real* matrix);
  void balance_similar(int32_t* left, int32_t* right);
  void balance_two_sided(int32_t* left, int32_t* right);
  // The sums of rows and columns.
  void add_up();
  // One sweep over all rows and columns; returns the largest change of an exponent.
  int sweep(int32_t* left, int32_t* right);

  double* row(int i) { return w_.data() + static_cast<std::size_t>(i) * n_; }

  const int m_, n_;
  const bool similarity_;
  std::vector<double> w_, of_rows_, of_columns_;
};

// Row-major arrays: matrices [batch, m, n], left [batch, m], right [batch, n]. Nothing fails.
template <typename Real>
class TFQZ_INTERFACE BalanceBatch : public Batch {
 public:
  BalanceBatch(int m, int n, bool similarity, const Real* matrices, int32_t* left, int32_t* right)
      : Batch(/*fill_failures=*/false), m_(m), n_(n), similarity_(similarity), matrices_(matrices), left_(left), right_(right) {}

  // Some 5 sweeps.
  int64_t cost_per_element() const override { return 100 + int64_t{10} * m_ * n_ + 100 * (m_ + n_); }

 protected:
  Worker make_worker() const override;
  void fill_with_nan(int64_t) const override {}

 private:
  const int m_, n_;
  const bool similarity_;
  const Real* const matrices_;
  int32_t *const left_, *const right_;
};

}  // namespace tfqz

#endif  // TFQZ_ALGORITHMS_BALANCE_H_
