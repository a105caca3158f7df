// The exchange of eigenvalues in lockstep: several small generalized Schur forms at once, one in each lane of the machine's vectors. No
// TensorFlow header comes in here, and none of Highway's.
#ifndef TFQZ_LOCKSTEP_REORDER_H_
#define TFQZ_LOCKSTEP_REORDER_H_

#include <cstdint>
#include <memory>

#include "pencil/factors.h"
#include "vectors/simd.h"

namespace tfqz {

// Holds the workspace for factors of one size; use one per thread.
template <typename T>
class LockstepReorder {
 public:
  virtual ~LockstepReorder() = default;

  // As Reorderer does, `count` of them, at least one and at most as many as there are lanes, without 2 x 2 blocks. What comes out for one
  // depends neither on the others nor on its place. Bit i of the result: an exchange would spoil the factors i, or something of them
  // isn't finite, and what came out means nothing.
  virtual std::uint64_t operator()(const ConstFactors<T>* factors, const int32_t* const* labels, const Factors<T>* reordered,
                                   int count) = 0;
};

// Throws std::bad_alloc.
template <typename T>
std::unique_ptr<LockstepReorder<T>> make_lockstep_reorder(const Simd& simd, int n);

}  // namespace tfqz

#endif  // TFQZ_LOCKSTEP_REORDER_H_
