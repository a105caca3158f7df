// The gradient (gradient.h) of several small pencils at once, one in each lane of the machine's vectors. No TensorFlow header comes in
// here, and none of Highway's.
#ifndef TFQZ_LOCKSTEP_GRADIENT_H_
#define TFQZ_LOCKSTEP_GRADIENT_H_

#include <cstdint>
#include <memory>

#include "pencil/factors.h"
#include "vectors/simd.h"

namespace tfqz {

// Holds the workspace for pencils of one size; use one per thread.
template <typename T>
class LockstepGradient {
 public:
  virtual ~LockstepGradient() = default;

  // How many pencils go together.
  virtual int lanes() const = 0;

  // Does `count` pencils, at least one and at most as many as there are lanes; all of them have cotangents of alpha and beta, or none.
  // What comes out for a pencil depends neither on the others nor on its place. Bit i of the result: pencil i is left out, for it has
  // eigenvalues that coincide, or entries far from 1, or is `crowded` (clusters.h) and these cotangents are for eigenvalues.
  virtual std::uint64_t operator()(const ConstFactors<T>* factors, const Cotangents<T>* cotangents, const Pair<T>* pencils, int count) = 0;
};

template <typename T>
std::unique_ptr<LockstepGradient<T>> make_lockstep_gradient(const Simd& simd, int n);

}  // namespace tfqz

#endif  // TFQZ_LOCKSTEP_GRADIENT_H_
