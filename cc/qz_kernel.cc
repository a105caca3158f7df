// CPU kernel of `Tfqz>Qz`: checks, the loop over the batch, dispatch on the dtype, registration.
#include <complex>
#include <cstdint>
#include <limits>
#include <mutex>
#include <string>

#include "qz.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/platform/denormal.h"
#include "tensorflow/core/util/matmul_bcast.h"
#include "tensorflow/core/util/work_sharder.h"

namespace tfqz {
namespace {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;

// " in batch element [2, 0]", and nothing for a single pencil.
std::string BatchElement(const TensorShape& batch, int64_t index) {
  if (batch.dims() == 0) return "";
  std::string text = "]";
  for (int dim = batch.dims() - 1; dim >= 0; --dim) {
    text = std::to_string(index % batch.dim_size(dim)) + (dim + 1 < batch.dims() ? ", " : "") + text;
    index /= batch.dim_size(dim);
  }
  return " in batch element [" + text;
}

// The failure with the lowest batch index, whichever thread meets it first.
class FirstFailure {
 public:
  void Report(int64_t index, std::string what) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (index < index_) {
      index_ = index;
      what_ = std::move(what);
    }
  }
  absl::Status ToStatus(const TensorShape& batch) const {
    if (what_.empty()) return absl::OkStatus();
    const std::size_t mark = what_.find('@');
    return absl::InvalidArgumentError(what_.substr(0, mark) + BatchElement(batch, index_) + what_.substr(mark + 1));
  }

 private:
  std::mutex mutex_;
  int64_t index_ = std::numeric_limits<int64_t>::max();
  std::string what_;
};

// (3, 4), as Python writes a shape.
std::string ShapeText(const TensorShape& shape) {
  std::string text = "(";
  for (int dim = 0; dim < shape.dims(); ++dim) text += (dim ? ", " : "") + std::to_string(shape.dim_size(dim));
  return text + (shape.dims() == 1 ? ",)" : ")");
}

absl::Status CheckShapes(const TensorShape& a, const TensorShape& b) {
  const auto square = [](const TensorShape& shape) {
    return shape.dims() >= 2 && shape.dim_size(shape.dims() - 1) == shape.dim_size(shape.dims() - 2);
  };
  const std::string got = "; got " + ShapeText(a) + " and " + ShapeText(b);
  if (!square(a)) return absl::InvalidArgumentError("`a` must be square, [..., n, n]" + got);
  if (!square(b)) return absl::InvalidArgumentError("`b` must be square, [..., n, n]" + got);
  const int64_t n = a.dim_size(a.dims() - 1);
  if (n != b.dim_size(b.dims() - 1)) {
    return absl::InvalidArgumentError("`b` must have the same inner shape as `a`" + got);
  }
  // LAPACK counts in 32 bits, its workspaces included (16 n is the largest multiple of n among them).
  if (n > std::numeric_limits<LapackInt>::max() / 64) {
    return absl::InvalidArgumentError("`a` must have n < 2^25 for LAPACK's 32-bit integers" + got);
  }
  return absl::OkStatus();
}

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
    const tensorflow::MatMulBCast broadcast(a.shape().dim_sizes(), b.shape().dim_sizes());
    OP_REQUIRES(context, broadcast.IsValid(),
                absl::InvalidArgumentError("`a` and `b` must have batch shapes that broadcast; got " +
                                           ShapeText(a.shape()) + " and " + ShapeText(b.shape())));
    const int64_t n = a.dim_size(a.dims() - 1);
    const TensorShape batch = broadcast.output_batch_shape();
    TensorShape vector = batch;
    vector.AddDim(n);
    TensorShape matrix = vector;
    matrix.AddDim(n);
    Tensor* outputs[6];
    for (int i = 0; i < 6; ++i) {
      OP_REQUIRES_OK(context, context->allocate_output(i, i < 4 ? matrix : vector, &outputs[i]));
    }
    if (matrix.num_elements() == 0) return;

    FirstFailure failure;
    const auto pencil = [](int64_t index, const std::vector<int64_t>& indices) {
      return indices.empty() ? index : indices[index];  // no indices: nothing is broadcast
    };
    const T* a_data = a.flat<T>().data();
    const T* b_data = b.flat<T>().data();
    const auto factors_of = [&](int64_t index) {
      const auto matrix_of = [&](int i) { return outputs[i]->flat<T>().data() + index * n * n; };
      return Factors<T>{matrix_of(0),
                        matrix_of(1),
                        matrix_of(2),
                        matrix_of(3),
                        outputs[4]->flat<std::complex<Real<T>>>().data() + index * n,
                        outputs[5]->flat<T>().data() + index * n};
    };
    const auto work = [&](int64_t begin, int64_t end) {
      // TensorFlow's threads flush denormals to zero, and LAPACK's rotations rely on gradual underflow: without it badly
      // scaled float32 pencils come out with Q and Z far from unitary.
      const tensorflow::port::ScopedDontFlushDenormal gradual_underflow;
      QzSolver<T> solver(static_cast<int>(n));
      for (int64_t index = begin; index < end; ++index) {
        const T* a_i = a_data + pencil(index, broadcast.x_batch_indices()) * n * n;
        const T* b_i = b_data + pencil(index, broadcast.y_batch_indices()) * n * n;
        const Factors<T> factors = factors_of(index);
        const std::string what = Decompose(solver, a_i, b_i, n, factors);
        if (what.empty()) continue;
        if (!fill_failures_) return failure.Report(index, what);
        FillWithNan(factors, n);
      }
    };
    // In nanoseconds, near enough for sharing out: QZ takes some 60 n^3 flops.
    const int64_t cost = 3000 + 20 * n * n * n;
    const auto& workers = *context->device()->tensorflow_cpu_worker_threads();
    tensorflow::Shard(workers.num_threads, workers.workers, batch.num_elements(), cost, work);
    OP_REQUIRES_OK(context, failure.ToStatus(batch));
  }

 private:
  // What went wrong, with '@' where the batch element is to be named; empty if nothing.
  static std::string Decompose(QzSolver<T>& solver, const T* a, const T* b, int64_t n, const Factors<T>& factors) {
    if (!all_finite(a, n * n)) return "`a` must be finite; got NaN or Inf@";
    if (!all_finite(b, n * n)) return "`b` must be finite; got NaN or Inf@";
    const Outcome outcome = solver(a, b, factors);
    if (outcome.info == 0) return "";
    return std::string("`a`, `b` must be a pencil on which QZ converges; LAPACK's ") + outcome.routine +
           " returned info = " + std::to_string(outcome.info) + "@";
  }

  static void FillWithNan(const Factors<T>& factors, int64_t n) {
    const Real<T> nan = std::numeric_limits<Real<T>>::quiet_NaN();
    for (T* matrix : {factors.s, factors.t, factors.q, factors.z}) std::fill_n(matrix, n * n, T(nan));
    std::fill_n(factors.alpha, n, std::complex<Real<T>>(nan, nan));
    std::fill_n(factors.beta, n, T(nan));
  }

  bool fill_failures_;
};

#define TFQZ_REGISTER(T) \
  REGISTER_KERNEL_BUILDER(Name("Tfqz>Qz").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"), QzKernel<T>)
TFQZ_REGISTER(float);
TFQZ_REGISTER(double);
TFQZ_REGISTER(std::complex<float>);
TFQZ_REGISTER(std::complex<double>);
#undef TFQZ_REGISTER

}  // namespace
}  // namespace tfqz
