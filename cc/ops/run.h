// What the CPU kernels share: how a batch runs on TensorFlow's threads, and what becomes of its failures.
#ifndef TFQZ_OPS_RUN_H_
#define TFQZ_OPS_RUN_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <new>
#include <string>
#include <utility>

#include "algorithms/batch.h"
#include "ops/shapes.h"
#include "ops/threads.h"
#include "pencil/fork.h"
#include "tensorflow/core/framework/cancellation.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/util/work_sharder.h"

namespace tfqz {

// One that may run out of memory in what it does itself: TensorFlow catches nothing.
class BatchKernel : public tensorflow::OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(tensorflow::OpKernelContext* context) final {
    try {
      Work(context);
    } catch (const std::bad_alloc&) {
      context->CtxFailure(absl::ResourceExhaustedError(kOutOfMemory));
    }
  }

 protected:
  virtual void Work(tensorflow::OpKernelContext* context) = 0;
};

inline bool FillFailures(tensorflow::OpKernelConstruction* context) {
  std::string on_failure;
  const absl::Status status = context->GetAttr("on_failure", &on_failure);
  if (!status.ok()) context->CtxFailure(status);
  return on_failure == "nan";
}

// TensorFlow's, as many as whoever runs the op allows.
inline Threads ThreadsOf(tensorflow::OpKernelContext* context) {
  const auto& workers = *context->device()->tensorflow_cpu_worker_threads();
  const auto schedule = [pool = workers.workers](std::function<void()> work) { pool->Schedule(std::move(work)); };
  return {std::min(workers.num_threads, tensorflow::GetPerThreadMaxParallelism()), schedule};
}

inline Fork ForkOf(tensorflow::OpKernelContext* context) { return ForkOf(ThreadsOf(context)); }

inline absl::Status Run(tensorflow::OpKernelContext* context, const tensorflow::TensorShape& batch_shape, Batch* batch) {
  const int64_t elements = batch_shape.num_elements();
  tensorflow::CancellationManager* const manager = context->cancellation_manager();
  batch->watch(elements, [manager] { return manager != nullptr && manager->IsCancelled(); });
  ParallelFor(ThreadsOf(context), elements, batch->cost_per_element(), batch->group_size(),
              [&](int64_t begin, int64_t end) { batch->run(begin, end); });
  if (batch->interrupted()) return absl::CancelledError(kInterrupted);
  if (batch->out_of_memory()) return absl::ResourceExhaustedError(kOutOfMemory);
  const std::string failure = batch->failure(Sizes(batch_shape));
  return failure.empty() ? absl::OkStatus() : absl::InvalidArgumentError(failure);
}

}  // namespace tfqz

#endif  // TFQZ_OPS_RUN_H_
