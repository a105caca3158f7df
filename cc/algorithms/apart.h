// What can't be stopped, a call of LAPACK, left to itself where nobody waits for it any more. No TensorFlow header.
#ifndef TFQZ_ALGORITHMS_APART_H_
#define TFQZ_ALGORITHMS_APART_H_

#include <functional>

#include "pencil/lapack.h"

namespace tfqz {

// From this size on one of LAPACK's decompositions takes so long that it is done apart.
constexpr int kSmallestApart = 400;

// What a decomposition returns that was left to itself: nobody reads it.
inline constexpr Outcome kLeftAlone = {"", 1};

// Does `work`. Where this thread's work may be interrupted another thread does it, and false says that this happened before the end: then
// `work` goes on, so it must own all that it uses. It must not throw.
bool do_apart(std::function<void()> work);

}  // namespace tfqz

#endif  // TFQZ_ALGORITHMS_APART_H_
