// What the CPU kernels share: how a batch runs on TensorFlow's threads.
#ifndef TFQZ_OPS_RUN_H_
#define TFQZ_OPS_RUN_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/synchronization/notification.h"
#include "algorithms/batch.h"
#include "ops/shapes.h"
#include "pencil/fork.h"
#include "tensorflow/core/framework/cancellation.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/util/work_sharder.h"

namespace tfqz {

inline bool FillFailures(tensorflow::OpKernelConstruction* context) {
  std::string on_failure;
  const absl::Status status = context->GetAttr("on_failure", &on_failure);
  if (!status.ok()) context->CtxFailure(status);
  return on_failure == "nan";
}

// How to do two things at once, on TensorFlow's threads.
inline Fork ForkOf(tensorflow::OpKernelContext* context) {
  auto* const workers = context->device()->tensorflow_cpu_worker_threads()->workers;
  return [workers](const std::function<void()>& one, const std::function<void()>& other) {
    absl::Notification done;
    workers->Schedule([&] {
      one();
      done.Notify();
    });
    other();
    done.WaitForNotification();
  };
}

inline absl::Status Run(tensorflow::OpKernelContext* context, const tensorflow::TensorShape& batch_shape, Batch* batch) {
  const auto& workers = *context->device()->tensorflow_cpu_worker_threads();
  // Shard makes ranges as short as pay for a thread; each would set up workspaces of its own.
  const int64_t elements = batch_shape.num_elements();
  const int64_t size = range_size(elements, workers.num_threads, batch->group_size());
  tensorflow::CancellationManager* const manager = context->cancellation_manager();
  batch->watch(elements, [manager] { return manager != nullptr && manager->IsCancelled(); });
  tensorflow::Shard(workers.num_threads, workers.workers, (elements + size - 1) / size, size * batch->cost_per_element(),
                    [&](int64_t begin, int64_t end) { batch->run(begin * size, std::min(elements, end * size)); });
  if (batch->interrupted()) return absl::CancelledError(kInterrupted);
  const std::string failure = batch->failure(Sizes(batch_shape));
  return failure.empty() ? absl::OkStatus() : absl::InvalidArgumentError(failure);
}

}  // namespace tfqz

#endif  // TFQZ_OPS_RUN_H_
