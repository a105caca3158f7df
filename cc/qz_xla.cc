// `Tfqz>Qz` under XLA on the CPU: the compiled program calls the same core through a typed FFI custom call.
#include <algorithm>
#include <atomic>
#include <complex>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "batch.h"
#include "shapes.h"
#include "tensorflow/compiler/tf2xla/lib/broadcast.h"
#include "tensorflow/compiler/tf2xla/shape_util.h"
#include "tensorflow/compiler/tf2xla/type_util.h"
#include "tensorflow/compiler/tf2xla/xla_op_kernel.h"
#include "tensorflow/core/framework/kernel_def_builder.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/util/matmul_bcast.h"
#include "xla/ffi/api/ffi.h"
#include "xla/hlo/builder/lib/constants.h"
#include "xla/hlo/builder/xla_builder.h"

namespace tfqz {
namespace {

namespace ffi = xla::ffi;

// Runs work(begin, end) over [0, total) on the pool and on the calling thread, which waits only for ranges that have begun:
// a pool that is busy, or has no thread to spare, delays nothing.
template <typename Work>
void ParallelFor(ffi::ThreadPool& pool, int64_t total, int64_t cost, const Work& work) {
  struct State {
    std::atomic<int64_t> next{0};
    std::mutex mutex;
    std::condition_variable idle;
    int64_t active = 0;
  };
  const auto state = std::make_shared<State>();
  constexpr int64_t kWorthwhile = 20000;  // nanoseconds: less is not worth waking a thread
  const int64_t threads = std::min(pool.num_threads(), total * cost / kWorthwhile);
  const int64_t chunk = range_size(total, threads);
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

template <ffi::DataType kType, ffi::DataType kComplexType, typename T>
ffi::Error RunQz(ffi::ThreadPool pool, ffi::Buffer<kType> a, ffi::Buffer<kType> b, ffi::ResultBuffer<kType> s,
                 ffi::ResultBuffer<kType> t, ffi::ResultBuffer<kType> q, ffi::ResultBuffer<kType> z,
                 ffi::ResultBuffer<kComplexType> alpha, ffi::ResultBuffer<kType> beta, int64_t fill_failures) {
  const auto dimensions = a.dimensions();
  const std::vector<int64_t> batch_shape(dimensions.begin(), dimensions.end() - 2);
  const int64_t n = dimensions.back();
  int64_t count = 1;
  for (int64_t size : batch_shape) count *= size;
  QzBatch<T> batch(static_cast<int>(n),
                   {a.typed_data(),
                    b.typed_data(),
                    {},
                    {},
                    {s->typed_data(), t->typed_data(), q->typed_data(), z->typed_data(), alpha->typed_data(),
                     beta->typed_data()}},
                   fill_failures != 0);
  ParallelFor(pool, count, batch.cost_per_element(), [&](int64_t begin, int64_t end) { batch.run(begin, end); });
  const std::string failure = batch.failure(batch_shape);
  return failure.empty() ? ffi::Error::Success() : ffi::Error(ffi::ErrorCode::kInvalidArgument, failure);
}

#define TFQZ_HANDLER(name, kType, kComplexType, T)                                                             \
  XLA_FFI_DEFINE_HANDLER(name, (RunQz<kType, kComplexType, T>),                                                \
                         ffi::Ffi::Bind()                                                                      \
                             .Ctx<ffi::ThreadPool>()                                                           \
                             .Arg<ffi::Buffer<kType>>()                                                        \
                             .Arg<ffi::Buffer<kType>>()                                                        \
                             .Ret<ffi::Buffer<kType>>()                                                        \
                             .Ret<ffi::Buffer<kType>>()                                                        \
                             .Ret<ffi::Buffer<kType>>()                                                        \
                             .Ret<ffi::Buffer<kType>>()                                                        \
                             .Ret<ffi::Buffer<kComplexType>>()                                                 \
                             .Ret<ffi::Buffer<kType>>()                                                        \
                             .Attr<int64_t>("fill_failures"));                                                 \
  XLA_FFI_REGISTER_HANDLER(XLA_FFI_GetApi(), #name, "Host", name)
TFQZ_HANDLER(tfqz_qz_float, ffi::DataType::F32, ffi::DataType::C64, float);
TFQZ_HANDLER(tfqz_qz_double, ffi::DataType::F64, ffi::DataType::C128, double);
TFQZ_HANDLER(tfqz_qz_complex64, ffi::DataType::C64, ffi::DataType::C64, std::complex<float>);
TFQZ_HANDLER(tfqz_qz_complex128, ffi::DataType::C128, ffi::DataType::C128, std::complex<double>);
#undef TFQZ_HANDLER

xla::Shape RowMajor(xla::PrimitiveType type, const std::vector<int64_t>& dimensions) {
  return xla::ShapeUtil::MakeShapeWithDescendingLayout(type, dimensions);
}

absl::Status StaticShape(tensorflow::XlaOpKernelContext* context, int input, tensorflow::TensorShape* shape) {
  const absl::StatusOr<xla::Shape> xla_shape = context->InputXlaShape(input);
  return xla_shape.ok() ? tensorflow::XLAShapeToTensorShape(*xla_shape, shape) : xla_shape.status();
}

class QzXlaKernel : public tensorflow::XlaOpKernel {
 public:
  explicit QzXlaKernel(tensorflow::OpKernelConstruction* context) : XlaOpKernel(context) {
    std::string on_failure;
    OP_REQUIRES_OK(context, context->GetAttr("on_failure", &on_failure));
    fill_failures_ = on_failure == "nan";
  }

  void Compile(tensorflow::XlaOpKernelContext* context) override {
    tensorflow::TensorShape a_shape, b_shape;
    OP_REQUIRES_OK(context, StaticShape(context, 0, &a_shape));
    OP_REQUIRES_OK(context, StaticShape(context, 1, &b_shape));
    OP_REQUIRES_OK(context, CheckShapes(a_shape, b_shape));
    const tensorflow::MatMulBCast broadcast(a_shape.dim_sizes(), b_shape.dim_sizes());
    const int64_t n = a_shape.dim_size(a_shape.dims() - 1);
    std::vector<int64_t> vector = Sizes(broadcast.output_batch_shape());
    vector.push_back(n);
    std::vector<int64_t> matrix = vector;
    matrix.push_back(n);

    const xla::PrimitiveType type = context->input_xla_type(0);
    const bool single = type == xla::F32 || type == xla::C64;
    const xla::Shape factor = RowMajor(type, matrix);
    const std::vector<xla::Shape> results = {
        factor, factor, factor, factor, RowMajor(single ? xla::C64 : xla::C128, vector), RowMajor(type, vector)};
    if (xla::ShapeUtil::IsZeroElementArray(factor)) {
      for (int i = 0; i < 6; ++i) context->SetOutput(i, xla::Zeros(context->builder(), results[i]));
      return;
    }
    const auto a = tensorflow::BroadcastTo(context->Input(0), matrix);
    const auto b = tensorflow::BroadcastTo(context->Input(1), matrix);
    OP_REQUIRES_OK(context, a.status());
    OP_REQUIRES_OK(context, b.status());
    const std::string target = "tfqz_qz_" + tensorflow::DataTypeString(input_type(0));
    const xla::XlaOp tuple = xla::CustomCallWithLayout(
        context->builder(), target, {*a, *b}, xla::ShapeUtil::MakeTupleShape(results), {factor, factor},
        fill_failures_ ? "{fill_failures = 1 : i64}" : "{fill_failures = 0 : i64}", /*has_side_effect=*/false,
        /*output_operand_aliasing=*/{}, /*literal=*/nullptr, xla::CustomCallSchedule::SCHEDULE_NONE,
        xla::CustomCallApiVersion::API_VERSION_TYPED_FFI);
    for (int i = 0; i < 6; ++i) context->SetOutput(i, xla::GetTupleElement(tuple, i));
  }

 private:
  bool fill_failures_;
};

// Not REGISTER_XLA_OP, which counts only before a process's first XLA compilation and aborts when the library is loaded twice.
#define TFQZ_REGISTER(T) \
  REGISTER_KERNEL_BUILDER(Name("Tfqz>Qz").Device("XLA_CPU_JIT").TypeConstraint<T>("T"), QzXlaKernel)
TFQZ_REGISTER(float);
TFQZ_REGISTER(double);
TFQZ_REGISTER(std::complex<float>);
TFQZ_REGISTER(std::complex<double>);
#undef TFQZ_REGISTER

}  // namespace
}  // namespace tfqz
