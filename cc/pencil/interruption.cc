#include "pencil/interruption.h"

#include <pthread.h>

#include <csignal>
#include <mutex>
#include <utility>

namespace tfqz {
namespace {

// The handler stands in front of the program's own while anybody watches. What it reads is atomic.
std::atomic<int> signals{0};
using Handler = void (*)(int);
using HandlerWithInfo = void (*)(int, siginfo_t*, void*);
std::atomic<Handler> program_handler{nullptr};
std::atomic<HandlerWithInfo> program_handler_with_info{nullptr};  // one of the two

void notice(int number, siginfo_t* info, void* context) {
  signals.fetch_add(1);
  if (const HandlerWithInfo handler = program_handler_with_info) {
    handler(number, info, context);
  } else if (const Handler handler = program_handler) {
    handler(number);
  }
}

bool takes_info(const struct sigaction& action) { return (action.sa_flags & SA_SIGINFO) != 0; }

bool same(const struct sigaction& one, const struct sigaction& other) {
  if (takes_info(one) != takes_info(other)) return false;
  return takes_info(one) ? one.sa_sigaction == other.sa_sigaction : one.sa_handler == other.sa_handler;
}

bool is_ours(const struct sigaction& action) { return takes_info(action) && action.sa_sigaction == notice; }

class Watchers {
 public:
  void add() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (count_++ > 0) return;
    struct sigaction now;
    if (sigaction(SIGINT, nullptr, &now) != 0 || is_ours(now)) return;
    // Without a handler of its own the program ends, or wants no interruption; and what has come in front of ours may well call ours.
    if (!takes_info(now) && (now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN)) return;
    if ((now.sa_flags & SA_RESETHAND) != 0 || (in_front_ && same(now, front_))) return;
    in_front_ = false;
    program_ = now;
    program_handler_with_info = takes_info(now) ? now.sa_sigaction : nullptr;
    program_handler = takes_info(now) ? nullptr : now.sa_handler;
    struct sigaction ours = now;
    ours.sa_sigaction = notice;
    ours.sa_flags |= SA_SIGINFO;
    installed_ = sigaction(SIGINT, &ours, nullptr) == 0;
  }

  void remove() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (--count_ == 0) put_back();
  }

  // A child process has this thread alone, and nobody watches there.
  void before_fork() { mutex_.lock(); }
  void after_fork() { mutex_.unlock(); }
  void in_child() {
    if (count_ > 0) put_back();
    count_ = 0;
    mutex_.unlock();
  }

 private:
  // The handler that the program had, unless it has another by now.
  void put_back() {
    if (!installed_) return;
    struct sigaction now;
    if (sigaction(SIGINT, nullptr, &now) != 0) return;
    installed_ = false;
    if (is_ours(now)) {
      sigaction(SIGINT, &program_, nullptr);
    } else if (!same(now, program_)) {
      in_front_ = true;
      front_ = now;
    }
  }

  std::mutex mutex_;
  int count_ = 0;
  bool installed_ = false, in_front_ = false;
  struct sigaction program_, front_;  // the program's handler, and one that has come in front of ours
};

Watchers& watchers() {
  static Watchers* const watchers = new Watchers;  // for threads that outlive main
  // Another thread may fork in the middle of add(): nobody in the child would unlock it.
  [[maybe_unused]] static const int prepared =
      pthread_atfork([] { watchers->before_fork(); }, [] { watchers->after_fork(); }, [] { watchers->in_child(); });
  return *watchers;
}

thread_local const Interruption* of_this_thread = nullptr;

}  // namespace

Interruption::Interruption(std::function<bool()> cancelled) : cancelled_(std::move(cancelled)), signals_before_(signals) {
  watchers().add();
}

Interruption::~Interruption() { watchers().remove(); }

bool Interruption::happened() const {
  if (happened_) return true;
  if (signals == signals_before_ && !(cancelled_ && cancelled_())) return false;
  happened_ = true;
  return true;
}

Interruptible::Interruptible(const Interruption* interruption) : outer_(of_this_thread) { of_this_thread = interruption; }

Interruptible::~Interruptible() { of_this_thread = outer_; }

const Interruption* interruption() { return of_this_thread; }

bool interrupted() { return of_this_thread != nullptr && of_this_thread->happened(); }

}  // namespace tfqz
