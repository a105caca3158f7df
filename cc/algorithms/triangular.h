// The coupled triangular equations of the QZ decomposition's derivative, and their adjoint, for one pencil. No TensorFlow header
// comes in here. For upper triangular S and T (real: quasi upper triangular S, and T diagonal in its 2 x 2 blocks), with strictly
// lower triangular right-hand sides and unknowns:
//
//   forward    tril(X S - S V, -1) = M         tril(X T - T V, -1) = N
//   adjoint    tril(E S^H + F T^H, -1) = P    -tril(S^H E + T^H F, -1) = R
//
// `Strictly lower` leaves out the entry inside a 2 x 2 block. tfqz/_derivative/triangular.py has the same in TensorFlow ops, and says what
// is done where eigenvalues are equal.
#ifndef TFQZ_TRIANGULAR_H_
#define TFQZ_TRIANGULAR_H_

#include <complex>
#include <vector>

#include "pencil/factors.h"
#include "pencil/lapack.h"
#include "pencil/matrix.h"

namespace tfqz {

// Holds the workspace for equations of one size; use one per thread.
template <typename T>
class TriangularSolver {
 public:
  // Throws std::bad_alloc. `n` >= 1. `ordinary`: for T = I, where the equations are those of an ordinary Schur form: at equal
  // eigenvalues the unknown with S is 0 then.
  TriangularSolver(int n, bool adjoint, bool ordinary);

  // `s` and `t` are row-major and finite. Of `right_hand_sides` only the strictly lower part is read; `unknowns` are 0 elsewhere.
  void operator()(const T* s, const T* t, const Pair<const T>& right_hand_sides, const Pair<T>& unknowns);

  // The block between two pencils: `first` is (s, t) of order k, `second` that of order n - k, and the off-diagonal blocks that couple them
  // are 0. Right-hand sides and unknowns are [n - k, k], those in the lower left. Returns how many pairs of an eigenvalue of one and one of
  // the other coincide.
  int between(int k, const Pair<const T>& first, const Pair<const T>& second, const Pair<const T>& right_hand_sides,
              const Pair<T>& unknowns);

 private:
  using R = Real<T>;
  using Complex = std::complex<R>;

  // A diagonal block, and for 2 x 2 ones the unitary G, H that make G^H S H and G^H T H upper triangular, and these.
  struct Block {
    int begin, size;
    Complex g[2][2], h[2][2], s[2][2], t[2][2];
  };

  void read_coefficients(const T* s, const T* t);
  void read_diagonal_block(int begin, int size, const T* s, const T* t);
  static R largest(std::size_t size, const T* x);
  void read_right_hand_sides(const Pair<const T>& right_hand_sides);
  void scale_right_hand_sides(int i_begin, int i_end, int j_begin, int j_end);
  T factor_of_unknowns(R norm) const;
  void write_unknowns(const Pair<T>& unknowns) const;
  void find_blocks();
  void triangularize(Block* block) const;
  int split(int begin, int end) const;

  void solve_lower(int begin, int end);
  void solve_block(int i_begin, int i_end, int j_begin, int j_end);
  void substitute(int i_begin, int i_end, int j_begin, int j_end, bool lower);
  void solve_entry(const Block& I, const Block& J);
  void subtract_from_row(int i, int j, int begin, int end);
  void subtract_from_column(int i, int j, int begin, int end);
  void update_rows(int i_begin, int i_end, int from, int from_end, int to, int to_end);
  void update_columns(int from, int from_end, int to, int to_end, int j_begin, int j_end);

  template <typename C>
  bool coincide(C s_i, C t_i, C s_j, C t_j) const;
  template <typename C>
  void solve_scalar(C s_i, C t_i, C s_j, C t_j, C* first, C* second) const;

  const int n_;
  const bool adjoint_, ordinary_;
  const R equal_, zero_;
  R norm_s_ = 1, norm_t_ = 1;
  int exponent_ = 0;  // what the right-hand sides were multiplied by: 2^-exponent_
  Matrices<T> matrices_;
  // The coefficients row by row and column by column, over their norms.
  const Matrix<T> s_rows_, t_rows_, s_columns_, t_columns_;
  // What is left of the right-hand sides; an entry that was solved for holds the unknown. Unknowns on the left of coefficients, and
  // what they add to, stay row by row; those on the right column by column. The adjoint's equations have one side each.
  const Matrix<T> first_rows_, second_rows_, first_columns_, second_columns_;
  std::vector<Block> blocks_;
  std::vector<int> block_of_;  // for each row
};

}  // namespace tfqz

#endif  // TFQZ_TRIANGULAR_H_
