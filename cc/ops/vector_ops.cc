// The ops for eigenvectors: registration, shape functions, kernels on the CPU.
#include <complex>
#include <cstdint>
#include <vector>

#include "algorithms/eigenbases.h"
#include "ops/registration.h"
#include "ops/run.h"
#include "ops/shapes.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace tfqz {
namespace {

using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

// All outputs have the shape that the matrices among the inputs, those in `places`, have in common.
absl::Status CommonShape(InferenceContext* context, const std::vector<int>& places) {
  ShapeHandle matrix;
  TF_RETURN_IF_ERROR(context->WithRankAtLeast(context->input(places[0]), 2, &matrix));
  for (const int place : places) TF_RETURN_IF_ERROR(context->Merge(matrix, context->input(place), &matrix));
  for (int output = 0; output < context->num_outputs(); ++output) context->set_output(output, matrix);
  return absl::OkStatus();
}

REGISTER_OP("Tfqz>Eigenvectors")
    .Input("s: T")
    .Input("t: T")
    .Input("q: T")
    .Input("z: T")
    .Output("left_vectors: left * Tcomplex")
    .Output("right_vectors: right * Tcomplex")
    .Attr("T: {float, double, complex64, complex128}")
    .Attr("Tcomplex: {complex64, complex128}")
    .Attr("left: int >= 0")
    .Attr("right: int >= 0")
    .Attr("body: string = ''")
    .SetShapeFn([](InferenceContext* context) { return CommonShape(context, {0, 1, 2, 3}); })
    .Doc(R"doc(
Eigenvectors of a pencil, in columns, of length 1 and with a real, positive largest entry.

s, t, q, z: [..., n, n], outputs of `Tfqz>Qz`; NaN makes NaN.
left, right: 0 or 1 each, how many of the outputs there are.
left_vectors, right_vectors: [..., n, n].
body: Empty, or a function of the inputs, [batch, n, n], with these outputs, which XLA compiles.
)doc");

REGISTER_OP("Tfqz>SolveBordered")
    .Input("s: T")
    .Input("t: T")
    .Input("vectors: T")
    .Input("right_hand_sides: T")
    .Input("s_ratios: T")
    .Input("t_ratios: T")
    .Output("unknowns: T")
    .Attr("T: {complex64, complex128}")
    .Attr("adjoint: bool = false")
    .Attr("body: string = ''")
    .SetShapeFn([](InferenceContext* context) { return CommonShape(context, {0, 1, 2, 3}); })
    .Doc(R"doc(
Columns u_j of L_j u_j = h_j, or of L_j^H u_j = h_j: L_j is t_j s - s_j t with column j replaced by -(conj(s_j) s + conj(t_j) t) v_j. Entries
of u_j that belong to other eigenvalues of the cluster of s_j : t_j are 0, and so are columns that leave the range.

s, t, vectors: [..., n, n], upper triangular.
right_hand_sides: [..., n, n].
s_ratios, t_ratios: [..., n], s_j and t_j, |s_j|^2 + |t_j|^2 = 1.
body: Empty, or a function of the inputs, [batch, n, n] and [batch, n], with this output, which XLA compiles.
)doc");

template <typename T>
class EigenvectorsKernel : public BatchKernel {
 public:
  explicit EigenvectorsKernel(OpKernelConstruction* context) : BatchKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("left", &left_));
    OP_REQUIRES_OK(context, context->GetAttr("right", &right_));
  }

  void Work(OpKernelContext* context) override {
    std::vector<TensorShape> shapes;
    for (int i = 0; i < 4; ++i) shapes.push_back(context->input(i).shape());
    OP_REQUIRES_OK(context, CheckEqualShapes({"s", "t", "q", "z"}, shapes));
    std::complex<Real<T>>* outputs[2] = {};
    for (int side = 0, i = 0; side < 2; ++side) {
      if ((side == 0 ? left_ : right_) == 0) continue;
      Tensor* output;
      OP_REQUIRES_OK(context, context->allocate_output(i++, shapes[0], &output));
      outputs[side] = output->flat<std::complex<Real<T>>>().data();
    }
    if (shapes[0].num_elements() == 0) return;
    const auto data = [&](int i) { return context->input(i).flat<T>().data(); };
    TensorShape batch_shape = shapes[0];
    batch_shape.RemoveLastDims(2);
    EigenvectorBatch<T> batch(static_cast<int>(shapes[0].dim_size(shapes[0].dims() - 1)), {data(0), data(1), data(2), data(3)}, outputs[0],
                              outputs[1]);
    OP_REQUIRES_OK(context, Run(context, batch_shape, &batch));
  }

 private:
  int left_, right_;
};

template <typename T>
class SolveBorderedKernel : public BatchKernel {
 public:
  explicit SolveBorderedKernel(OpKernelConstruction* context) : BatchKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("adjoint", &adjoint_));
  }

  void Work(OpKernelContext* context) override {
    std::vector<TensorShape> shapes;
    for (int i = 0; i < 6; ++i) shapes.push_back(context->input(i).shape());
    OP_REQUIRES_OK(context, CheckBorderedShapes(shapes));
    Tensor* unknowns;
    OP_REQUIRES_OK(context, context->allocate_output(0, shapes[0], &unknowns));
    if (shapes[0].num_elements() == 0) return;
    const auto data = [&](int i) { return context->input(i).flat<T>().data(); };
    TensorShape batch_shape = shapes[0];
    batch_shape.RemoveLastDims(2);
    BorderedBatch<T> batch(static_cast<int>(shapes[0].dim_size(shapes[0].dims() - 1)), adjoint_,
                           {data(0), data(1), data(4), data(5), data(2)}, data(3), unknowns->flat<T>().data());
    OP_REQUIRES_OK(context, Run(context, batch_shape, &batch));
  }

 private:
  bool adjoint_;
};

[[maybe_unused]] const bool registered[] = {
    RegisterKernels<EigenvectorsKernel>("Tfqz>Eigenvectors", tensorflow::DEVICE_CPU),
    RegisterKernelsFor<SolveBorderedKernel, std::complex<float>, std::complex<double>>("Tfqz>SolveBordered", tensorflow::DEVICE_CPU),
};

}  // namespace
}  // namespace tfqz
