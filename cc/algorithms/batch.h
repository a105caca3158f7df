// The loop over a batch, for whoever has threads to run it, and its failures. What is done for each element: batches.h. No TensorFlow
// header.
#ifndef TFQZ_BATCH_H_
#define TFQZ_BATCH_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "pencil/lapack.h"

namespace tfqz {

class Interruption;

// What the library of the ops uses of the library that has all below it: for the linker.
#define TFQZ_INTERFACE __attribute__((visibility("default")))

// Up to this many rows what comes out for a square pencil is the same to the last bit alone and in any batch: one goes in lockstep as well,
// in the narrowest vectors. There that takes no longer than by itself, or hardly; beyond it would.
constexpr int kLargestAlike = 16;

// (3, 4), as Python writes a shape.
TFQZ_INTERFACE std::string shape_text(const std::vector<int64_t>& shape);

// A text about the first element that is `failing`, with "{got}" and "{where}" replaced; empty if none is.
TFQZ_INTERFACE std::string complaint(const std::string& text, const std::vector<int64_t>& batch_shape, const bool* failing,
                                     const int32_t* got);

// What a failing element's problem begins with: that an input isn't finite, and what LAPACK said.
std::string not_finite(const char* name);
std::string said(const Outcome& outcome);

// What an op that was interrupted says.
inline constexpr char kInterrupted[] = "interrupted, by SIGINT or whoever cancelled it";

// What an op says that had no room for what it works in.
inline constexpr char kOutOfMemory[] = "out of memory: no room for the workspace";

// How many elements a thread should take at once: few enough to balance, all that it can for one set of workspaces, and whole
// groups.
inline int64_t range_size(int64_t elements, int64_t threads, int64_t group) {
  const int64_t size = std::max<int64_t>(1, elements / (4 * std::max<int64_t>(1, threads)));
  return (size + group - 1) / group * group;
}

class TFQZ_INTERFACE Batch {
 public:
  // `fill_failures`: NaN for the elements that fail, and no failure reported.
  explicit Batch(bool fill_failures) : fill_failures_(fill_failures) {}
  virtual ~Batch() = default;

  // Where `elements` of them take long, SIGINT and `cancelled` (whether nobody wants the results any more; any thread may ask) end what
  // runs from now on.
  void watch(int64_t elements, std::function<bool()> cancelled);

  // Whether that has happened. Then the results mean nothing.
  bool interrupted() const;

  // Whether there was no room for a workspace. Then the results mean nothing either.
  bool out_of_memory() const { return out_of_memory_; }

  // Does the elements in [begin, end). Disjoint ranges may run at once. Throws nothing.
  void run(int64_t begin, int64_t end);

  // What went wrong, in the failing element of lowest index, whichever thread met it first; empty if nothing.
  std::string failure(const std::vector<int64_t>& batch_shape) const;

  // In nanoseconds, near enough for sharing out.
  virtual int64_t cost_per_element() const = 0;

  // How many elements are done together.
  virtual int64_t group_size() const { return 1; }

 protected:
  // For what is wrong with the whole of it: nothing is done, and this is the failure.
  void refuse(const std::string& problem) { refusal_ = problem; }

  // Does one element, and says what is wrong with it; empty if nothing.
  using Worker = std::function<std::string(int64_t index)>;

  // One for each thread: it holds the workspaces.
  virtual Worker make_worker() const = 0;

  // The same for `count` elements, at most group_size(), with as many problems.
  using GroupWorker = std::function<void(int64_t first, int64_t count, std::string* problems)>;
  virtual GroupWorker make_group_worker() const;

  // One that does elements together as far as that goes. The bits of the result tell those that are left for a worker by itself.
  using Together = std::function<std::uint64_t(int64_t first, int64_t count, std::string* problems)>;
  GroupWorker together_and_the_rest(Together together) const;

  virtual void fill_with_nan(int64_t index) const = 0;

 private:
  // The same worker, which may call BLAS.
  Worker make_worker_in_room() const;
  void run_elements(int64_t begin, int64_t end);

  const bool fill_failures_;
  std::mutex mutex_;
  int64_t failing_index_ = std::numeric_limits<int64_t>::max();
  std::string problem_;
  std::string refusal_;
  std::atomic<bool> out_of_memory_{false};
  std::shared_ptr<const Interruption> interruption_;
};

}  // namespace tfqz

#endif  // TFQZ_BATCH_H_
