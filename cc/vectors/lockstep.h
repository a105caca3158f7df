// The QZ decomposition of several small pencils at once, one in each lane of the machine's vectors: several times faster than
// LAPACK, which spends its time on the overhead of loops over few entries. The same canonical form; the order in which the
// eigenvalues come may be another one. One pencil by itself takes no longer than LAPACK up to n = 16. No TensorFlow header comes in here,
// and none of Highway's.
#ifndef TFQZ_LOCKSTEP_H_
#define TFQZ_LOCKSTEP_H_

#include <cstdint>
#include <memory>

#include "pencil/factors.h"
#include "vectors/simd.h"

namespace tfqz {

// Holds the workspace for pencils of one size; use one per thread.
template <typename T>
class LockstepQz {
 public:
  virtual ~LockstepQz() = default;

  // Decomposes `count` pencils, at least one and at most as many as there are lanes; `a[i]` and `b[i]` are row-major and finite. What
  // comes out for a pencil depends neither on the others nor on its place. Bit i of the result: pencil i didn't converge, has an
  // eigenvalue 0/0, or something of it is not finite, and its factors mean nothing.
  virtual std::uint64_t operator()(const T* const* a, const T* const* b, const Factors<T>* factors, int count) = 0;
};

// Throws std::bad_alloc.
template <typename T>
std::unique_ptr<LockstepQz<T>> make_lockstep(const Simd& simd, int n);

}  // namespace tfqz

#endif  // TFQZ_LOCKSTEP_H_
