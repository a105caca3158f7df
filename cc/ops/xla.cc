// The ops in programs that XLA compiles: on the CPU calls of the handlers in ffi.cc, elsewhere the TensorFlow ops that they
// carry.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "ops/body.h"
#include "ops/registration.h"
#include "ops/shapes.h"
#include "tensorflow/compiler/tf2xla/lib/broadcast.h"
#include "tensorflow/compiler/tf2xla/shape_util.h"
#include "tensorflow/compiler/tf2xla/type_util.h"
#include "tensorflow/compiler/tf2xla/xla_compiler.h"
#include "tensorflow/compiler/tf2xla/xla_op_kernel.h"
#include "tensorflow/core/framework/function.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/util/matmul_bcast.h"
#include "xla/hlo/builder/lib/constants.h"
#include "xla/hlo/builder/xla_builder.h"

namespace tfqz {
namespace {

using tensorflow::TensorShape;
using tensorflow::XlaCompiler;
using tensorflow::XlaOpKernelContext;

absl::Status StaticShape(XlaOpKernelContext* context, int input, TensorShape* shape) {
  const absl::StatusOr<xla::Shape> xla_shape = context->InputXlaShape(input);
  return xla_shape.ok() ? tensorflow::XLAShapeToTensorShape(*xla_shape, shape) : xla_shape.status();
}

// What an op makes of its inputs before the work: operands of one batch shape, whose first is [..., n, n]. Its outputs are `kFactors`
// matrices of that shape and dtype, then vectors, of the dtypes that it gives for that one.
struct Operands {
  std::vector<xla::XlaOp> values;
  std::vector<TensorShape> shapes;
};
using Types = std::vector<xla::PrimitiveType>;

struct NoVectors {
  static Types Vectors(xla::PrimitiveType) { return {}; }
};
struct AlphaAndBeta {
  static Types Vectors(xla::PrimitiveType type) {
    const bool single = type == xla::F32 || type == xla::C64;
    return {single ? xla::C64 : xla::C128, type};
  }
};

// A pencil, checked and broadcast.
struct Qz : AlphaAndBeta {
  static constexpr int kFactors = 4;
  static constexpr const char* kOp = "Tfqz>Qz";
  static constexpr const char* kTarget = "tfqz_qz_";
  static constexpr const char* kCall = "tfqz.qz";

  static absl::Status Prepare(XlaOpKernelContext* context, Operands* operands) {
    TensorShape a_shape, b_shape;
    TF_RETURN_IF_ERROR(StaticShape(context, 0, &a_shape));
    TF_RETURN_IF_ERROR(StaticShape(context, 1, &b_shape));
    TF_RETURN_IF_ERROR(CheckShapes(a_shape, b_shape));
    const tensorflow::MatMulBCast broadcast(a_shape.dim_sizes(), b_shape.dim_sizes());
    const int64_t n = a_shape.dim_size(a_shape.dims() - 1);
    TensorShape matrix = broadcast.output_batch_shape();
    matrix.AddDim(n);
    matrix.AddDim(n);
    for (int i = 0; i < 2; ++i) {
      const auto value = tensorflow::BroadcastTo(context->Input(i), Sizes(matrix));
      TF_RETURN_IF_ERROR(value.status());
      operands->values.push_back(*value);
      operands->shapes.push_back(matrix);
    }
    return absl::OkStatus();
  }
};

absl::Status AllInputs(XlaOpKernelContext* context, Operands* operands) {
  for (int i = 0; i < context->num_inputs(); ++i) {
    TensorShape shape;
    TF_RETURN_IF_ERROR(StaticShape(context, i, &shape));
    operands->values.push_back(context->Input(i));
    operands->shapes.push_back(shape);
  }
  return absl::OkStatus();
}

// Factors and labels.
struct Reorder : AlphaAndBeta {
  static constexpr int kFactors = 4;
  static constexpr const char* kOp = "Tfqz>Reorder";
  static constexpr const char* kTarget = "tfqz_reorder_";
  static constexpr const char* kCall = "tfqz.ordqz";

  static absl::Status Prepare(XlaOpKernelContext* context, Operands* operands) {
    TF_RETURN_IF_ERROR(AllInputs(context, operands));
    return CheckFactorShapes({operands->shapes.begin(), operands->shapes.end() - 1}, operands->shapes.back());
  }
};

// A matrix, checked.
struct Schur : NoVectors {
  static constexpr int kFactors = 2;
  static constexpr const char* kOp = "Tfqz>Schur";
  static constexpr const char* kTarget = "tfqz_schur_";
  static constexpr const char* kCall = "tfqz.schur";

  static absl::Status Prepare(XlaOpKernelContext* context, Operands* operands) {
    TensorShape shape;
    TF_RETURN_IF_ERROR(StaticShape(context, 0, &shape));
    operands->values.push_back(context->Input(0));
    operands->shapes.push_back(shape);
    return CheckShape(shape);
  }
};

// Orthonormal columns and how many. TensorFlow ops on every device.
struct Basis {
  static constexpr int kFactors = 1;
  static constexpr const char* kOp = "Tfqz>Basis";
  static constexpr const char* kCall = "tfqz.deflating_subspace";

  static Types Vectors(xla::PrimitiveType) { return {xla::S32}; }

  static absl::Status Prepare(XlaOpKernelContext* context, Operands* operands) {
    TF_RETURN_IF_ERROR(AllInputs(context, operands));
    return CheckBasisShapes(operands->shapes[0], operands->shapes[1]);
  }
};

// Coefficients and right-hand sides. TensorFlow ops on every device: a program of XLA fuses them with what is around.
struct SolveTriangular : NoVectors {
  static constexpr int kFactors = 2;
  static constexpr const char* kOp = "Tfqz>SolveTriangular";
  static constexpr const char* kCall = "tfqz";

  static absl::Status Prepare(XlaOpKernelContext* context, Operands* operands) {
    TF_RETURN_IF_ERROR(AllInputs(context, operands));
    return CheckEqualShapes({"s", "t", "first", "second"}, operands->shapes);
  }
};

// Factors and cotangents. TensorFlow ops on every device, too.
struct QzGradient : NoVectors {
  static constexpr int kFactors = 2;
  static constexpr const char* kOp = "Tfqz>QzGradient";
  static constexpr const char* kCall = "tfqz";

  static absl::Status Prepare(XlaOpKernelContext* context, Operands* operands) {
    TF_RETURN_IF_ERROR(AllInputs(context, operands));
    return CheckGradientShapes(operands->shapes);
  }
};

// Leaves the work to the two classes below.
template <typename Op>
class OpXlaKernel : public tensorflow::XlaOpKernel {
 public:
  using XlaOpKernel::XlaOpKernel;

  void Compile(XlaOpKernelContext* context) override {
    Operands operands;
    OP_REQUIRES_OK(context, Op::Prepare(context, &operands));
    const TensorShape& matrix = operands.shapes[0];
    TensorShape vector = matrix;
    vector.RemoveLastDims(1);
    const xla::PrimitiveType type = context->input_xla_type(0);
    const xla::Shape factor = RowMajor(type, matrix);
    std::vector<xla::Shape> shapes(Op::kFactors, factor);
    for (const xla::PrimitiveType of_vector : Op::Vectors(type)) shapes.push_back(RowMajor(of_vector, vector));
    std::vector<xla::XlaOp> results;
    if (xla::ShapeUtil::IsZeroElementArray(factor)) {
      for (const xla::Shape& shape : shapes) results.push_back(xla::Zeros(context->builder(), shape));
    } else {
      OP_REQUIRES_OK(context, Work(context, operands, shapes, &results));
    }
    for (std::size_t i = 0; i < results.size(); ++i) context->SetOutput(i, results[i]);
  }

 protected:
  static xla::Shape RowMajor(xla::PrimitiveType type, const TensorShape& shape) {
    return xla::ShapeUtil::MakeShapeWithDescendingLayout(type, Sizes(shape));
  }

  virtual absl::Status Work(XlaOpKernelContext* context, const Operands& operands, const std::vector<xla::Shape>& shapes,
                            std::vector<xla::XlaOp>* results) = 0;
};

// Any device: the op's attribute `body`, a function of operands with one batch dimension. What fails is NaN there: programs can't
// raise.
template <typename Op>
class BodyKernel : public OpXlaKernel<Op> {
 public:
  explicit BodyKernel(tensorflow::OpKernelConstruction* context) : OpXlaKernel<Op>(context) {
    OP_REQUIRES_OK(context, context->GetAttr("body", &body_));
  }

 protected:
  absl::Status Work(XlaOpKernelContext* context, const Operands& operands, const std::vector<xla::Shape>& shapes,
                    std::vector<xla::XlaOp>* results) override {
    if (body_.empty()) {
      return absl::UnimplementedError(std::string("`") + Op::kCall + "` must be called inside the function that XLA compiles; "
                                      "got an op that carries no TensorFlow ops for it");
    }
    const int64_t n = shapes[0].dimensions().back();
    const int64_t batch = xla::ShapeUtil::ElementsIn(shapes[0]) / (n * n);
    const int batch_dimensions = static_cast<int>(shapes[0].dimensions().size()) - 2;
    std::vector<XlaCompiler::Argument> arguments;
    std::vector<xla::XlaOp> values;
    for (std::size_t i = 0; i < operands.values.size(); ++i) {
      TensorShape flat({batch});
      for (int d = batch_dimensions; d < operands.shapes[i].dims(); ++d) flat.AddDim(operands.shapes[i].dim_size(d));
      XlaCompiler::Argument argument;
      argument.kind = XlaCompiler::Argument::kParameter;
      argument.type = this->input_type(i);
      argument.shape = flat;
      arguments.push_back(argument);
      values.push_back(xla::Reshape(operands.values[i], Sizes(flat)));
    }
    tensorflow::FunctionDefLibrary functions;
    TF_RETURN_IF_ERROR(ReadBody(body_, &functions));
    const tensorflow::FunctionLibraryDefinition library(tensorflow::OpRegistry::Global(), functions);
    XlaCompiler::Options options = context->compiler()->options();
    options.flib_def = &library;
    XlaCompiler::CompileOptions inside;
    inside.is_entry_computation = false;
    tensorflow::NameAttrList function;
    function.set_name(functions.function().rbegin()->signature().name());
    XlaCompiler::CompilationResult compiled;
    TF_RETURN_IF_ERROR(XlaCompiler(options).CompileFunction(inside, function, arguments, &compiled));
    const xla::XlaOp tuple = xla::Call(context->builder(), *compiled.computation, values);
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      results->push_back(xla::Reshape(xla::GetTupleElement(tuple, i), shapes[i].dimensions()));
    }
    return absl::OkStatus();
  }

 private:
  std::string body_;
};

// The CPU. The environment variable TFQZ_XLA=graph makes it compile the body all the same: for tests of that.
template <typename Op>
class CpuKernel : public BodyKernel<Op> {
 public:
  explicit CpuKernel(tensorflow::OpKernelConstruction* context) : BodyKernel<Op>(context) {
    std::string on_failure;
    OP_REQUIRES_OK(context, context->GetAttr("on_failure", &on_failure));
    fill_failures_ = on_failure == "nan";
  }

 protected:
  absl::Status Work(XlaOpKernelContext* context, const Operands& operands, const std::vector<xla::Shape>& shapes,
                    std::vector<xla::XlaOp>* results) override {
    const char* choice = std::getenv("TFQZ_XLA");
    if (choice != nullptr && std::string(choice) == "graph") {
      return BodyKernel<Op>::Work(context, operands, shapes, results);
    }
    const std::string target = Op::kTarget + tensorflow::DataTypeString(this->input_type(0));
    std::vector<xla::Shape> layouts;
    for (std::size_t i = 0; i < operands.values.size(); ++i) {
      layouts.push_back(this->RowMajor(context->input_xla_type(i), operands.shapes[i]));
    }
    const xla::XlaOp tuple = xla::CustomCallWithLayout(
        context->builder(), target, operands.values, xla::ShapeUtil::MakeTupleShape(shapes), layouts,
        fill_failures_ ? "{fill_failures = 1 : i64}" : "{fill_failures = 0 : i64}", /*has_side_effect=*/false,
        /*output_operand_aliasing=*/{}, /*literal=*/nullptr, xla::CustomCallSchedule::SCHEDULE_NONE,
        xla::CustomCallApiVersion::API_VERSION_TYPED_FFI);
    for (std::size_t i = 0; i < shapes.size(); ++i) results->push_back(xla::GetTupleElement(tuple, i));
    return absl::OkStatus();
  }

 private:
  bool fill_failures_;
};

// The text of an attribute in MLIR's notation.
std::string Quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

// On the CPU a call of the handler in ffi.cc.
class CheckXlaKernel : public tensorflow::XlaOpKernel {
 public:
  explicit CheckXlaKernel(tensorflow::OpKernelConstruction* context) : XlaOpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("text", &text_));
  }

  void Compile(XlaOpKernelContext* context) override {
    TensorShape shape, of_got;
    OP_REQUIRES_OK(context, StaticShape(context, 0, &shape));
    OP_REQUIRES_OK(context, StaticShape(context, 1, &of_got));
    OP_REQUIRES(context, shape == of_got, absl::InvalidArgumentError("`got` must have the shape of `failing`"));
    const auto row_major = [&](xla::PrimitiveType type) { return xla::ShapeUtil::MakeShapeWithDescendingLayout(type, Sizes(shape)); };
    context->SetOutput(0, xla::CustomCallWithLayout(context->builder(), "tfqz_check", {context->Input(0), context->Input(1)},
                                                    row_major(xla::PRED), {row_major(xla::PRED), row_major(xla::S32)},
                                                    "{text = " + Quoted(text_) + "}", /*has_side_effect=*/false,
                                                    /*output_operand_aliasing=*/{}, /*literal=*/nullptr,
                                                    xla::CustomCallSchedule::SCHEDULE_NONE,
                                                    xla::CustomCallApiVersion::API_VERSION_TYPED_FFI));
  }

 private:
  std::string text_;
};

// Nothing but the operands.
class AttachXlaKernel : public tensorflow::XlaOpKernel {
 public:
  using XlaOpKernel::XlaOpKernel;

  void Compile(XlaOpKernelContext* context) override {
    for (int i = 0; i < context->num_outputs(); ++i) context->SetOutput(i, context->Input(i));
  }
};

// As ordinary kernels of the compilers' devices: REGISTER_XLA_OP counts only before a process's first XLA compilation.
template <typename Op, template <typename> typename CpuKernel = CpuKernel>
struct Kernels {
  template <typename T>
  using OnCpu = CpuKernel<Op>;
  template <typename T>
  using Elsewhere = BodyKernel<Op>;

  static bool Register() {
    return RegisterKernels<OnCpu>(Op::kOp, "XLA_CPU_JIT") | RegisterKernels<Elsewhere>(Op::kOp, "XLA_GPU_JIT") |
           RegisterKernels<Elsewhere>(Op::kOp, "XLA_TPU_JIT");
  }
};
bool RegisterOthers() {
  bool registered = RegisterKernel<CheckXlaKernel>("Tfqz>Check", "XLA_CPU_JIT");
  for (const char* device : {"XLA_CPU_JIT", "XLA_GPU_JIT", "XLA_TPU_JIT"}) {
    registered |= RegisterKernel<AttachXlaKernel>("Tfqz>Attach", device);
    // Programs for other devices can't raise errors.
    if (std::string(device) != "XLA_CPU_JIT") registered |= RegisterKernel<AttachXlaKernel>("Tfqz>Check", device);
  }
  return registered;
}

[[maybe_unused]] const bool registered[] = {RegisterOthers(), Kernels<Qz>::Register(), Kernels<Reorder>::Register(),
                                            Kernels<Schur>::Register(), Kernels<Basis, BodyKernel>::Register(),
                                            Kernels<SolveTriangular, BodyKernel>::Register(),
                                            Kernels<QzGradient, BodyKernel>::Register()};

}  // namespace
}  // namespace tfqz
