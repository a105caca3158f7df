// CPU kernel of `Tfqz>Qz`: buffers, TensorFlow's threads, dispatch on the dtype, registration.
#include <algorithm>
#include <complex>
#include <cstdint>
#include <string>

#include "batch.h"
#include "registration.h"
#include "shapes.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/util/matmul_bcast.h"
#include "tensorflow/core/util/work_sharder.h"

namespace tfqz {
namespace {

using tensorflow::MatMulBCast;
using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;

template <typename T>
class QzKernel : public OpKernel {
 public:
  explicit QzKernel(OpKernelConstruction* context) : OpKernel(context) {
    std::string on_failure;
    OP_REQUIRES_OK(context, context->GetAttr("on_failure", &on_failure));
    fill_failures_ = on_failure == "nan";
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& a = context->input(0);
    const Tensor& b = context->input(1);
    OP_REQUIRES_OK(context, CheckShapes(a.shape(), b.shape()));
    const MatMulBCast broadcast(a.shape().dim_sizes(), b.shape().dim_sizes());
    const int64_t n = a.dim_size(a.dims() - 1);
    const TensorShape batch_shape = broadcast.output_batch_shape();
    TensorShape vector = batch_shape;
    vector.AddDim(n);
    TensorShape matrix = vector;
    matrix.AddDim(n);
    Tensor* outputs[6];
    for (int i = 0; i < 6; ++i) {
      OP_REQUIRES_OK(context, context->allocate_output(i, i < 4 ? matrix : vector, &outputs[i]));
    }
    if (matrix.num_elements() == 0) return;

    const auto data = [&](int i) { return outputs[i]->flat<T>().data(); };
    const Factors<T> factors = {data(0), data(1), data(2), data(3), outputs[4]->flat<std::complex<Real<T>>>().data(),
                                data(5)};
    QzBatch<T> batch(static_cast<int>(n),
                     {a.flat<T>().data(), b.flat<T>().data(), broadcast.x_batch_indices(), broadcast.y_batch_indices(),
                      factors},
                     fill_failures_);
    const auto& workers = *context->device()->tensorflow_cpu_worker_threads();
    // Shard makes ranges as short as pay for a thread; each would set up workspaces of its own.
    const int64_t elements = batch_shape.num_elements();
    const int64_t size = range_size(elements, workers.num_threads);
    tensorflow::Shard(workers.num_threads, workers.workers, (elements + size - 1) / size, size * batch.cost_per_element(),
                      [&](int64_t begin, int64_t end) { batch.run(begin * size, std::min(elements, end * size)); });
    const std::string failure = batch.failure(Sizes(batch_shape));
    OP_REQUIRES(context, failure.empty(), absl::InvalidArgumentError(failure));
  }

 private:
  bool fill_failures_;
};

[[maybe_unused]] const bool registered = RegisterKernels<QzKernel>("Tfqz>Qz", tensorflow::DEVICE_CPU);

}  // namespace
}  // namespace tfqz
