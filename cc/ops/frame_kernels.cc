// CPU kernels of the ops for rectangular matrices.
#include <algorithm>
#include <complex>
#include <cstdint>
#include <vector>

#include "algorithms/balance.h"
#include "algorithms/frames.h"
#include "algorithms/whole_gradients.h"
#include "ops/registration.h"
#include "ops/run.h"
#include "ops/shapes.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/util/matmul_bcast.h"

namespace tfqz {
namespace {

using tensorflow::MatMulBCast;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;

template <typename T>
class CompressKernel : public BatchKernel {
 public:
  explicit CompressKernel(OpKernelConstruction* context) : BatchKernel(context), fill_failures_(FillFailures(context)) {
    OP_REQUIRES_OK(context, context->GetAttr("rank", &rank_));
    OP_REQUIRES_OK(context, context->GetAttr("adjoint", &adjoint_));
  }

  void Work(OpKernelContext* context) override {
    const Tensor& a = context->input(0);
    const Tensor& b = context->input(1);
    OP_REQUIRES_OK(context, CheckRectangularShapes(a.shape(), b.shape(), rank_));
    const TensorShape batch_shape = BatchOf(a.shape(), b.shape());
    const int64_t m = a.dim_size(a.dims() - 2), n = a.dim_size(a.dims() - 1);
    const int64_t p = std::min(m, n);
    const TensorShape inner = WithMatrix(batch_shape, adjoint_ ? p : m, adjoint_ ? n : p);
    Tensor *x, *ranks, *a_inner, *b_inner;
    OP_REQUIRES_OK(context, context->allocate_output(0, WithMatrix(batch_shape, adjoint_ ? m : n, p), &x));
    OP_REQUIRES_OK(context, context->allocate_output(1, batch_shape, &ranks));
    OP_REQUIRES_OK(context, context->allocate_output(2, inner, &a_inner));
    OP_REQUIRES_OK(context, context->allocate_output(3, inner, &b_inner));
    if (x->NumElements() == 0) {
      ranks->flat<int32_t>().setZero();  // p = 0
      return;
    }
    const MatMulBCast broadcast = BatchesOf(a.shape(), b.shape());
    CompressBatch<T> batch(static_cast<int>(m), static_cast<int>(n), batch_shape.num_elements(), rank_, adjoint_, a.flat<T>().data(),
                           b.flat<T>().data(), broadcast.x_batch_indices(), broadcast.y_batch_indices(),
                           {x->flat<T>().data(), ranks->flat<int32_t>().data(), a_inner->flat<T>().data(), b_inner->flat<T>().data()},
                           fill_failures_);
    OP_REQUIRES_OK(context, Run(context, batch_shape, &batch));
  }

 private:
  const bool fill_failures_;
  int rank_;
  bool adjoint_;
};

template <typename T>
class ComplementKernel : public BatchKernel {
 public:
  using BatchKernel::BatchKernel;

  void Work(OpKernelContext* context) override {
    const Tensor& x = context->input(0);
    OP_REQUIRES_OK(context, CheckFrameShape(x.shape()));
    const int64_t l = x.dim_size(x.dims() - 2), p = x.dim_size(x.dims() - 1);
    TensorShape batch_shape = x.shape();
    batch_shape.RemoveLastDims(2);
    TensorShape vector = batch_shape;
    vector.AddDim(l - p);
    Tensor *basis, *rows;
    OP_REQUIRES_OK(context, context->allocate_output(0, WithMatrix(batch_shape, l, l - p), &basis));
    OP_REQUIRES_OK(context, context->allocate_output(1, vector, &rows));
    if (basis->NumElements() == 0) return;
    ComplementBatch<T> batch(static_cast<int>(l), static_cast<int>(p), batch_shape.num_elements(), x.flat<T>().data(),
                             basis->flat<T>().data(), rows->flat<int32_t>().data());
    OP_REQUIRES_OK(context, Run(context, batch_shape, &batch));
  }
};

template <typename T>
class ExtendKernel : public BatchKernel {
 public:
  explicit ExtendKernel(OpKernelConstruction* context) : BatchKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("adjoint", &left_));
  }

  void Work(OpKernelContext* context) override {
    std::vector<TensorShape> shapes;
    for (int i = 0; i < context->num_inputs(); ++i) shapes.push_back(context->input(i).shape());
    OP_REQUIRES_OK(context, CheckExtendShapes(shapes, left_));
    const auto input = [&](int i) { return context->input(i).flat<T>().data(); };
    const int64_t m = shapes[0].dim_size(shapes[0].dims() - 2), n = shapes[0].dim_size(shapes[0].dims() - 1);
    TensorShape batch_shape = shapes[1];
    batch_shape.RemoveLastDims(2);
    Tensor *s, *t, *q, *z;
    OP_REQUIRES_OK(context, context->allocate_output(0, WithMatrix(batch_shape, m, n), &s));
    OP_REQUIRES_OK(context, context->allocate_output(1, WithMatrix(batch_shape, m, n), &t));
    OP_REQUIRES_OK(context, context->allocate_output(2, WithMatrix(batch_shape, m, m), &q));
    OP_REQUIRES_OK(context, context->allocate_output(3, WithMatrix(batch_shape, n, n), &z));
    if (q->NumElements() == 0 && z->NumElements() == 0) return;
    ExtendBatch<T> batch(static_cast<int>(m), static_cast<int>(n), left_, input(0), BatchesOf(shapes[0], shapes[1]).x_batch_indices(),
                         input(1), input(2), {input(3), input(4), input(5), input(6)},
                         {s->flat<T>().data(), t->flat<T>().data(), q->flat<T>().data(), z->flat<T>().data(), nullptr, nullptr});
    OP_REQUIRES_OK(context, Run(context, batch_shape, &batch));
  }

 private:
  bool left_;
};

template <typename T>
class SvdKernel : public BatchKernel {
 public:
  explicit SvdKernel(OpKernelConstruction* context) : BatchKernel(context), fill_failures_(FillFailures(context)) {}

  void Work(OpKernelContext* context) override {
    const Tensor& b = context->input(0);
    OP_REQUIRES_OK(context, CheckRectangularShape("b", b.shape()));
    const int64_t m = b.dim_size(b.dims() - 2), n = b.dim_size(b.dims() - 1), p = std::min(m, n);
    TensorShape batch_shape = b.shape();
    batch_shape.RemoveLastDims(2);
    TensorShape vector = batch_shape;
    vector.AddDim(p);
    Tensor *u, *s, *v;
    OP_REQUIRES_OK(context, context->allocate_output(0, WithMatrix(batch_shape, m, p), &u));
    OP_REQUIRES_OK(context, context->allocate_output(1, vector, &s));
    OP_REQUIRES_OK(context, context->allocate_output(2, WithMatrix(batch_shape, n, p), &v));
    if (s->NumElements() == 0) return;
    SvdBatch<T> batch(static_cast<int>(m), static_cast<int>(n), b.flat<T>().data(), u->flat<T>().data(), s->flat<Real<T>>().data(),
                      v->flat<T>().data(), fill_failures_);
    OP_REQUIRES_OK(context, Run(context, batch_shape, &batch));
  }

 private:
  const bool fill_failures_;
};

template <typename T>
class BalanceKernel : public BatchKernel {
 public:
  explicit BalanceKernel(OpKernelConstruction* context) : BatchKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("similarity", &similarity_));
  }

  void Work(OpKernelContext* context) override {
    const Tensor& matrix = context->input(0);
    OP_REQUIRES_OK(context, CheckBalanceShape(matrix.shape(), similarity_));
    const int64_t m = matrix.dim_size(matrix.dims() - 2), n = matrix.dim_size(matrix.dims() - 1);
    TensorShape batch_shape = matrix.shape();
    batch_shape.RemoveLastDims(2);
    TensorShape of_left = batch_shape, of_right = batch_shape;
    of_left.AddDim(m), of_right.AddDim(n);
    Tensor *left, *right;
    OP_REQUIRES_OK(context, context->allocate_output(0, of_left, &left));
    OP_REQUIRES_OK(context, context->allocate_output(1, of_right, &right));
    if (matrix.NumElements() == 0) {
      left->flat<int32_t>().setZero();
      right->flat<int32_t>().setZero();
      return;
    }
    BalanceBatch<T> batch(static_cast<int>(m), static_cast<int>(n), similarity_, matrix.flat<T>().data(), left->flat<int32_t>().data(),
                          right->flat<int32_t>().data());
    OP_REQUIRES_OK(context, Run(context, batch_shape, &batch));
  }

 private:
  bool similarity_;
};

template <typename T>
class WholeGradientKernel : public BatchKernel {
 public:
  using BatchKernel::BatchKernel;

  void Work(OpKernelContext* context) override {
    std::vector<TensorShape> shapes;
    for (int i = 0; i < context->num_inputs(); ++i) shapes.push_back(context->input(i).shape());
    OP_REQUIRES_OK(context, CheckWholeGradientShapes(shapes));
    const auto input = [&](int i) { return context->input(i).flat<T>().data(); };
    const int64_t m = shapes[0].dim_size(shapes[0].dims() - 2), n = shapes[0].dim_size(shapes[0].dims() - 1);
    TensorShape batch_shape = shapes[0];
    batch_shape.RemoveLastDims(2);
    Tensor *a, *b;
    OP_REQUIRES_OK(context, context->allocate_output(0, shapes[0], &a));
    OP_REQUIRES_OK(context, context->allocate_output(1, shapes[0], &b));
    if (a->NumElements() == 0) return;
    const ConstFactors<T> factors = {input(0), input(1), input(2), input(3)};
    const Cotangents<T> cotangents = {input(4), input(5), input(6), input(7), nullptr, nullptr};
    WholeGradientBatch<T> batch(static_cast<int>(m), static_cast<int>(n), batch_shape.num_elements(), factors, cotangents,
                                context->input(m < n ? 9 : 10).flat<int32_t>().data(), {a->flat<T>().data(), b->flat<T>().data()},
                                ForkOf(context));
    OP_REQUIRES_OK(context, Run(context, batch_shape, &batch));
  }
};

[[maybe_unused]] const bool registered[] = {RegisterKernels<CompressKernel>("Tfqz>Compress", tensorflow::DEVICE_CPU),
                                            RegisterKernels<ComplementKernel>("Tfqz>Complement", tensorflow::DEVICE_CPU),
                                            RegisterKernels<ExtendKernel>("Tfqz>Extend", tensorflow::DEVICE_CPU),
                                            RegisterKernels<SvdKernel>("Tfqz>Svd", tensorflow::DEVICE_CPU),
                                            RegisterKernelsFor<BalanceKernel, float, double>("Tfqz>Balance", tensorflow::DEVICE_CPU),
                                            RegisterKernels<WholeGradientKernel>("Tfqz>WholeGradient", tensorflow::DEVICE_CPU)};

}  // namespace
}  // namespace tfqz
