// Two diagonal blocks of which one has two rows, and what is above them: they change places in small matrices. No TensorFlow header.
#ifndef TFQZ_ALGORITHMS_EXCHANGE_WINDOW_H_
#define TFQZ_ALGORITHMS_EXCHANGE_WINDOW_H_

namespace tfqz {

// Column-major, with as many rows as both blocks have.
template <typename R>
struct ExchangeWindow {
  static constexpr int kMost = 16;

  R S[kMost], T_[kMost];
  // Orthogonal: from S, T come Q^T S Z and Q^T T Z.
  R Q[kMost], Z[kMost];
};

// Of a window's S and T, whose blocks have `first` and `second` rows, makes those of the exchanged blocks, T's blocks diag(a, d),
// a >= |d| > 0, where they have two rows, as they must have been before. False where that would spoil them.
template <typename R>
bool exchange_window(int first, int second, ExchangeWindow<R>* window);

}  // namespace tfqz

#endif  // TFQZ_ALGORITHMS_EXCHANGE_WINDOW_H_
