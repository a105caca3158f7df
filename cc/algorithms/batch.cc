#include "algorithms/batch.h"

#include <algorithm>
#include <functional>
#include <new>
#include <numeric>
#include <utility>

#include "pencil/blas_room.h"
#include "pencil/interruption.h"
#include "pencil/underflow.h"

namespace tfqz {
namespace {

// In nanoseconds of `cost_per_element`: less is over before anybody could wish it were. The estimates are high for large matrices.
constexpr double kLong = 1e8;

// " in batch element [2, 0]", and nothing for a single pencil.
std::string batch_element(const std::vector<int64_t>& shape, int64_t index) {
  if (shape.empty()) return "";
  std::string text = "]";
  for (std::size_t dim = shape.size(); dim-- > 0;) {
    text = (dim > 0 ? ", " : "") + std::to_string(index % shape[dim]) + text;
    index /= shape[dim];
  }
  return " in batch element [" + text;
}

}  // namespace

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "(";
  for (std::size_t dim = 0; dim < shape.size(); ++dim) text += (dim > 0 ? ", " : "") + std::to_string(shape[dim]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

std::string complaint(const std::string& text, const std::vector<int64_t>& batch_shape, const bool* failing, const int32_t* got) {
  const int64_t count = std::accumulate(batch_shape.begin(), batch_shape.end(), int64_t{1}, std::multiplies<int64_t>());
  const int64_t index = std::find(failing, failing + count, true) - failing;
  if (index == count) return "";
  std::string result = text;
  const auto replace = [&result](const std::string& name, const std::string& value) {
    const std::size_t place = result.find(name);
    if (place != std::string::npos) result.replace(place, name.size(), value);
  };
  replace("{got}", std::to_string(got[index]));
  replace("{where}", batch_element(batch_shape, index));
  return result;
}

std::string not_finite(const char* name) { return std::string("`") + name + "` must be finite; got NaN or Inf"; }

std::string said(const Outcome& outcome) {
  const std::string routine = std::string("LAPACK's ") + outcome.routine;
  if (outcome.info == Outcome::kNotFinite) return routine + " returned NaN or Inf";
  if (outcome.info == Outcome::kNotUnitary) return routine + " returned a matrix that is not unitary";
  return routine + " returned info = " + std::to_string(outcome.info);
}

void Batch::watch(int64_t elements, std::function<bool()> cancelled) {
  if (static_cast<double>(elements) * static_cast<double>(cost_per_element()) < kLong) return;
  interruption_ = std::make_shared<const Interruption>(std::move(cancelled));
}

bool Batch::interrupted() const { return interruption_ != nullptr && interruption_->happened(); }

void Batch::run(int64_t begin, int64_t end) {
  // Who calls it, in whatever thread, can't do anything about it.
  try {
    run_elements(begin, end);
  } catch (const std::bad_alloc&) {
    out_of_memory_ = true;
  }
}

void Batch::run_elements(int64_t begin, int64_t end) {
  if (!refusal_.empty()) return;
  const Interruptible interruptible(interruption_.get());
  const GradualUnderflow gradual_underflow;
  const GroupWorker worker = make_group_worker();
  std::vector<std::string> problems(group_size());
  for (int64_t first = begin; first < end; first += group_size()) {
    const int64_t count = std::min(group_size(), end - first);
    worker(first, count, problems.data());
    if (interrupted() || out_of_memory_) return;
    for (int64_t i = 0; i < count; ++i) {
      if (problems[i].empty()) continue;
      if (fill_failures_) {
        fill_with_nan(first + i);
        continue;
      }
      const std::lock_guard<std::mutex> lock(mutex_);
      if (first + i < failing_index_) {
        failing_index_ = first + i;
        problem_ = problems[i];
      }
      return;
    }
  }
}

Batch::Worker Batch::make_worker_in_room() const {
  return [room = std::make_shared<BlasRoom>(), worker = make_worker()](int64_t index) { return worker(index); };
}

Batch::GroupWorker Batch::make_group_worker() const {
  return [worker = make_worker_in_room()](int64_t first, int64_t count, std::string* problems) {
    for (int64_t i = 0; i < count; ++i) problems[i] = worker(first + i);
  };
}

Batch::GroupWorker Batch::together_and_the_rest(Together together) const {
  return [this, together = std::move(together), alone = Worker()](int64_t first, int64_t count, std::string* problems) mutable {
    const std::uint64_t left = together(first, count, problems);
    for (int64_t i = 0; i < count; ++i) {
      if ((left >> i & 1) == 0) continue;
      if (!alone) alone = make_worker_in_room();
      problems[i] = alone(first + i);
    }
  };
}

std::string Batch::failure(const std::vector<int64_t>& batch_shape) const {
  if (!refusal_.empty()) return refusal_;
  return problem_.empty() ? "" : problem_ + batch_element(batch_shape, failing_index_);
}

}  // namespace tfqz
