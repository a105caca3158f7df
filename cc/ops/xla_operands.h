// What each op's inputs become in a program of XLA before the work: checked, and of one batch shape.
#ifndef TFQZ_OPS_XLA_OPERANDS_H_
#define TFQZ_OPS_XLA_OPERANDS_H_

#include <vector>

#include "ops/shapes.h"
#include "tensorflow/compiler/tf2xla/lib/broadcast.h"
#include "tensorflow/compiler/tf2xla/shape_util.h"
#include "tensorflow/compiler/tf2xla/xla_op_kernel.h"
#include "tensorflow/core/util/matmul_bcast.h"
#include "xla/hlo/builder/xla_builder.h"

namespace tfqz {

using tensorflow::TensorShape;
using tensorflow::XlaOpKernelContext;

inline absl::Status StaticShape(XlaOpKernelContext* context, int input, TensorShape* shape) {
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

}  // namespace tfqz

#endif  // TFQZ_OPS_XLA_OPERANDS_H_
