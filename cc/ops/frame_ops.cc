// Registration and shape functions of the ops for rectangular matrices.
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace tfqz {
namespace {

using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

// [..., m, n]: both, and the batch part.
absl::Status MatricesShape(InferenceContext* context, int input, DimensionHandle* m, DimensionHandle* n, ShapeHandle* batch) {
  ShapeHandle shape;
  TF_RETURN_IF_ERROR(context->WithRankAtLeast(context->input(input), 2, &shape));
  *m = context->Dim(shape, -2), *n = context->Dim(shape, -1);
  return context->Subshape(shape, 0, -2, batch);
}

// The lesser of two sizes, if both are known or the same.
DimensionHandle Lesser(InferenceContext* context, DimensionHandle m, DimensionHandle n) {
  if (m.SameHandle(n)) return m;
  if (!context->ValueKnown(m) || !context->ValueKnown(n)) return context->UnknownDim();
  return context->Value(m) < context->Value(n) ? m : n;
}

absl::Status CompressShape(InferenceContext* context) {
  DimensionHandle m, n, m_b, n_b;
  ShapeHandle batch_a, batch_b, batch, x, inner;
  TF_RETURN_IF_ERROR(MatricesShape(context, 0, &m, &n, &batch_a));
  TF_RETURN_IF_ERROR(MatricesShape(context, 1, &m_b, &n_b, &batch_b));
  TF_RETURN_IF_ERROR(context->Merge(m, m_b, &m));
  TF_RETURN_IF_ERROR(context->Merge(n, n_b, &n));
  TF_RETURN_IF_ERROR(tensorflow::shape_inference::BroadcastBinaryOpOutputShapeFnHelper(context, batch_a, batch_b,
                                                                                       /*incompatible_shape_error=*/true, &batch));
  bool adjoint;
  TF_RETURN_IF_ERROR(context->GetAttr("adjoint", &adjoint));
  const DimensionHandle p = Lesser(context, m, n);
  TF_RETURN_IF_ERROR(context->Concatenate(batch, context->Matrix(adjoint ? m : n, p), &x));
  TF_RETURN_IF_ERROR(context->Concatenate(batch, adjoint ? context->Matrix(p, n) : context->Matrix(m, p), &inner));
  context->set_output(0, x);
  context->set_output(1, batch);
  context->set_output(2, inner);
  context->set_output(3, inner);
  return absl::OkStatus();
}

REGISTER_OP("Tfqz>Compress")
    .Input("a: T")
    .Input("b: T")
    .Output("x: T")
    .Output("ranks: int32")
    .Output("a_inner: T")
    .Output("b_inner: T")
    .Attr("T: {float, double, complex64, complex128}")
    .Attr("rank: int = -1")
    .Attr("adjoint: bool = false")
    .Attr("on_failure: {'raise', 'nan'} = 'raise'")
    .Attr("body: string = ''")
    .SetShapeFn(CompressShape)
    .Doc(R"doc(
What a wide pencil, m < n, is compressed by, and to: orthonormal columns that span the rows of b + (I - b b^+) a, conjugated, which are the
rows of b if its rank is m.

a: [..., m, n].
b: [..., m, n]; the batch shapes broadcast.
x: [..., n, p] with p = min(m, n). The first columns, as many as the rank, span the rows of b. The identity if m >= n.
ranks: [...], of b; n if m >= n, whatever it is; -1 where on_failure has filled x with NaN.
a_inner: [..., m, p], a x; a itself if m >= n.
b_inner: [..., m, p], b x, without columns behind the rank, which are rounding; b itself if m >= n.
rank: Of b; -1: how much of the diagonal of QR with pivoting is beyond rounding.
adjoint: The same of the adjoints of a and b, for m > n: x is [..., m, p], a_inner and b_inner are [..., p, n], x^H a and x^H b.
on_failure: 'raise' names the batch element that isn't finite, 'nan' fills it with NaN.
body: Empty, or a function of a and b, [batch, m, n], with these outputs, which XLA compiles for devices other than the CPU.
)doc");

absl::Status ComplementShape(InferenceContext* context) {
  DimensionHandle l, p, d;
  ShapeHandle batch, basis, rows;
  TF_RETURN_IF_ERROR(MatricesShape(context, 0, &l, &p, &batch));
  d = context->UnknownDim();
  if (context->ValueKnown(l) && context->ValueKnown(p)) TF_RETURN_IF_ERROR(context->Subtract(l, p, &d));
  TF_RETURN_IF_ERROR(context->Concatenate(batch, context->Matrix(l, d), &basis));
  TF_RETURN_IF_ERROR(context->Concatenate(batch, context->Vector(d), &rows));
  context->set_output(0, basis);
  context->set_output(1, rows);
  return absl::OkStatus();
}

REGISTER_OP("Tfqz>Complement")
    .Input("x: T")
    .Output("basis: T")
    .Output("rows: int32")
    .Attr("T: {float, double, complex64, complex128}")
    .Attr("body: string = ''")
    .SetShapeFn(ComplementShape)
    .Doc(R"doc(
A basis of the orthogonal complement that is a function of it alone.

x: [..., l, p], orthonormal columns.
basis: [..., l, d] with d = l - p: orthonormal columns that are lower triangular with a positive diagonal at chosen rows; NaN where x is.
rows: [..., d], the chosen rows in ascending order.
body: Empty, or a function of x, [batch, l, p], with these outputs, which XLA compiles for devices other than the CPU.
)doc");

absl::Status ExtendShape(InferenceContext* context) {
  DimensionHandle m, n, l, p;
  ShapeHandle of_a, batch;
  TF_RETURN_IF_ERROR(MatricesShape(context, 0, &m, &n, &of_a));
  TF_RETURN_IF_ERROR(MatricesShape(context, 1, &l, &p, &batch));
  const DimensionHandle sizes[][2] = {{m, n}, {m, n}, {m, m}, {n, n}};
  for (int i = 0; i < 4; ++i) {
    ShapeHandle shape;
    TF_RETURN_IF_ERROR(context->Concatenate(batch, context->Matrix(sizes[i][0], sizes[i][1]), &shape));
    context->set_output(i, shape);
  }
  return absl::OkStatus();
}

REGISTER_OP("Tfqz>Extend")
    .Input("a: T")
    .Input("x: T")
    .Input("beside: T")
    .Input("s: T")
    .Input("t: T")
    .Input("q: T")
    .Input("z: T")
    .Output("s_out: T")
    .Output("t_out: T")
    .Output("q_out: T")
    .Output("z_out: T")
    .Attr("T: {float, double, complex64, complex128}")
    .Attr("adjoint: bool = false")
    .Attr("body: string = ''")
    .SetShapeFn(ExtendShape)
    .Doc(R"doc(
The factors of a wide pencil, m < n, from those of the square one that it is compressed to, and the basis of a complement.

a: [..., m, n]; its batch shape broadcasts to that of x.
x: [..., n, p] with p = min(m, n), orthonormal columns, that b is b x x^H of.
beside: [..., n, d] with d = n - p, orthonormal columns, a basis of the complement.
s, t, q, z: [..., p, p], factors of the pencil a x, b x, in canonical form.
s_out: [..., m, n], [s q^H a beside] but for phases; NaN, and the others, where s is.
t_out: [..., m, n], [t 0].
q_out: [..., m, m], q but for phases: in canonical form.
z_out: [..., n, n], [x z beside] but for phases: in canonical form.
adjoint: Of a tall pencil, m > n, from the factors of x^H a, x^H b: x is [..., m, p], beside [..., m, d], whose columns come from the last to
  the first; s_out is [beside^H a z; s], t_out [0; t], q_out [beside, x q], z_out z.
body: Empty, or a function of the inputs, [batch, rows, columns], with these outputs, which XLA compiles for devices other than the CPU.
)doc");

absl::Status SvdShape(InferenceContext* context) {
  DimensionHandle m, n;
  ShapeHandle batch, u, s, v;
  TF_RETURN_IF_ERROR(MatricesShape(context, 0, &m, &n, &batch));
  const DimensionHandle p = Lesser(context, m, n);
  TF_RETURN_IF_ERROR(context->Concatenate(batch, context->Matrix(m, p), &u));
  TF_RETURN_IF_ERROR(context->Concatenate(batch, context->Vector(p), &s));
  TF_RETURN_IF_ERROR(context->Concatenate(batch, context->Matrix(n, p), &v));
  context->set_output(0, u);
  context->set_output(1, s);
  context->set_output(2, v);
  return absl::OkStatus();
}

REGISTER_OP("Tfqz>Svd")
    .Input("b: T")
    .Output("u: T")
    .Output("s: Treal")
    .Output("v: T")
    .Attr("T: {float, double, complex64, complex128}")
    .Attr("Treal: {float, double}")
    .Attr("on_failure: {'raise', 'nan'} = 'raise'")
    .Attr("body: string = ''")
    .SetShapeFn(SvdShape)
    .Doc(R"doc(
Thin singular value decomposition, b = u diag(s) v^H.

b: [..., m, n].
u: [..., m, p] with p = min(m, n), orthonormal columns.
s: [..., p], descending. Treal is the real dtype of T's precision.
v: [..., n, p], orthonormal columns.
on_failure: 'raise' names the batch element, 'nan' fills it with NaN.
body: Empty, or a function of b, [batch, m, n], with these outputs, which XLA compiles for devices other than the CPU.
)doc");

absl::Status BalanceShape(InferenceContext* context) {
  DimensionHandle m, n;
  ShapeHandle batch, left, right;
  TF_RETURN_IF_ERROR(MatricesShape(context, 0, &m, &n, &batch));
  bool similarity;
  TF_RETURN_IF_ERROR(context->GetAttr("similarity", &similarity));
  if (similarity) {
    TF_RETURN_IF_ERROR(context->Merge(m, n, &n));
    m = n;
  }
  TF_RETURN_IF_ERROR(context->Concatenate(batch, context->Vector(m), &left));
  TF_RETURN_IF_ERROR(context->Concatenate(batch, context->Vector(n), &right));
  context->set_output(0, left);
  context->set_output(1, right);
  return absl::OkStatus();
}

REGISTER_OP("Tfqz>Balance")
    .Input("matrix: T")
    .Output("left: int32")
    .Output("right: int32")
    .Attr("T: {float, double}")
    .Attr("similarity: bool = false")
    .Attr("body: string = ''")
    .SetShapeFn(BalanceShape)
    .Doc(R"doc(
Exponents such that diag(2^left) matrix diag(2^right) is balanced: all its rows have about equal sums, and all its columns.

matrix: [..., m, n], entries >= 0, such as moduli.
left: [..., m]. 0 for rows that are zero; all 0 for a matrix that isn't finite.
right: [..., n], the same of columns.
similarity: left = -right, m = n: it is the sums of row and column j that are about equal, for each j, without the diagonal.
body: Empty, or a function of the matrix, [batch, m, n], with these outputs, which XLA compiles for devices other than the CPU.
)doc");

absl::Status WholeGradientShape(InferenceContext* context) {
  DimensionHandle m, n;
  ShapeHandle batch, matrix = context->input(0);
  for (const int input : {0, 1, 4, 5, 8}) {
    TF_RETURN_IF_ERROR(MatricesShape(context, input, &m, &n, &batch));
    TF_RETURN_IF_ERROR(context->Merge(matrix, context->input(input), &matrix));
  }
  for (int output = 0; output < 2; ++output) context->set_output(output, matrix);
  return absl::OkStatus();
}

REGISTER_OP("Tfqz>WholeGradient")
    .Input("s: T")
    .Input("t: T")
    .Input("q: T")
    .Input("z: T")
    .Input("s_bar: T")
    .Input("t_bar: T")
    .Input("q_bar: T")
    .Input("z_bar: T")
    .Input("a: T")
    .Input("right_rows: int32")
    .Input("left_rows: int32")
    .Output("a_bar: T")
    .Output("b_bar: T")
    .Attr("T: {float, double, complex64, complex128}")
    .Attr("body: string = ''")
    .SetShapeFn(WholeGradientShape)
    .Doc(R"doc(
Cotangents of the matrices of a rectangular pencil from those of its complete factors, the outputs of `Tfqz>Extend`.

s, t: [..., m, n], m != n.
q: [..., m, m].
z: [..., n, n].
s_bar, t_bar, q_bar, z_bar: their cotangents.
a: [..., m, n], of which the result is a function too, for the gradient of this gradient only.
right_rows: [..., n - p] with p = min(m, n), the chosen rows of the last columns of z, of `Tfqz>Complement`.
left_rows: [..., m - p], those of the first columns of q from the last to the first.
a_bar, b_bar: [..., m, n].
body: Empty, or a function of the inputs, with one batch dimension, with these outputs, which XLA compiles.
)doc");

}  // namespace
}  // namespace tfqz
