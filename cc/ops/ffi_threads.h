// How handlers of XLA's programs share out work: over the program's threads.
#ifndef TFQZ_OPS_FFI_THREADS_H_
#define TFQZ_OPS_FFI_THREADS_H_

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "algorithms/batch.h"
#include "pencil/fork.h"
#include "xla/ffi/api/ffi.h"

namespace tfqz {

// In nanoseconds: less is not worth waking a thread.
inline constexpr int64_t kWorthwhile = 20000;

// Runs work(begin, end) over [0, total) on the pool and on the calling thread, which waits only for ranges that have begun:
// a pool that is busy, or has no thread to spare, delays nothing.
template <typename Work>
void ParallelFor(xla::ffi::ThreadPool& pool, int64_t total, int64_t cost, int64_t group, const Work& work) {
  struct State {
    std::atomic<int64_t> next{0};
    std::mutex mutex;
    std::condition_variable idle;
    int64_t active = 0;
  };
  const auto state = std::make_shared<State>();
  const int64_t threads = std::min(pool.num_threads(), total * cost / kWorthwhile);
  const int64_t chunk = range_size(total, threads, group);
  const auto drain = [state, total, chunk, &work] {
    for (;;) {
      {
        const std::lock_guard<std::mutex> lock(state->mutex);
        if (state->next >= total) return;
        ++state->active;
      }
      const int64_t begin = state->next.fetch_add(chunk);
      if (begin < total) work(begin, std::min(total, begin + chunk));
      const std::lock_guard<std::mutex> lock(state->mutex);
      if (--state->active == 0) state->idle.notify_all();
    }
  };
  for (int64_t i = 1; i < std::min(threads, (total + chunk - 1) / chunk); ++i) pool.Schedule([drain] { drain(); });
  drain();
  std::unique_lock<std::mutex> lock(state->mutex);
  state->idle.wait(lock, [&] { return state->active == 0; });
}

inline Fork ForkOf(xla::ffi::ThreadPool& pool) {
  return [&pool](const std::function<void()>& one, const std::function<void()>& other) {
    ParallelFor(pool, 2, kWorthwhile, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) (i == 0 ? other : one)();
    });
  };
}

}  // namespace tfqz

#endif  // TFQZ_OPS_FFI_THREADS_H_
