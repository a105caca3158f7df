// The ops in programs that XLA compiles: on the CPU calls of the handlers in ffi.cc, elsewhere the TensorFlow ops that they
// carry.
#include <complex>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "ops/body.h"
#include "ops/registration.h"
#include "ops/xla_frame_operands.h"
#include "ops/xla_operands.h"
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

// Whether there is no work: most ops' first output says so.
template <typename Op>
bool IsEmpty(const std::vector<xla::Shape>& outputs) {
  return outputs.empty() || xla::ShapeUtil::IsZeroElementArray(outputs[0]);
}
template <>
bool IsEmpty<Extend>(const std::vector<xla::Shape>& outputs) {
  return xla::ShapeUtil::IsZeroElementArray(outputs[2]) && xla::ShapeUtil::IsZeroElementArray(outputs[3]);
}
template <>
bool IsEmpty<Balance>(const std::vector<xla::Shape>& outputs) {
  return xla::ShapeUtil::IsZeroElementArray(outputs[0]) || xla::ShapeUtil::IsZeroElementArray(outputs[1]);
}

// Leaves the work to the two classes below.
template <typename Op>
class OpXlaKernel : public tensorflow::XlaOpKernel {
 public:
  using XlaOpKernel::XlaOpKernel;

  void Compile(XlaOpKernelContext* context) override {
    Operands operands;
    OP_REQUIRES_OK(context, Op::Prepare(context, &operands));
    std::vector<xla::Shape> shapes;
    for (const Output& output : Op::OutputsOf(context, operands)) shapes.push_back(RowMajor(output.type, output.shape));
    std::vector<xla::XlaOp> results;
    if (IsEmpty<Op>(shapes)) {
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
      return absl::UnimplementedError(std::string("`") + Op::kCall +
                                      "` must be called inside the function that XLA compiles; "
                                      "got an op that carries no TensorFlow ops for it");
    }
    const TensorShape batch_shape = operands.Batch();
    const int64_t batch = batch_shape.num_elements();
    const int batch_dimensions = batch_shape.dims();
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
    TF_RETURN_IF_ERROR(ReadBody(body_, this->input_types(), this->output_types(), &functions));
    const tensorflow::FunctionLibraryDefinition library(tensorflow::OpRegistry::Global(), functions);
    XlaCompiler::Options options = context->compiler()->options();
    options.flib_def = &library;
    XlaCompiler::CompileOptions inside;
    inside.is_entry_computation = false;
    tensorflow::NameAttrList function;
    function.set_name(functions.function().rbegin()->signature().name());
    XlaCompiler::CompilationResult compiled;
    TF_RETURN_IF_ERROR(XlaCompiler(options).CompileFunction(inside, function, arguments, &compiled));
    TF_RETURN_IF_ERROR(CheckResults(compiled.xla_output_shape, shapes));
    const xla::XlaOp tuple = xla::Call(context->builder(), *compiled.computation, values);
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      results->push_back(xla::Reshape(xla::GetTupleElement(tuple, i), shapes[i].dimensions()));
    }
    return absl::OkStatus();
  }

 private:
  // Whoever made the body, what it returns must be as large as what is made of it.
  static absl::Status CheckResults(const xla::Shape& got, const std::vector<xla::Shape>& expected) {
    bool same = got.IsTuple() && got.tuple_shapes().size() >= expected.size();
    for (std::size_t i = 0; same && i < expected.size(); ++i) {
      const xla::Shape& result = got.tuple_shapes(i);
      same = result.IsArray() && result.is_static() && result.element_type() == expected[i].element_type() &&
             xla::ShapeUtil::ElementsIn(result) == xla::ShapeUtil::ElementsIn(expected[i]);
    }
    if (same) return absl::OkStatus();
    return absl::InvalidArgumentError("the attribute `body` must return " +
                                      xla::ShapeUtil::HumanString(xla::ShapeUtil::MakeTupleShape(expected)) + "; got " +
                                      xla::ShapeUtil::HumanString(got));
  }

  std::string body_;
};

// The CPU. The environment variable TFQZ_XLA=graph makes it compile the body all the same: for tests of that.
template <typename Op>
class CpuKernel : public BodyKernel<Op> {
 public:
  explicit CpuKernel(tensorflow::OpKernelConstruction* context) : BodyKernel<Op>(context), attributes_(Op::Attributes(context)) {}

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
    const xla::XlaOp tuple =
        xla::CustomCallWithLayout(context->builder(), target, operands.values, xla::ShapeUtil::MakeTupleShape(shapes), layouts, attributes_,
                                  /*has_side_effect=*/false,
                                  /*output_operand_aliasing=*/{}, /*literal=*/nullptr, xla::CustomCallSchedule::SCHEDULE_NONE,
                                  xla::CustomCallApiVersion::API_VERSION_TYPED_FFI);
    for (std::size_t i = 0; i < shapes.size(); ++i) results->push_back(xla::GetTupleElement(tuple, i));
    return absl::OkStatus();
  }

 private:
  const std::string attributes_;
};

// The text of an attribute in MLIR's notation.
std::string Quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (code >= ' ' && code < 127 && c != '"' && c != '\\') {
      result += c;
    } else {
      for (const char digit : {'\\', "0123456789ABCDEF"[code / 16], "0123456789ABCDEF"[code % 16]}) result += digit;
    }
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
    context->SetOutput(0, xla::CustomCallWithLayout(
                              context->builder(), "tfqz_check", {context->Input(0), context->Input(1)}, row_major(xla::PRED),
                              {row_major(xla::PRED), row_major(xla::S32)}, "{text = " + Quoted(text_) + "}", /*has_side_effect=*/false,
                              /*output_operand_aliasing=*/{}, /*literal=*/nullptr, xla::CustomCallSchedule::SCHEDULE_NONE,
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

  template <typename... T>
  static bool RegisterFor() {
    return RegisterKernelsFor<OnCpu, T...>(Op::kOp, "XLA_CPU_JIT") | RegisterKernelsFor<Elsewhere, T...>(Op::kOp, "XLA_GPU_JIT") |
           RegisterKernelsFor<Elsewhere, T...>(Op::kOp, "XLA_TPU_JIT");
  }
  static bool Register() { return RegisterFor<float, double, std::complex<float>, std::complex<double>>(); }
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

[[maybe_unused]] const bool registered[] = {RegisterOthers(),
                                            Kernels<Qz>::Register(),
                                            Kernels<Reorder>::Register(),
                                            Kernels<Schur>::Register(),
                                            Kernels<Compress>::Register(),
                                            Kernels<Complement>::Register(),
                                            Kernels<Extend>::Register(),
                                            Kernels<Svd>::Register(),
                                            Kernels<Balance>::RegisterFor<float, double>(),
                                            Kernels<Basis, BodyKernel>::Register(),
                                            Kernels<SolveTriangular, BodyKernel>::Register(),
                                            Kernels<SolveBlock, BodyKernel>::Register(),
                                            Kernels<QzGradient, BodyKernel>::Register(),
                                            Kernels<WholeGradient, BodyKernel>::Register(),
                                            Kernels<Eigenvectors, BodyKernel>::Register(),
                                            Kernels<SolveBordered, BodyKernel>::RegisterFor<std::complex<float>, std::complex<double>>()};

}  // namespace
}  // namespace tfqz
