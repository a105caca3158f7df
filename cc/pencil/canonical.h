// The canonical form: what makes the factors of a QZ decomposition functions of the pencil. (Q D, Z D) with D diagonal
// and unitary is as good a pair as (Q, Z), and which D LAPACK finds depends on rounding. The convention keeps LAPACK's:
//
//   1. t_jj is real and >= 0; where t_jj = 0 (an infinite eigenvalue) s_jj is real and >= 0; where both are 0 the largest
//      entry of column j of Q is real and positive.
//   2. In each column of Z the largest entry is real and positive.
//   3. In a 2 x 2 block of the real form T's block is diag(a, d), a >= d > 0. LAPACK's xHGEQZ leaves it so (xLASV2).
//
// and of an ordinary Schur form, whose one unitary factor is Z: rule 2, and
//
//   3. A 2 x 2 block of the real form is [p b; c p], |b| >= |c|, b c < 0. LAPACK's xLANV2 leaves it so, or turned by 90 degrees.
//
// `The largest entry` of a column is the first whose modulus reaches (1 - tie) times the largest modulus: rounding must
// not choose between equal moduli. tfqz/_form/canonical.py holds the same rules in TensorFlow ops.
#ifndef TFQZ_CANONICAL_H_
#define TFQZ_CANONICAL_H_

#include <complex>

#include "pencil/lapack.h"
#include "pencil/matrix.h"

namespace tfqz {

// Whether a 2 x 2 block is at row j, or one row above.
template <typename T>
bool in_block(Matrix<T> S, int j) {
  return (j + 1 < S.n && S(j + 1, j) != T(0)) || (j > 0 && S(j, j - 1) != T(0));
}

// Real dtypes: splits the 2 x 2 blocks of S of which T's are diagonal and the eigenvalues real, or so near to a double one that the
// rounding errors of its entries decide. xHGEQZ does so only where its own shifts are real, and xTGEXC not always. Q and Z may be absent.
template <typename T>
void split_real_blocks(Matrix<T> S, Matrix<T> T_, Matrix<T> Q, Matrix<T> Z);

// Makes what is below the diagonal of S, and s_jj and t_jj of 1 x 1 blocks, 0 where it will be once S is multiplied by of_s and T by of_t:
// neither blocks nor the phases that the rules above choose hang on what isn't there then.
template <typename T>
void drop_underflowing(Matrix<T> S, Matrix<T> T_, Real<T> of_s, Real<T> of_t);

// Without Q where there is no j with s_jj = t_jj = 0, and without Q and Z where only the diagonal blocks count.
template <typename T>
void canonicalize(Matrix<T> S, Matrix<T> T_, Matrix<T> Q, Matrix<T> Z);

template <typename T>
void canonicalize_schur(Matrix<T> T_, Matrix<T> Z);

// alpha and beta of canonical factors. 1 x 1 block: (s_jj, t_jj). 2 x 2 block of the real form, S block [p q; r s], T block
// diag(a, d): beta = sqrt(a d) for both, and alpha, conj(alpha) the eigenvalues of [p rho, q; r, s / rho], rho = sqrt(d / a).
template <typename T>
void alpha_beta(Matrix<T> S, Matrix<T> T_, std::complex<Real<T>>* alpha, T* beta);

}  // namespace tfqz

#endif  // TFQZ_CANONICAL_H_
