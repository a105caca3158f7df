// Neighbouring diagonal blocks of a generalized Schur form change places. No TensorFlow header.
#ifndef TFQZ_ALGORITHMS_EXCHANGE_H_
#define TFQZ_ALGORITHMS_EXCHANGE_H_

#include <cstdint>

#include "pencil/matrix.h"

namespace tfqz {

// A generalized Schur form, whose entries are at most of order 1. In real dtypes T's block is diag(a, d) where S has one of 2 x 2. Q may
// be absent.
template <typename T>
struct SchurForm {
  Matrix<T> S, T_, Q, Z;

  int n() const { return S.n; }
  // Of the block that begins at `row`.
  int block_size(int row) const { return row + 1 < S.n && S(row + 1, row) != T(0) ? 2 : 1; }
};

// What goes with a row: its label, the same for both of a block, and whether t_jj = 0.
struct Row {
  int32_t label;
  bool infinite;
};

// Puts blocks in descending order of their labels, `rows` with them; those of equal labels keep their order, and infinite eigenvalues are
// infinite afterwards. False where an exchange would
// spoil the form, which then means nothing.
template <typename T>
bool sort_blocks(const SchurForm<T>& form, Row* rows);

}  // namespace tfqz

#endif  // TFQZ_ALGORITHMS_EXCHANGE_H_
