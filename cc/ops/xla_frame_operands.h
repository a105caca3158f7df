// What the inputs of the ops for rectangular matrices become in a program of XLA: see xla_operands.h.
#ifndef TFQZ_OPS_XLA_FRAME_OPERANDS_H_
#define TFQZ_OPS_XLA_FRAME_OPERANDS_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "ops/shapes.h"
#include "ops/xla_operands.h"
#include "tensorflow/compiler/tf2xla/lib/broadcast.h"
#include "tensorflow/compiler/tf2xla/xla_op_kernel.h"
#include "tensorflow/core/framework/node_def_util.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace tfqz {

// A rectangular pencil, checked and broadcast.
struct Compress {
  static constexpr const char* kOp = "Tfqz>Compress";
  static constexpr const char* kTarget = "tfqz_compress_";
  static constexpr const char* kCall = "tfqz.qz";

  static Outputs OutputsOf(XlaOpKernelContext* context, const Operands& operands) {
    const int64_t m = operands.Rows(), n = operands.Cols(), p = std::min(m, n);
    const bool adjoint = Adjoint(context->op_kernel().def());
    const TensorShape x = WithMatrix(operands.Batch(), adjoint ? m : n, p);
    const TensorShape inner = WithMatrix(operands.Batch(), adjoint ? p : m, adjoint ? n : p);
    const xla::PrimitiveType type = context->input_xla_type(0);
    return {{type, x}, {xla::S32, operands.Batch()}, {type, inner}, {type, inner}};
  }

  static std::string Attributes(tensorflow::OpKernelConstruction* context) {
    int rank = -1;
    const absl::Status status = context->GetAttr("rank", &rank);
    if (!status.ok()) context->CtxFailure(status);
    return std::string("{adjoint = ") + (Adjoint(context->def()) ? "1" : "0") +
           " : i64, fill_failures = " + (FillFailures(context) ? "1" : "0") + " : i64, rank = " + std::to_string(rank) + " : i64}";
  }

  static bool Adjoint(const tensorflow::NodeDef& def) {
    bool adjoint;
    TF_CHECK_OK(tensorflow::GetNodeAttr(def, "adjoint", &adjoint));
    return adjoint;
  }

  static absl::Status Prepare(XlaOpKernelContext* context, Operands* operands) {
    TensorShape a_shape, b_shape;
    TF_RETURN_IF_ERROR(StaticShape(context, 0, &a_shape));
    TF_RETURN_IF_ERROR(StaticShape(context, 1, &b_shape));
    int rank;
    TF_RETURN_IF_ERROR(tensorflow::GetNodeAttr(context->op_kernel().def(), "rank", &rank));
    TF_RETURN_IF_ERROR(CheckRectangularShapes(a_shape, b_shape, rank));
    return BroadcastPencil(context, a_shape, b_shape, operands);
  }
};

// Orthonormal columns, checked.
struct Complement {
  static constexpr const char* kOp = "Tfqz>Complement";
  static constexpr const char* kTarget = "tfqz_complement_";
  static constexpr const char* kCall = "tfqz.qz";

  static Outputs OutputsOf(XlaOpKernelContext* context, const Operands& operands) {
    const int64_t l = operands.Rows(), d = l - operands.Cols();
    TensorShape rows = operands.Batch();
    rows.AddDim(d);
    return {{context->input_xla_type(0), WithMatrix(operands.Batch(), l, d)}, {xla::S32, rows}};
  }

  static std::string Attributes(tensorflow::OpKernelConstruction*) { return "{}"; }

  static absl::Status Prepare(XlaOpKernelContext* context, Operands* operands) {
    TF_RETURN_IF_ERROR(AllInputs(context, operands));
    return CheckFrameShape(operands->shapes[0]);
  }
};

// A rectangular matrix, broadcast, its frame and complement, and inner factors, checked.
struct Extend {
  static constexpr const char* kOp = "Tfqz>Extend";
  static constexpr const char* kTarget = "tfqz_extend_";
  static constexpr const char* kCall = "tfqz.qz";

  static Outputs OutputsOf(XlaOpKernelContext* context, const Operands& operands) {
    const int64_t m = operands.Rows(), n = operands.Cols();
    const xla::PrimitiveType type = context->input_xla_type(0);
    Outputs outputs;
    for (const auto& [rows, cols] : {std::pair(m, n), std::pair(m, n), std::pair(m, m), std::pair(n, n)}) {
      outputs.push_back({type, WithMatrix(operands.Batch(), rows, cols)});
    }
    return outputs;
  }

  static std::string Attributes(tensorflow::OpKernelConstruction* context) {
    return std::string("{adjoint = ") + (Compress::Adjoint(context->def()) ? "1" : "0") + " : i64}";
  }

  static absl::Status Prepare(XlaOpKernelContext* context, Operands* operands) {
    TF_RETURN_IF_ERROR(AllInputs(context, operands));
    TF_RETURN_IF_ERROR(CheckExtendShapes(operands->shapes, Compress::Adjoint(context->op_kernel().def())));
    TensorShape batch = operands->shapes[1];
    batch.RemoveLastDims(2);
    operands->shapes[0] = WithMatrix(batch, operands->Rows(), operands->Cols());
    const auto a = tensorflow::BroadcastTo(operands->values[0], Sizes(operands->shapes[0]));
    TF_RETURN_IF_ERROR(a.status());
    operands->values[0] = *a;
    return absl::OkStatus();
  }
};

// A rectangular matrix, checked.
struct Svd : MayFail {
  static constexpr const char* kOp = "Tfqz>Svd";
  static constexpr const char* kTarget = "tfqz_svd_";
  static constexpr const char* kCall = "tfqz.qz";

  static Outputs OutputsOf(XlaOpKernelContext* context, const Operands& operands) {
    const int64_t m = operands.Rows(), n = operands.Cols(), p = std::min(m, n);
    TensorShape s = operands.Batch();
    s.AddDim(p);
    const xla::PrimitiveType type = context->input_xla_type(0);
    const bool single = type == xla::F32 || type == xla::C64;
    return {{type, WithMatrix(operands.Batch(), m, p)}, {single ? xla::F32 : xla::F64, s}, {type, WithMatrix(operands.Batch(), n, p)}};
  }

  static absl::Status Prepare(XlaOpKernelContext* context, Operands* operands) {
    TF_RETURN_IF_ERROR(AllInputs(context, operands));
    return CheckRectangularShape("b", operands->shapes[0]);
  }
};

// A matrix, checked.
struct Balance {
  static constexpr const char* kOp = "Tfqz>Balance";
  static constexpr const char* kTarget = "tfqz_balance_";
  static constexpr const char* kCall = "tfqz.balance";

  static Outputs OutputsOf(XlaOpKernelContext*, const Operands& operands) {
    TensorShape left = operands.Batch(), right = operands.Batch();
    left.AddDim(operands.Rows()), right.AddDim(operands.Cols());
    return {{xla::S32, left}, {xla::S32, right}};
  }

  static std::string Attributes(tensorflow::OpKernelConstruction* context) {
    return std::string("{similarity = ") + (Similarity(context->def()) ? "1" : "0") + " : i64}";
  }

  static bool Similarity(const tensorflow::NodeDef& def) {
    bool similarity;
    TF_CHECK_OK(tensorflow::GetNodeAttr(def, "similarity", &similarity));
    return similarity;
  }

  static absl::Status Prepare(XlaOpKernelContext* context, Operands* operands) {
    TF_RETURN_IF_ERROR(AllInputs(context, operands));
    return CheckBalanceShape(operands->shapes[0], Similarity(context->op_kernel().def()));
  }
};

// Factors of a rectangular pencil and their cotangents. TensorFlow ops on every device.
struct WholeGradient : SquareFactors<2> {
  static constexpr const char* kOp = "Tfqz>WholeGradient";
  static constexpr const char* kCall = "tfqz.qz";

  static absl::Status Prepare(XlaOpKernelContext* context, Operands* operands) {
    TF_RETURN_IF_ERROR(AllInputs(context, operands));
    return CheckWholeGradientShapes(operands->shapes);
  }
};

}  // namespace tfqz

#endif  // TFQZ_OPS_XLA_FRAME_OPERANDS_H_
