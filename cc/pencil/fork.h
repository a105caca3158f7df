// How work on one pencil is shared out. No TensorFlow header.
#ifndef TFQZ_FORK_H_
#define TFQZ_FORK_H_

#include <functional>

namespace tfqz {

// Does two things, at once or one after the other.
using Fork = std::function<void(const std::function<void()>&, const std::function<void()>&)>;

inline Fork one_after_the_other() {
  return [](const std::function<void()>& one, const std::function<void()>& other) {
    one();
    other();
  };
}

}  // namespace tfqz

#endif  // TFQZ_FORK_H_
