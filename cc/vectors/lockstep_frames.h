// Orthonormal columns from QR decompositions of several small matrices at once, one in each lane of the machine's vectors. No TensorFlow
// header comes in here, and none of Highway's.
#ifndef TFQZ_LOCKSTEP_FRAMES_H_
#define TFQZ_LOCKSTEP_FRAMES_H_

#include <cstdint>
#include <memory>

#include "vectors/simd.h"

namespace tfqz {

// Holds the workspace for matrices of one size; use one per thread.
template <typename T>
class LockstepFrames {
 public:
  virtual ~LockstepFrames() = default;

  // Of `count` matrices, at least one and at most as many as there are lanes. Bit i of the result: what comes out for matrix i means
  // nothing, for its columns may be dependent, or it is too large or too small for squares, or not finite.
  virtual std::uint64_t operator()(const T* const* matrices, T* const* frames, int count) = 0;
};

// Which: matrices are row-major, m x n, and B is such a one or, if `adjoint`, its conjugate transpose: rows x cols, at least as many rows
// as columns. B = Q R, Q unitary; the frame is the first columns of Q, as many as B has, or, if `complement`, the others: row-major.
// `tolerance`: columns are independent if the smallest singular value is surely beyond that times the longest one's length.
struct FramesOf {
  int rows, cols;
  bool adjoint, complement;
  double tolerance;
};

// Throws std::bad_alloc.
template <typename T>
std::unique_ptr<LockstepFrames<T>> make_lockstep_frames(const Simd& simd, const FramesOf& of);

}  // namespace tfqz

#endif  // TFQZ_LOCKSTEP_FRAMES_H_
