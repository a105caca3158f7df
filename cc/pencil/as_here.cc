#include "pencil/as_here.h"

#include <exception>
#include <utility>

#include "pencil/blas_room.h"
#include "pencil/interruption.h"
#include "pencil/underflow.h"

namespace tfqz {

Fork as_here(Fork fork) {
  return [fork = std::move(fork)](const std::function<void()>& one, const std::function<void()>& other) {
    const BlasRoomForTwo room;
    if (!room) return one_after_the_other()(one, other);
    const Interruption* const here = interruption();
    std::exception_ptr of_one, of_other;
    const auto with = [here](const std::function<void()>& work, std::exception_ptr* thrown) {
      return [here, &work, thrown] {
        const Interruptible interruptible(here);
        const GradualUnderflow gradual_underflow;
        try {
          work();
        } catch (...) {
          *thrown = std::current_exception();
        }
      };
    };
    fork(with(one, &of_one), with(other, &of_other));
    if (of_one != nullptr) std::rethrow_exception(of_one);
    if (of_other != nullptr) std::rethrow_exception(of_other);
  };
}

}  // namespace tfqz
