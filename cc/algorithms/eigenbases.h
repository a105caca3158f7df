// What is done for each element of a batch of factors to find eigenvectors and their derivative, as arrays. No TensorFlow header.
#ifndef TFQZ_ALGORITHMS_EIGENBASES_H_
#define TFQZ_ALGORITHMS_EIGENBASES_H_

#include <complex>
#include <cstdint>

#include "algorithms/batch.h"
#include "algorithms/eigenbasis.h"
#include "pencil/factors.h"

namespace tfqz {

// Row-major arrays: factors and vectors [batch, n, n], null for those that aren't wanted. Factors that are NaN have vectors that are.
template <typename T>
class TFQZ_INTERFACE EigenvectorBatch : public Batch {
 public:
  using Complex = std::complex<Real<T>>;

  EigenvectorBatch(int n, const ConstFactors<T>& factors, Complex* left, Complex* right)
      : Batch(/*fill_failures=*/true), n_(n), factors_(factors), left_(left), right_(right) {}

  // A substitution and a product each.
  int64_t cost_per_element() const override { return 500 + 30 * int64_t{n_} * n_ + int64_t{n_} * n_ * n_; }

 protected:
  Worker make_worker() const override;
  void fill_with_nan(int64_t index) const override;

 private:
  const int n_;
  const ConstFactors<T> factors_;
  Complex *const left_, *const right_;
};

// Row-major arrays: matrices [batch, n, n], s and t [batch, n]. Nothing fails.
template <typename C>
class TFQZ_INTERFACE BorderedBatch : public Batch {
 public:
  BorderedBatch(int n, bool adjoint, const BorderedEquations<C>& equations, const C* right_hand_sides, C* unknowns)
      : Batch(/*fill_failures=*/false),
        n_(n),
        adjoint_(adjoint),
        equations_(equations),
        right_hand_sides_(right_hand_sides),
        unknowns_(unknowns) {}

  int64_t cost_per_element() const override { return 200 + 20 * int64_t{n_} * n_ + 2 * int64_t{n_} * n_ * n_; }

 protected:
  Worker make_worker() const override;
  void fill_with_nan(int64_t) const override {}

 private:
  const int n_;
  const bool adjoint_;
  const BorderedEquations<C> equations_;
  const C* const right_hand_sides_;
  C* const unknowns_;
};

}  // namespace tfqz

#endif  // TFQZ_ALGORITHMS_EIGENBASES_H_
