// Registration and shape functions of the ops.
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace tfqz {
namespace {

using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

// [..., n, n] for each matrix: rank at least 2 and square. Returns n and the batch part.
absl::Status SquareMatrices(InferenceContext* context, ShapeHandle input, DimensionHandle* n, ShapeHandle* batch) {
  ShapeHandle shape;
  TF_RETURN_IF_ERROR(context->WithRankAtLeast(input, 2, &shape));
  TF_RETURN_IF_ERROR(context->Merge(context->Dim(shape, -2), context->Dim(shape, -1), n));
  return context->Subshape(shape, 0, -2, batch);
}

absl::Status QzShape(InferenceContext* context) {
  DimensionHandle n_a, n_b, n;
  ShapeHandle batch_a, batch_b, batch, matrix, vector;
  TF_RETURN_IF_ERROR(SquareMatrices(context, context->input(0), &n_a, &batch_a));
  TF_RETURN_IF_ERROR(SquareMatrices(context, context->input(1), &n_b, &batch_b));
  TF_RETURN_IF_ERROR(context->Merge(n_a, n_b, &n));
  TF_RETURN_IF_ERROR(tensorflow::shape_inference::BroadcastBinaryOpOutputShapeFnHelper(context, batch_a, batch_b,
                                                                                       /*incompatible_shape_error=*/true, &batch));
  TF_RETURN_IF_ERROR(context->Concatenate(batch, context->Matrix(n, n), &matrix));
  TF_RETURN_IF_ERROR(context->Concatenate(batch, context->Vector(n), &vector));
  for (int factor = 0; factor < 4; ++factor) context->set_output(factor, matrix);
  context->set_output(4, vector);
  context->set_output(5, vector);
  return absl::OkStatus();
}

REGISTER_OP("Tfqz>Qz")
    .Input("a: T")
    .Input("b: T")
    .Output("s: T")
    .Output("t: T")
    .Output("q: T")
    .Output("z: T")
    .Output("alpha: Tcomplex")
    .Output("beta: T")
    .Attr("T: {float, double, complex64, complex128}")
    .Attr("Tcomplex: {complex64, complex128}")
    .Attr("on_failure: {'raise', 'nan'} = 'raise'")
    .Attr("apart: bool = false")
    .Attr("ratios: bool = false")
    .Attr("body: string = ''")
    .SetShapeFn(QzShape)
    .Doc(R"doc(
QZ (generalized Schur) decomposition of pencils, a = q s z^H and b = q t z^H, in canonical form.

a: [..., n, n].
b: [..., n, n]; the batch shapes broadcast.
s: Upper triangular; for real T quasi upper triangular, with a 2 x 2 block for each complex pair of eigenvalues.
t: Upper triangular with a real diagonal >= 0.
q: Unitary (orthogonal).
z: Unitary (orthogonal).
alpha: [..., n]; alpha / beta are the generalized eigenvalues. Tcomplex is the complex dtype of T's precision.
beta: [..., n], real values >= 0.
on_failure: 'raise' names the batch element, 'nan' fills it with NaN.
apart: For the gradient: whether the cotangents of alpha and beta are for eigenvalues that are taken apart where they coincide.
ratios: For the gradient: whether these are those of functions of alpha / beta alone, in which beta was taken for constant.
body: Empty, or a function of a and b, [batch, n, n], with these outputs, which XLA compiles for devices other than the CPU.
)doc");

absl::Status ReorderShape(InferenceContext* context) {
  ShapeHandle vector, batch, matrix;
  TF_RETURN_IF_ERROR(context->WithRankAtLeast(context->input(4), 1, &vector));
  const DimensionHandle n = context->Dim(vector, -1);
  TF_RETURN_IF_ERROR(context->Subshape(vector, 0, -1, &batch));
  TF_RETURN_IF_ERROR(context->Concatenate(batch, context->Matrix(n, n), &matrix));
  for (int factor = 0; factor < 4; ++factor) {
    TF_RETURN_IF_ERROR(context->Merge(matrix, context->input(factor), &matrix));
  }
  for (int factor = 0; factor < 4; ++factor) context->set_output(factor, matrix);
  context->set_output(4, vector);
  context->set_output(5, vector);
  return absl::OkStatus();
}

REGISTER_OP("Tfqz>Reorder")
    .Input("s: T")
    .Input("t: T")
    .Input("q: T")
    .Input("z: T")
    .Input("labels: int32")
    .Output("s_reordered: T")
    .Output("t_reordered: T")
    .Output("q_reordered: T")
    .Output("z_reordered: T")
    .Output("alpha: Tcomplex")
    .Output("beta: T")
    .Attr("T: {float, double, complex64, complex128}")
    .Attr("Tcomplex: {complex64, complex128}")
    .Attr("on_failure: {'raise', 'nan'} = 'raise'")
    .Attr("body: string = ''")
    .SetShapeFn(ReorderShape)
    .Doc(R"doc(
The factors of a QZ decomposition in canonical form with their eigenvalues in another order.

s, t, q, z: [..., n, n], outputs of `Tfqz>Qz`.
labels: [..., n]. Eigenvalues of larger labels come first, those of equal labels keep their order; a 2 x 2 block moves as one, with
  the larger of its labels.
alpha: [..., n]; alpha / beta are the generalized eigenvalues. Tcomplex is the complex dtype of T's precision.
beta: [..., n], real values >= 0.
on_failure: 'raise' names the batch element whose order can't be had, 'nan' fills it with NaN.
body: Empty, or a function of the inputs, [batch, n, n] and [batch, n], with these outputs, which XLA compiles for devices other
  than the CPU.
)doc");

absl::Status SchurShape(InferenceContext* context) {
  DimensionHandle n;
  ShapeHandle batch, matrix;
  TF_RETURN_IF_ERROR(SquareMatrices(context, context->input(0), &n, &batch));
  TF_RETURN_IF_ERROR(context->Concatenate(batch, context->Matrix(n, n), &matrix));
  for (int factor = 0; factor < 2; ++factor) context->set_output(factor, matrix);
  return absl::OkStatus();
}

REGISTER_OP("Tfqz>Schur")
    .Input("a: T")
    .Output("t: T")
    .Output("z: T")
    .Attr("T: {float, double, complex64, complex128}")
    .Attr("on_failure: {'raise', 'nan'} = 'raise'")
    .Attr("body: string = ''")
    .SetShapeFn(SchurShape)
    .Doc(R"doc(
Schur form of matrices, a = z t z^H, in canonical form.

a: [..., n, n].
t: Upper triangular; for real T quasi upper triangular, with a 2 x 2 block for each complex pair of eigenvalues.
z: Unitary (orthogonal).
on_failure: 'raise' names the batch element, 'nan' fills it with NaN.
body: Empty, or a function of a, [batch, n, n], with these outputs, which XLA compiles for devices other than the CPU.
)doc");

absl::Status BasisShape(InferenceContext* context) {
  DimensionHandle n;
  ShapeHandle batch, vector;
  TF_RETURN_IF_ERROR(SquareMatrices(context, context->input(0), &n, &batch));
  TF_RETURN_IF_ERROR(context->Merge(batch, context->input(1), &batch));
  TF_RETURN_IF_ERROR(context->Concatenate(batch, context->Vector(n), &vector));
  context->set_output(0, context->input(0));
  context->set_output(1, vector);
  return absl::OkStatus();
}

REGISTER_OP("Tfqz>Basis")
    .Input("x: T")
    .Input("count: int32")
    .Output("basis: T")
    .Output("rows: int32")
    .Attr("T: {float, double, complex64, complex128}")
    .Attr("body: string = ''")
    .SetShapeFn(BasisShape)
    .Doc(R"doc(
Orthonormal columns times the unitary matrix that makes them lower triangular with a positive diagonal at chosen rows.

x: [..., n, n], of which the first columns are orthonormal.
count: [...], how many.
basis: [..., n, n], with zeros behind the last column.
rows: [..., n], the row chosen for each column, -1 behind the last one.
body: Empty, or a function of the inputs, [batch, n, n] and [batch], with these outputs, which XLA compiles.
)doc");

// Two outputs of the shape that the first `kInputs` inputs have.
template <int kInputs>
absl::Status TwoLikeInputsShape(InferenceContext* context) {
  DimensionHandle n;
  ShapeHandle batch, matrix = context->input(0);
  for (int input = 0; input < kInputs; ++input) {
    TF_RETURN_IF_ERROR(SquareMatrices(context, context->input(input), &n, &batch));
    TF_RETURN_IF_ERROR(context->Merge(matrix, context->input(input), &matrix));
  }
  for (int output = 0; output < 2; ++output) context->set_output(output, matrix);
  return absl::OkStatus();
}

REGISTER_OP("Tfqz>SolveTriangular")
    .Input("s: T")
    .Input("t: T")
    .Input("first: T")
    .Input("second: T")
    .Output("first_unknown: T")
    .Output("second_unknown: T")
    .Attr("T: {float, double, complex64, complex128}")
    .Attr("adjoint: bool = false")
    .Attr("ordinary: bool = false")
    .Attr("body: string = ''")
    .SetShapeFn(TwoLikeInputsShape<4>)
    .Doc(R"doc(
Strictly lower triangular X, V of tril(X s - s V, -1) = first, tril(X t - t V, -1) = second, or the adjoint's: tril(X s^H + V t^H, -1) =
first, -tril(s^H X + t^H V, -1) = second. Where eigenvalues of the pencil are equal, the minimum-norm solution.

s, t: [..., n, n], of `Tfqz>Qz` or `Tfqz>Reorder`.
first, second: [..., n, n], of which the strictly lower part counts, without the entry inside a 2 x 2 block.
ordinary: t is the identity, and the unknown with s is 0 where eigenvalues are equal.
body: Empty, or a function of the inputs, [batch, n, n], with these outputs, which XLA compiles.
)doc");

absl::Status BlockShape(InferenceContext* context) {
  DimensionHandle k, m;
  ShapeHandle batch, block;
  for (const int input : {0, 1}) TF_RETURN_IF_ERROR(SquareMatrices(context, context->input(input), &k, &batch));
  for (const int input : {2, 3}) TF_RETURN_IF_ERROR(SquareMatrices(context, context->input(input), &m, &batch));
  TF_RETURN_IF_ERROR(context->Concatenate(batch, context->Matrix(m, k), &block));
  for (const int output : {0, 1}) context->set_output(output, block);
  context->set_output(2, batch);
  return absl::OkStatus();
}

REGISTER_OP("Tfqz>SolveBlock")
    .Input("s1: T")
    .Input("t1: T")
    .Input("s2: T")
    .Input("t2: T")
    .Input("first: T")
    .Input("second: T")
    .Output("first_unknown: T")
    .Output("second_unknown: T")
    .Output("coinciding: int32")
    .Attr("T: {float, double, complex64, complex128}")
    .Attr("adjoint: bool = false")
    .Attr("ordinary: bool = false")
    .Attr("body: string = ''")
    .SetShapeFn(BlockShape)
    .Doc(R"doc(
X, V of X s1 - s2 V = first, X t1 - t2 V = second, or the adjoint's: X s1^H + V t1^H = first, -s2^H X - t2^H V = second.

s1, t1: [..., k, k], in the triangular form of `Tfqz>Qz`, but for signs.
s2, t2: [..., m, m], likewise.
first, second: [..., m, k].
first_unknown, second_unknown: [..., m, k]; where eigenvalues of both pencils coincide, the minimum-norm solution.
coinciding: [...], how many pairs of them do.
ordinary: t1 and t2 are identities, and the unknown with s1 is 0 where eigenvalues coincide.
body: Empty, or a function of the inputs, with one batch dimension, with these outputs, which XLA compiles.
)doc");

REGISTER_OP("Tfqz>QzGradient")
    .Input("s: T")
    .Input("t: T")
    .Input("q: T")
    .Input("z: T")
    .Input("s_bar: T")
    .Input("t_bar: T")
    .Input("q_bar: T")
    .Input("z_bar: T")
    .Input("pencil: pencils * T")
    .Input("alpha_bar: eigenvalues * Tcomplex")
    .Input("beta_bar: eigenvalues * T")
    .Output("a_bar: T")
    .Output("b_bar: T")
    .Attr("T: {float, double, complex64, complex128}")
    .Attr("Tcomplex: {complex64, complex128} = DT_COMPLEX128")  // what is taken without alpha_bar
    .Attr("pencils: int >= 0 = 0")
    .Attr("eigenvalues: int >= 0")
    .Attr("apart: bool = false")
    .Attr("ratios: bool = false")
    .Attr("body: string = ''")
    .SetShapeFn(TwoLikeInputsShape<8>)
    .Doc(R"doc(
Cotangents of a and b from those of the outputs of `Tfqz>Qz` or `Tfqz>Reorder`.

s, t, q, z: [..., n, n], factors in canonical form.
s_bar, t_bar, q_bar, z_bar: [..., n, n], their cotangents.
pencil: Nothing, or a and b, [..., n, n], for the gradient of this gradient only.
alpha_bar, beta_bar: [..., n], one each or none.
apart: The cotangents of alpha and beta are for eigenvalues that are taken apart where they coincide.
ratios: They are those of functions of alpha / beta alone. For the gradient of this gradient: alpha_bar with beta taken for constant
  determines beta_bar.
body: Empty, or a function of the inputs, with one batch dimension, with these outputs, which XLA compiles.
)doc");

absl::Status CheckShape(InferenceContext* context) {
  ShapeHandle shape;
  TF_RETURN_IF_ERROR(context->Merge(context->input(0), context->input(1), &shape));
  context->set_output(0, shape);
  return absl::OkStatus();
}

REGISTER_OP("Tfqz>Check")
    .Input("failing: bool")
    .Input("got: int32")
    .Output("failed: bool")
    .Attr("text: string")
    .SetShapeFn(CheckShape)
    .Doc(R"doc(
The input, or an error about the first batch element that is true: in programs that XLA compiles for the CPU too. Elsewhere programs can't
raise errors.

failing, got: [...].
text: Of the error, with "{got}" for that element's number and "{where}" for its index.
)doc");

absl::Status AttachShape(InferenceContext* context) {
  for (int output = 0; output < context->num_outputs(); ++output) context->set_output(output, context->input(output));
  return absl::OkStatus();
}

REGISTER_OP("Tfqz>Attach")
    .Input("values: Tvalues")
    .Input("arguments: Targuments")
    .Output("attached: Tvalues")
    .Attr("Tvalues: list({float, double, complex64, complex128})")
    .Attr("Targuments: list({float, double, complex64, complex128, int32})")
    .Attr("rule: string")
    .SetShapeFn(AttachShape)
    .Doc(R"doc(
The values, as functions of the arguments that they were computed from anyhow: with the gradient that a rule gives.

rule: The name of a rule of tfqz/_derivative/attach.py, which Python looks up when it differentiates the op.
)doc");

}  // namespace
}  // namespace tfqz
