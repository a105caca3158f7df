// How work is shared out over threads: TensorFlow's, or those of a program that XLA compiled.
#ifndef TFQZ_OPS_THREADS_H_
#define TFQZ_OPS_THREADS_H_

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

#include "algorithms/batch.h"
#include "pencil/fork.h"

namespace tfqz {

// How many there are, and how one of them is given something to do.
struct Threads {
  int64_t count;
  std::function<void(std::function<void()>)> schedule;
};

// In nanoseconds: less is not worth waking a thread.
inline constexpr int64_t kWorthwhile = 20000;

// Runs work(begin, end) over [0, total) on the threads and on the calling one, which waits only for ranges that have begun: threads that
// are busy, or that a child process doesn't have, delay nothing. `work` must not throw.
inline void ParallelFor(const Threads& threads, int64_t total, int64_t cost, int64_t group,
                        const std::function<void(int64_t begin, int64_t end)>& work) {
  struct State {
    std::mutex mutex;
    std::condition_variable idle;
    int64_t next = 0, active = 0;
  };
  const int64_t count = std::min(threads.count, total * cost / kWorthwhile);
  const int64_t chunk = range_size(total, count, group);
  if (count <= 1 || chunk >= total) return work(0, total);
  const auto state = std::make_shared<State>();
  // Who comes late finds nothing left, and doesn't touch what is the caller's.
  const auto drain = [state, total, chunk, &work] {
    std::unique_lock<std::mutex> lock(state->mutex);
    while (state->next < total) {
      const int64_t begin = state->next;
      state->next += chunk;
      ++state->active;
      lock.unlock();
      work(begin, std::min(total, begin + chunk));
      lock.lock();
      if (--state->active == 0) state->idle.notify_all();
    }
  };
  try {
    // All of them, though the calling one works too: one may take long to wake.
    for (int64_t i = 0; i < std::min(count, (total - 1) / chunk); ++i) threads.schedule(drain);
  } catch (const std::bad_alloc&) {  // with those that there are
  }
  drain();
  std::unique_lock<std::mutex> lock(state->mutex);
  state->idle.wait(lock, [&] { return state->active == 0; });
}

inline Fork ForkOf(Threads threads) {
  return [threads = std::move(threads)](const std::function<void()>& one, const std::function<void()>& other) {
    ParallelFor(threads, 2, kWorthwhile, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) (i == 0 ? other : one)();
    });
  };
}

}  // namespace tfqz

#endif  // TFQZ_OPS_THREADS_H_
