// `Tfqz>Qz` in programs that XLA compiles: on the CPU a call of the handlers in qz_ffi.cc, elsewhere the function of TensorFlow
// ops that the op carries.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "registration.h"
#include "shapes.h"
#include "tensorflow/compiler/tf2xla/lib/broadcast.h"
#include "tensorflow/compiler/tf2xla/shape_util.h"
#include "tensorflow/compiler/tf2xla/type_util.h"
#include "tensorflow/compiler/tf2xla/xla_compiler.h"
#include "tensorflow/compiler/tf2xla/xla_op_kernel.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/util/matmul_bcast.h"
#include "xla/hlo/builder/lib/constants.h"
#include "xla/hlo/builder/xla_builder.h"

namespace tfqz {
namespace {

using tensorflow::NameAttrList;
using tensorflow::TensorShape;
using tensorflow::XlaCompiler;
using tensorflow::XlaOpKernelContext;

constexpr int kOutputs = 6;  // s, t, q, z; alpha and beta

absl::Status StaticShape(XlaOpKernelContext* context, int input, TensorShape* shape) {
  const absl::StatusOr<xla::Shape> xla_shape = context->InputXlaShape(input);
  return xla_shape.ok() ? tensorflow::XLAShapeToTensorShape(*xla_shape, shape) : xla_shape.status();
}

// Checks and broadcasts the pencil, and leaves the decomposition to the two classes below.
class QzXlaKernel : public tensorflow::XlaOpKernel {
 public:
  using XlaOpKernel::XlaOpKernel;

  void Compile(XlaOpKernelContext* context) override {
    TensorShape a_shape, b_shape;
    OP_REQUIRES_OK(context, StaticShape(context, 0, &a_shape));
    OP_REQUIRES_OK(context, StaticShape(context, 1, &b_shape));
    OP_REQUIRES_OK(context, CheckShapes(a_shape, b_shape));
    const tensorflow::MatMulBCast broadcast(a_shape.dim_sizes(), b_shape.dim_sizes());
    const TensorShape batch = broadcast.output_batch_shape();
    TensorShape vector = batch;
    vector.AddDim(a_shape.dim_size(a_shape.dims() - 1));
    TensorShape matrix = vector;
    matrix.AddDim(a_shape.dim_size(a_shape.dims() - 1));

    const xla::PrimitiveType type = context->input_xla_type(0);
    const bool single = type == xla::F32 || type == xla::C64;
    const auto row_major = [](xla::PrimitiveType type, const TensorShape& shape) {
      return xla::ShapeUtil::MakeShapeWithDescendingLayout(type, Sizes(shape));
    };
    const xla::Shape factor = row_major(type, matrix);
    const std::vector<xla::Shape> shapes = {
        factor, factor, factor, factor, row_major(single ? xla::C64 : xla::C128, vector), row_major(type, vector)};
    std::vector<xla::XlaOp> results(kOutputs);
    if (xla::ShapeUtil::IsZeroElementArray(factor)) {
      for (int i = 0; i < kOutputs; ++i) results[i] = xla::Zeros(context->builder(), shapes[i]);
    } else {
      const auto a = tensorflow::BroadcastTo(context->Input(0), Sizes(matrix));
      const auto b = tensorflow::BroadcastTo(context->Input(1), Sizes(matrix));
      OP_REQUIRES_OK(context, a.status());
      OP_REQUIRES_OK(context, b.status());
      OP_REQUIRES_OK(context, Decompose(context, *a, *b, shapes, &results));
    }
    for (int i = 0; i < kOutputs; ++i) context->SetOutput(i, results[i]);
  }

 protected:
  virtual absl::Status Decompose(XlaOpKernelContext* context, xla::XlaOp a, xla::XlaOp b,
                                 const std::vector<xla::Shape>& shapes, std::vector<xla::XlaOp>* results) = 0;
};

// Any device: the op's attribute `body`, a function of a and b, [batch, n, n]. What fails is NaN there: programs can't raise.
class QzBodyKernel : public QzXlaKernel {
 public:
  explicit QzBodyKernel(tensorflow::OpKernelConstruction* context) : QzXlaKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("body", &body_));
  }

 protected:
  absl::Status Decompose(XlaOpKernelContext* context, xla::XlaOp a, xla::XlaOp b, const std::vector<xla::Shape>& shapes,
                         std::vector<xla::XlaOp>* results) override {
    if (body_.empty()) {
      return absl::UnimplementedError(
          "`tfqz.qz` must be called inside the function that XLA compiles; got an op that carries no TensorFlow ops for it");
    }
    const xla::Shape& matrix = shapes[0];
    const int64_t n = matrix.dimensions().back();
    const int64_t batch = xla::ShapeUtil::ElementsIn(matrix) / (n * n);
    XlaCompiler::Argument argument;
    argument.kind = XlaCompiler::Argument::kParameter;
    argument.type = input_type(0);
    argument.shape = TensorShape({batch, n, n});
    XlaCompiler::CompileOptions options;
    options.is_entry_computation = false;
    XlaCompiler::CompilationResult compiled;
    TF_RETURN_IF_ERROR(context->compiler()->CompileFunction(options, body_[0], {argument, argument}, &compiled));
    const std::vector<xla::XlaOp> pencil = {xla::Reshape(a, {batch, n, n}), xla::Reshape(b, {batch, n, n})};
    const xla::XlaOp tuple = xla::Call(context->builder(), *compiled.computation, pencil);
    for (int i = 0; i < kOutputs; ++i) {
      (*results)[i] = xla::Reshape(xla::GetTupleElement(tuple, i), shapes[i].dimensions());
    }
    return absl::OkStatus();
  }

 private:
  std::vector<NameAttrList> body_;
};

// The CPU. The environment variable TFQZ_XLA=graph makes it compile the body all the same: for tests of that.
class QzCpuKernel : public QzBodyKernel {
 public:
  explicit QzCpuKernel(tensorflow::OpKernelConstruction* context) : QzBodyKernel(context) {
    std::string on_failure;
    OP_REQUIRES_OK(context, context->GetAttr("on_failure", &on_failure));
    fill_failures_ = on_failure == "nan";
  }

 protected:
  absl::Status Decompose(XlaOpKernelContext* context, xla::XlaOp a, xla::XlaOp b, const std::vector<xla::Shape>& shapes,
                         std::vector<xla::XlaOp>* results) override {
    const char* choice = std::getenv("TFQZ_XLA");
    if (choice != nullptr && std::string(choice) == "graph") return QzBodyKernel::Decompose(context, a, b, shapes, results);
    const std::string target = "tfqz_qz_" + tensorflow::DataTypeString(input_type(0));
    const xla::XlaOp tuple = xla::CustomCallWithLayout(
        context->builder(), target, {a, b}, xla::ShapeUtil::MakeTupleShape(shapes), {shapes[0], shapes[0]},
        fill_failures_ ? "{fill_failures = 1 : i64}" : "{fill_failures = 0 : i64}", /*has_side_effect=*/false,
        /*output_operand_aliasing=*/{}, /*literal=*/nullptr, xla::CustomCallSchedule::SCHEDULE_NONE,
        xla::CustomCallApiVersion::API_VERSION_TYPED_FFI);
    for (int i = 0; i < kOutputs; ++i) (*results)[i] = xla::GetTupleElement(tuple, i);
    return absl::OkStatus();
  }

 private:
  bool fill_failures_;
};

// As ordinary kernels of the compilers' devices: REGISTER_XLA_OP counts only before a process's first XLA compilation.
template <typename T>
using CpuKernel = QzCpuKernel;
template <typename T>
using BodyKernel = QzBodyKernel;
[[maybe_unused]] const bool registered[] = {RegisterKernels<CpuKernel>("Tfqz>Qz", "XLA_CPU_JIT"),
                                            RegisterKernels<BodyKernel>("Tfqz>Qz", "XLA_GPU_JIT"),
                                            RegisterKernels<BodyKernel>("Tfqz>Qz", "XLA_TPU_JIT")};

}  // namespace
}  // namespace tfqz
