// What each op's inputs become in a program of XLA before the work: checked, and of one batch shape.
#ifndef TFQZ_OPS_XLA_OPERANDS_H_
#define TFQZ_OPS_XLA_OPERANDS_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ops/run.h"
#include "ops/shapes.h"
#include "tensorflow/compiler/tf2xla/lib/broadcast.h"
#include "tensorflow/compiler/tf2xla/shape_util.h"
#include "tensorflow/compiler/tf2xla/xla_op_kernel.h"
#include "tensorflow/core/framework/node_def_util.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "xla/hlo/builder/xla_builder.h"

namespace tfqz {

using tensorflow::TensorShape;
using tensorflow::XlaOpKernelContext;

inline absl::Status StaticShape(XlaOpKernelContext* context, int input, TensorShape* shape) {
  const absl::StatusOr<xla::Shape> xla_shape = context->InputXlaShape(input);
  return xla_shape.ok() ? tensorflow::XLAShapeToTensorShape(*xla_shape, shape) : xla_shape.status();
}

// What an op makes of its inputs before the work: operands of one batch shape, whose first is [..., m, n].
struct Operands {
  std::vector<xla::XlaOp> values;
  std::vector<TensorShape> shapes;

  TensorShape Batch() const {
    TensorShape batch = shapes[0];
    batch.RemoveLastDims(2);
    return batch;
  }
  int64_t Rows() const { return shapes[0].dim_size(shapes[0].dims() - 2); }
  int64_t Cols() const { return shapes[0].dim_size(shapes[0].dims() - 1); }
};

// What an op's outputs are.
struct Output {
  xla::PrimitiveType type;
  TensorShape shape;
};
using Outputs = std::vector<Output>;

// `kFactors` matrices as the first operand is one, then vectors of that size, of certain dtypes.
template <int kFactors>
Outputs SquareOutputs(const Operands& operands, xla::PrimitiveType type, const std::vector<xla::PrimitiveType>& vectors = {}) {
  Outputs outputs(kFactors, {type, operands.shapes[0]});
  TensorShape vector = operands.shapes[0];
  vector.RemoveLastDims(1);
  for (const xla::PrimitiveType of_vector : vectors) outputs.push_back({of_vector, vector});
  return outputs;
}
template <int kFactors>
struct SquareFactors {
  static Outputs OutputsOf(XlaOpKernelContext* context, const Operands& operands) {
    return SquareOutputs<kFactors>(operands, context->input_xla_type(0));
  }
};
struct FactorsAlphaAndBeta {
  static Outputs OutputsOf(XlaOpKernelContext* context, const Operands& operands) {
    const xla::PrimitiveType type = context->input_xla_type(0);
    const bool single = type == xla::F32 || type == xla::C64;
    return SquareOutputs<4>(operands, type, {single ? xla::C64 : xla::C128, type});
  }
};

// What the handler on the CPU is told.
struct MayFail {
  static std::string Attributes(tensorflow::OpKernelConstruction* context) {
    return std::string("{fill_failures = ") + (FillFailures(context) ? "1" : "0") + " : i64}";
  }
};

inline absl::Status BroadcastPencil(XlaOpKernelContext* context, const TensorShape& a, const TensorShape& b, Operands* operands) {
  const TensorShape matrix = WithMatrix(BatchOf(a, b), a.dim_size(a.dims() - 2), a.dim_size(a.dims() - 1));
  for (int i = 0; i < 2; ++i) {
    const auto value = tensorflow::BroadcastTo(context->Input(i), Sizes(matrix));
    TF_RETURN_IF_ERROR(value.status());
    operands->values.push_back(*value);
    operands->shapes.push_back(matrix);
  }
  return absl::OkStatus();
}

// A pencil, checked and broadcast.
struct Qz : FactorsAlphaAndBeta, MayFail {
  static constexpr const char* kOp = "Tfqz>Qz";
  static constexpr const char* kTarget = "tfqz_qz_";
  static constexpr const char* kCall = "tfqz.qz";

  static absl::Status Prepare(XlaOpKernelContext* context, Operands* operands) {
    TensorShape a_shape, b_shape;
    TF_RETURN_IF_ERROR(StaticShape(context, 0, &a_shape));
    TF_RETURN_IF_ERROR(StaticShape(context, 1, &b_shape));
    TF_RETURN_IF_ERROR(CheckShapes(a_shape, b_shape));
    return BroadcastPencil(context, a_shape, b_shape, operands);
  }
};

inline absl::Status AllInputs(XlaOpKernelContext* context, Operands* operands) {
  for (int i = 0; i < context->num_inputs(); ++i) {
    TensorShape shape;
    TF_RETURN_IF_ERROR(StaticShape(context, i, &shape));
    operands->values.push_back(context->Input(i));
    operands->shapes.push_back(shape);
  }
  return absl::OkStatus();
}

// Factors and labels.
struct Reorder : FactorsAlphaAndBeta, MayFail {
  static constexpr const char* kOp = "Tfqz>Reorder";
  static constexpr const char* kTarget = "tfqz_reorder_";
  static constexpr const char* kCall = "tfqz.ordqz";

  static absl::Status Prepare(XlaOpKernelContext* context, Operands* operands) {
    TF_RETURN_IF_ERROR(AllInputs(context, operands));
    return CheckFactorShapes({operands->shapes.begin(), operands->shapes.end() - 1}, operands->shapes.back());
  }
};

// A matrix, checked.
struct Schur : SquareFactors<2>, MayFail {
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
  static constexpr const char* kOp = "Tfqz>Basis";
  static constexpr const char* kCall = "tfqz.deflating_subspace";

  static Outputs OutputsOf(XlaOpKernelContext* context, const Operands& operands) {
    return SquareOutputs<1>(operands, context->input_xla_type(0), {xla::S32});
  }

  static absl::Status Prepare(XlaOpKernelContext* context, Operands* operands) {
    TF_RETURN_IF_ERROR(AllInputs(context, operands));
    return CheckBasisShapes(operands->shapes[0], operands->shapes[1]);
  }
};

// Coefficients and right-hand sides. TensorFlow ops on every device: a program of XLA fuses them with what is around.
struct SolveTriangular : SquareFactors<2> {
  static constexpr const char* kOp = "Tfqz>SolveTriangular";
  static constexpr const char* kCall = "tfqz";

  static absl::Status Prepare(XlaOpKernelContext* context, Operands* operands) {
    TF_RETURN_IF_ERROR(AllInputs(context, operands));
    return CheckEqualShapes({"s", "t", "first", "second"}, operands->shapes);
  }
};

// Two pencils and right-hand sides of the block between them. TensorFlow ops on every device, too.
struct SolveBlock {
  static constexpr const char* kOp = "Tfqz>SolveBlock";
  static constexpr const char* kCall = "tfqz";

  static Outputs OutputsOf(XlaOpKernelContext* context, const Operands& operands) {
    const Output block = {context->input_xla_type(0), operands.shapes[4]};
    return {block, block, {xla::S32, operands.Batch()}};
  }

  static absl::Status Prepare(XlaOpKernelContext* context, Operands* operands) {
    TF_RETURN_IF_ERROR(AllInputs(context, operands));
    return CheckBlockShapes(operands->shapes);
  }
};

// Factors and cotangents. TensorFlow ops on every device, too.
struct QzGradient : SquareFactors<2> {
  static constexpr const char* kOp = "Tfqz>QzGradient";
  static constexpr const char* kCall = "tfqz";

  static absl::Status Prepare(XlaOpKernelContext* context, Operands* operands) {
    TF_RETURN_IF_ERROR(AllInputs(context, operands));
    return CheckGradientShapes(operands->shapes);
  }
};

// Factors. TensorFlow ops on every device.
struct Eigenvectors {
  static constexpr const char* kOp = "Tfqz>Eigenvectors";
  static constexpr const char* kCall = "tfqz.eig";

  static Outputs OutputsOf(XlaOpKernelContext* context, const Operands& operands) {
    const xla::PrimitiveType type = context->input_xla_type(0);
    const bool single = type == xla::F32 || type == xla::C64;
    return Outputs(context->num_outputs(), {single ? xla::C64 : xla::C128, operands.shapes[0]});
  }

  static absl::Status Prepare(XlaOpKernelContext* context, Operands* operands) {
    TF_RETURN_IF_ERROR(AllInputs(context, operands));
    return CheckEqualShapes({"s", "t", "q", "z"}, operands->shapes);
  }
};

// Coefficients, right-hand sides and ratios. TensorFlow ops on every device.
struct SolveBordered : SquareFactors<1> {
  static constexpr const char* kOp = "Tfqz>SolveBordered";
  static constexpr const char* kCall = "tfqz.eig";

  static absl::Status Prepare(XlaOpKernelContext* context, Operands* operands) {
    TF_RETURN_IF_ERROR(AllInputs(context, operands));
    return CheckBorderedShapes(operands->shapes);
  }
};

}  // namespace tfqz

#endif  // TFQZ_OPS_XLA_OPERANDS_H_
