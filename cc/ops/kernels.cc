// CPU kernels of the ops: buffers, TensorFlow's threads, dispatch on the dtype, registration. Those for rectangular matrices are in
// frame_kernels.cc.
#include <complex>
#include <cstdint>
#include <string>
#include <vector>

#include "algorithms/batches.h"
#include "algorithms/triangular_batches.h"
#include "ops/registration.h"
#include "ops/run.h"
#include "ops/shapes.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/util/matmul_bcast.h"

namespace tfqz {
namespace {

using tensorflow::MatMulBCast;
using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;

// Allocates the outputs of an op that has factors, alpha and beta, but for factors that nothing in the graph uses.
template <typename T>
absl::Status AllocateFactors(OpKernelContext* context, const TensorShape& batch_shape, int64_t n, Factors<T>* factors) {
  TensorShape vector = batch_shape;
  vector.AddDim(n);
  TensorShape matrix = vector;
  matrix.AddDim(n);
  Tensor* outputs[6] = {};
  for (int i = 0; i < 6; ++i) {
    const bool factor = i < 4;
    if (factor && !context->output_required(i)) continue;
    TF_RETURN_IF_ERROR(context->allocate_output(i, factor ? matrix : vector, &outputs[i]));
  }
  const auto data = [&](int i) { return outputs[i] == nullptr ? nullptr : outputs[i]->flat<T>().data(); };
  *factors = {data(0), data(1), data(2), data(3), outputs[4]->flat<std::complex<Real<T>>>().data(), data(5)};
  return absl::OkStatus();
}

template <typename T>
class QzKernel : public BatchKernel {
 public:
  explicit QzKernel(OpKernelConstruction* context) : BatchKernel(context), fill_failures_(FillFailures(context)) {}

  void Work(OpKernelContext* context) override {
    const Tensor& a = context->input(0);
    const Tensor& b = context->input(1);
    OP_REQUIRES_OK(context, CheckShapes(a.shape(), b.shape()));
    const int64_t n = a.dim_size(a.dims() - 1);
    const TensorShape batch_shape = BatchOf(a.shape(), b.shape());
    Factors<T> factors;
    OP_REQUIRES_OK(context, AllocateFactors(context, batch_shape, n, &factors));
    if (n == 0 || batch_shape.num_elements() == 0) return;
    const MatMulBCast broadcast = BatchesOf(a.shape(), b.shape());
    QzBatch<T> batch(static_cast<int>(n), batch_shape.num_elements(), a.flat<T>().data(), b.flat<T>().data(), broadcast.x_batch_indices(),
                     broadcast.y_batch_indices(), factors, fill_failures_, ForkOf(context));
    OP_REQUIRES_OK(context, Run(context, batch_shape, &batch));
  }

 private:
  const bool fill_failures_;
};

template <typename T>
class ReorderKernel : public BatchKernel {
 public:
  explicit ReorderKernel(OpKernelConstruction* context) : BatchKernel(context), fill_failures_(FillFailures(context)) {}

  void Work(OpKernelContext* context) override {
    const TensorShape& matrix = context->input(0).shape();
    const TensorShape& vector = context->input(4).shape();
    OP_REQUIRES_OK(context,
                   CheckFactorShapes({matrix, context->input(1).shape(), context->input(2).shape(), context->input(3).shape()}, vector));
    const int64_t n = matrix.dim_size(matrix.dims() - 1);
    TensorShape batch_shape = vector;
    batch_shape.RemoveLastDims(1);
    Factors<T> reordered;
    OP_REQUIRES_OK(context, AllocateFactors(context, batch_shape, n, &reordered));
    if (n == 0 || batch_shape.num_elements() == 0) return;
    const auto data = [&](int i) { return context->input(i).flat<T>().data(); };
    ReorderBatch<T> batch(static_cast<int>(n), batch_shape.num_elements(), {data(0), data(1), data(2), data(3)},
                          context->input(4).flat<int32_t>().data(), reordered, fill_failures_);
    OP_REQUIRES_OK(context, Run(context, batch_shape, &batch));
  }

 private:
  const bool fill_failures_;
};

template <typename T>
class SchurKernel : public BatchKernel {
 public:
  explicit SchurKernel(OpKernelConstruction* context) : BatchKernel(context), fill_failures_(FillFailures(context)) {}

  void Work(OpKernelContext* context) override {
    const Tensor& a = context->input(0);
    OP_REQUIRES_OK(context, CheckShape(a.shape()));
    Tensor *t, *z;
    OP_REQUIRES_OK(context, context->allocate_output(0, a.shape(), &t));
    OP_REQUIRES_OK(context, context->allocate_output(1, a.shape(), &z));
    if (a.NumElements() == 0) return;
    TensorShape batch_shape = a.shape();
    batch_shape.RemoveLastDims(2);
    SchurBatch<T> batch(static_cast<int>(a.dim_size(a.dims() - 1)), a.flat<T>().data(), {t->flat<T>().data(), z->flat<T>().data()},
                        fill_failures_);
    OP_REQUIRES_OK(context, Run(context, batch_shape, &batch));
  }

 private:
  const bool fill_failures_;
};

template <typename T>
class BasisKernel : public BatchKernel {
 public:
  using BatchKernel::BatchKernel;

  void Work(OpKernelContext* context) override {
    const Tensor& x = context->input(0);
    const Tensor& counts = context->input(1);
    OP_REQUIRES_OK(context, CheckBasisShapes(x.shape(), counts.shape()));
    TensorShape vector = x.shape();
    vector.RemoveLastDims(1);
    Tensor *basis, *rows;
    OP_REQUIRES_OK(context, context->allocate_output(0, x.shape(), &basis));
    OP_REQUIRES_OK(context, context->allocate_output(1, vector, &rows));
    if (x.NumElements() == 0) return;
    BasisBatch<T> batch(static_cast<int>(x.dim_size(x.dims() - 1)), x.flat<T>().data(), counts.flat<int32_t>().data(),
                        basis->flat<T>().data(), rows->flat<int32_t>().data());
    OP_REQUIRES_OK(context, Run(context, counts.shape(), &batch));
  }
};

template <typename T>
class SolveTriangularKernel : public BatchKernel {
 public:
  explicit SolveTriangularKernel(OpKernelConstruction* context) : BatchKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("adjoint", &adjoint_));
    OP_REQUIRES_OK(context, context->GetAttr("ordinary", &ordinary_));
  }

  void Work(OpKernelContext* context) override {
    const TensorShape& shape = context->input(0).shape();
    OP_REQUIRES_OK(context, CheckEqualShapes({"s", "t", "first", "second"},
                                             {shape, context->input(1).shape(), context->input(2).shape(), context->input(3).shape()}));
    Tensor *first, *second;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &first));
    OP_REQUIRES_OK(context, context->allocate_output(1, shape, &second));
    if (shape.num_elements() == 0) return;
    const auto data = [&](int i) { return context->input(i).flat<T>().data(); };
    TensorShape batch_shape = shape;
    batch_shape.RemoveLastDims(2);
    TriangularBatch<T> batch(static_cast<int>(shape.dim_size(shape.dims() - 1)), adjoint_, ordinary_, data(0), data(1), {data(2), data(3)},
                             {first->flat<T>().data(), second->flat<T>().data()});
    OP_REQUIRES_OK(context, Run(context, batch_shape, &batch));
  }

 private:
  bool adjoint_, ordinary_;
};

template <typename T>
class SolveBlockKernel : public BatchKernel {
 public:
  explicit SolveBlockKernel(OpKernelConstruction* context) : BatchKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("adjoint", &adjoint_));
    OP_REQUIRES_OK(context, context->GetAttr("ordinary", &ordinary_));
  }

  void Work(OpKernelContext* context) override {
    std::vector<TensorShape> shapes;
    for (int i = 0; i < 6; ++i) shapes.push_back(context->input(i).shape());
    OP_REQUIRES_OK(context, CheckBlockShapes(shapes));
    const TensorShape& block = shapes[4];
    TensorShape batch_shape = block;
    batch_shape.RemoveLastDims(2);
    Tensor *first, *second, *coinciding;
    OP_REQUIRES_OK(context, context->allocate_output(0, block, &first));
    OP_REQUIRES_OK(context, context->allocate_output(1, block, &second));
    OP_REQUIRES_OK(context, context->allocate_output(2, batch_shape, &coinciding));
    if (block.num_elements() == 0) {
      coinciding->flat<int32_t>().setZero();
      return;
    }
    const auto data = [&](int i) { return context->input(i).flat<T>().data(); };
    const int m = static_cast<int>(block.dim_size(block.dims() - 2)), k = static_cast<int>(block.dim_size(block.dims() - 1));
    BlockBatch<T> batch(k, m, adjoint_, ordinary_, {data(0), data(1)}, {data(2), data(3)}, {data(4), data(5)},
                        {first->flat<T>().data(), second->flat<T>().data()}, coinciding->flat<int32_t>().data());
    OP_REQUIRES_OK(context, Run(context, batch_shape, &batch));
  }

 private:
  bool adjoint_, ordinary_;
};

template <typename T>
class QzGradientKernel : public BatchKernel {
 public:
  explicit QzGradientKernel(OpKernelConstruction* context) : BatchKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("apart", &apart_));
  }

  void Work(OpKernelContext* context) override {
    std::vector<TensorShape> shapes;
    for (int i = 0; i < context->num_inputs(); ++i) shapes.push_back(context->input(i).shape());
    OP_REQUIRES_OK(context, CheckGradientShapes(shapes));
    const TensorShape& shape = shapes[0];
    Tensor *a, *b;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &a));
    OP_REQUIRES_OK(context, context->allocate_output(1, shape, &b));
    if (shape.num_elements() == 0) return;
    const auto data = [&](int i) { return context->input(i).flat<T>().data(); };
    const int count = context->num_inputs();
    const bool eigenvalues = count > 8;
    const Cotangents<T> cotangents = {data(4),
                                      data(5),
                                      data(6),
                                      data(7),
                                      eigenvalues ? context->input(count - 2).flat<std::complex<Real<T>>>().data() : nullptr,
                                      eigenvalues ? data(count - 1) : nullptr};
    TensorShape batch_shape = shape;
    batch_shape.RemoveLastDims(2);
    const int n = static_cast<int>(shape.dim_size(shape.dims() - 1));
    QzGradientBatch<T> batch(n, batch_shape.num_elements(), apart_, {data(0), data(1), data(2), data(3)}, cotangents,
                             {a->flat<T>().data(), b->flat<T>().data()}, ForkOf(context));
    OP_REQUIRES_OK(context, Run(context, batch_shape, &batch));
  }

 private:
  bool apart_;
};

class CheckKernel : public OpKernel {
 public:
  explicit CheckKernel(OpKernelConstruction* context) : OpKernel(context) { OP_REQUIRES_OK(context, context->GetAttr("text", &text_)); }

  void Compute(OpKernelContext* context) override {
    const Tensor& failing = context->input(0);
    const Tensor& got = context->input(1);
    OP_REQUIRES(context, failing.shape() == got.shape(),
                absl::InvalidArgumentError("`got` must have the shape of `failing`; got " + shape_text(Sizes(failing.shape())) + " and " +
                                           shape_text(Sizes(got.shape()))));
    const std::string problem = complaint(text_, Sizes(failing.shape()), failing.flat<bool>().data(), got.flat<int32_t>().data());
    OP_REQUIRES(context, problem.empty(), absl::InvalidArgumentError(problem));
    context->set_output(0, failing);
  }

 private:
  std::string text_;
};

class AttachKernel : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    for (int i = 0; i < context->num_outputs(); ++i) context->set_output(i, context->input(i));
  }
  bool IsExpensive() override { return false; }
};

[[maybe_unused]] const bool registered[] = {RegisterKernels<QzKernel>("Tfqz>Qz", tensorflow::DEVICE_CPU),
                                            RegisterKernels<ReorderKernel>("Tfqz>Reorder", tensorflow::DEVICE_CPU),
                                            RegisterKernels<SchurKernel>("Tfqz>Schur", tensorflow::DEVICE_CPU),
                                            RegisterKernels<BasisKernel>("Tfqz>Basis", tensorflow::DEVICE_CPU),
                                            RegisterKernels<SolveTriangularKernel>("Tfqz>SolveTriangular", tensorflow::DEVICE_CPU),
                                            RegisterKernels<SolveBlockKernel>("Tfqz>SolveBlock", tensorflow::DEVICE_CPU),
                                            RegisterKernels<QzGradientKernel>("Tfqz>QzGradient", tensorflow::DEVICE_CPU),
                                            RegisterKernel<AttachKernel>("Tfqz>Attach", tensorflow::DEVICE_CPU),
                                            RegisterKernel<CheckKernel>("Tfqz>Check", tensorflow::DEVICE_CPU)};

}  // namespace
}  // namespace tfqz
