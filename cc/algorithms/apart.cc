#include "algorithms/apart.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "pencil/interruption.h"

namespace tfqz {
namespace {

constexpr std::chrono::milliseconds kPatience(20);

// The threads that were left to themselves; 0: free. Where there are as many already the next one is waited for.
using ThreadId = std::atomic<int>;
std::array<ThreadId, 16> left_alone{};

int this_thread() { return static_cast<int>(syscall(SYS_gettid)); }

// At the end of the program OpenBLAS gives back the memory that its routines work in, also where one is running. A thread that was left
// alone then stops where it is, so that the program ends as it would have without it.
using Action = struct sigaction;
Action before_of_segv, before_of_bus;

void stop_if_left_alone(int number) {
  const int id = this_thread();
  for (const ThreadId& left : left_alone) {
    if (left != id) continue;
    for (;;) pause();
  }
  // Another's: it happens once more, to the handler that there was.
  sigaction(number, number == SIGBUS ? &before_of_bus : &before_of_segv, nullptr);
}

void prepare_for_the_end() {
  Action action = {};
  action.sa_handler = stop_if_left_alone;
  sigaction(SIGSEGV, &action, &before_of_segv);
  sigaction(SIGBUS, &action, &before_of_bus);
}

// They are not in a child process.
void forget_left_alone() {
  for (ThreadId& left : left_alone) left = 0;
}

int prepare() {
  const int forked = pthread_atfork(nullptr, nullptr, forget_left_alone);
  return forked != 0 ? forked : std::atexit(prepare_for_the_end);
}

struct Running {
  std::function<void()> work;
  std::exception_ptr thrown;
  std::mutex mutex;
  std::condition_variable ended;
  bool done = false;
  int id = 0;
  ThreadId* left = nullptr;

  void run() {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      id = this_thread();
    }
    try {
      work();
    } catch (...) {
      thrown = std::current_exception();
    }
    work = nullptr;  // and what it owns, before anybody takes it for done
    const std::lock_guard<std::mutex> lock(mutex);
    done = true;
    if (left != nullptr) *left = 0;
    ended.notify_all();
  }

  // With the mutex locked. False if too many are.
  bool leave_alone() {
    static const int prepared = prepare();
    if (prepared != 0 || id == 0) return false;
    for (ThreadId& place : left_alone) {
      int nobody = 0;
      if (!place.compare_exchange_strong(nobody, id)) continue;
      left = &place;
      return true;
    }
    return false;
  }
};

}  // namespace

bool do_apart(std::function<void()> work) {
  if (interruption() == nullptr) {
    work();
    return true;
  }
  const auto running = std::make_shared<Running>();
  running->work = std::move(work);
  try {
    std::thread([running] { running->run(); }).detach();
  } catch (const std::system_error&) {  // no thread to be had
    running->run();
  }
  std::unique_lock<std::mutex> lock(running->mutex);
  while (!running->done) {
    // Not wait_for: what it is made of came with a late version of glibc.
    running->ended.wait_until(lock, std::chrono::system_clock::now() + kPatience);
    if (!running->done && interrupted() && running->leave_alone()) return false;
  }
  if (running->thrown != nullptr) std::rethrow_exception(running->thrown);
  return true;
}

}  // namespace tfqz
