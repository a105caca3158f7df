// What can't be stopped, a call of LAPACK, left to itself where nobody waits for it any more. No TensorFlow header.
#ifndef TFQZ_ALGORITHMS_APART_H_
#define TFQZ_ALGORITHMS_APART_H_

#include <functional>
#include <memory>

#include "pencil/lapack.h"

namespace tfqz {

// From this size on one of LAPACK's decompositions takes so long that it is done apart.
constexpr int kSmallestApart = 400;

// What a decomposition returns that was left to itself: nobody reads it.
inline constexpr Outcome kLeftAlone = {"", 1};

// Does `work`. Where this thread's work may be interrupted another thread does it, and false says that this happened before the end: then
// `work` goes on, so it must own all that it uses. What it throws is thrown here.
bool do_apart(std::function<void()> work);

// call(solver) for a solver of n rows, apart where std::shared_ptr owns it and n is large. False if interrupted; then the solver is of no
// use any more.
template <typename Solver, typename Call, typename Result>
bool call_apart(Solver* solver, int n, const Call& call, Result* result) {
  const std::shared_ptr<Solver> self = solver->weak_from_this().lock();
  if (self == nullptr || n < kSmallestApart) {
    *result = call(solver);
    return true;
  }
  const auto found = std::make_shared<Result>();
  if (!do_apart([self, call, found] { *found = call(self.get()); })) return false;
  *result = *found;
  return true;
}

}  // namespace tfqz

#endif  // TFQZ_ALGORITHMS_APART_H_
