// Eigenvectors of a pencil from its factors: substitution in t_j S - s_j T, for all eigenvalues that are asked for at once, in real
// arithmetic for real dtypes. No TensorFlow header.
#ifndef TFQZ_SUBSTITUTION_H_
#define TFQZ_SUBSTITUTION_H_

#include <complex>
#include <vector>

#include "pencil/clusters.h"
#include "pencil/factors.h"
#include "pencil/lapack.h"

namespace tfqz {

// The largest modulus, or 1 for zeros.
template <typename T>
Real<T> largest_modulus(const T* matrix, std::size_t count);

// The eigenvalues of canonical factors, over norms of S and T.
template <typename T>
Clusters<Real<T>> clusters_of(int n, const ConstFactors<T>& factors, Real<T> norm_s, Real<T> norm_t);

// An eigenvalue, or the two of a 2 x 2 block. Of these the second one's vectors are conjugates of the first one's, and its cotangents go
// with the first one's.
template <typename R>
struct EigenvalueUnit {
  using Complex = std::complex<R>;

  int begin, size;
  int column;                   // of its vectors: of a block's the real part, and the imaginary part next
  Complex s, t;                 // alpha and beta over the norms
  Complex right[2], left[2];    // vectors inside of the diagonal block
  Complex product;              // y^H S x / s = y^H T x / t
  Complex of_ratio, of_length;  // cotangents
};

// Holds the workspace for pencils of one size; use one per thread.
template <typename T>
class VectorSubstitution {
 public:
  using R = Real<T>;
  using Unit = EigenvalueUnit<R>;

  // `bounded`: eigenvalues may coincide. Divisors that are 0 up to rounding count as that, and columns are scaled before they leave the
  // range.
  VectorSubstitution(int n, bool bounded);

  // Takes up a pencil's factors, of which S and T have these norms.
  void read(const ConstFactors<T>& factors, R norm_s, R norm_t, const Clusters<R>& clusters);

  // All diagonal blocks, in order.
  const std::vector<Unit>& blocks() const { return blocks_; }

  // Gives those of them whose vectors are wanted their columns, and returns how many these are.
  int choose(std::vector<Unit>* units);

  // Vectors of the chosen units in the frames of the factors, n x n. `sums`: room for 4 n numbers.
  template <bool kLeft>
  void find(T* vectors, T* sums) const;

  // Those of the pencil: times Z, or Q.
  template <bool kLeft>
  void turn_back(const T* vectors, T* out) const;

 private:
  using Complex = std::complex<R>;

  Unit unit_at(int begin, const Clusters<R>& clusters) const;
  template <bool kLeft>
  void solve(const Unit& block, const Unit& unit, const T* sums, T* vectors) const;
  template <bool kLeft>
  Complex coefficient(const Unit& unit, int i, int j) const;
  R smallest_divisor(const Unit& unit) const;
  void shorten(const Unit& unit, R size, T* vectors) const;

  const int n_;
  const bool bounded_;
  ConstFactors<T> factors_{};
  R norm_s_ = 1, norm_t_ = 1;
  std::vector<Unit> blocks_, units_;  // units_: of these those with vectors
  std::vector<int> first_column_,
      end_column_;  // for each row: the first one of units that end behind it, the end of those that begin before
  int columns_ = 0;
};

// Entries of a row that belong to a unit of `size` eigenvalues.
template <typename R>
std::complex<R> entry(const R* row, int size) {
  return {row[0], size == 2 ? row[1] : R(0)};
}
template <typename R>
std::complex<R> entry(const std::complex<R>* row, int) {
  return row[0];
}
template <typename R>
void set_entry(std::complex<R> x, int size, R* row) {
  row[0] = x.real();
  if (size == 2) row[1] = x.imag();
}
template <typename R>
void set_entry(std::complex<R> x, int, std::complex<R>* row) {
  row[0] = x;
}

}  // namespace tfqz

#endif  // TFQZ_SUBSTITUTION_H_
