// How work that takes long ends early. Python raises KeyboardInterrupt once what it has called returns, so that this has to notice the
// signal by itself. No TensorFlow header.
#ifndef TFQZ_INTERRUPTION_H_
#define TFQZ_INTERRUPTION_H_

#include <atomic>
#include <functional>

namespace tfqz {

// While there is one SIGINT is noticed, where the program has a handler for it, which is called all the same.
class Interruption {
 public:
  // `cancelled`: whether nobody wants the work any more; any thread may ask. It may be empty.
  explicit Interruption(std::function<bool()> cancelled);
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  // Once true it stays so.
  bool happened() const;

 private:
  const std::function<bool()> cancelled_;
  const int signals_before_;
  mutable std::atomic<bool> happened_{false};
};

// While there is one, what this thread does is work that may be interrupted; by nothing if null.
class Interruptible {
 public:
  explicit Interruptible(const Interruption* interruption);
  ~Interruptible();

 private:
  const Interruption* const outer_;
};

// What may interrupt this thread's work, or null.
const Interruption* interruption();

// Whether this thread's work should end. From then on nobody uses what it computes.
bool interrupted();

}  // namespace tfqz

#endif  // TFQZ_INTERRUPTION_H_
