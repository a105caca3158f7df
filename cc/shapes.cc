#include "shapes.h"

#include <limits>
#include <string>

#include "batch.h"
#include "tensorflow/core/util/matmul_bcast.h"

namespace tfqz {

using tensorflow::TensorShape;

std::vector<int64_t> Sizes(const TensorShape& shape) {
  const auto sizes = shape.dim_sizes();
  return {sizes.begin(), sizes.end()};
}

absl::Status CheckShapes(const TensorShape& a, const TensorShape& b) {
  const auto square = [](const TensorShape& shape) {
    return shape.dims() >= 2 && shape.dim_size(shape.dims() - 1) == shape.dim_size(shape.dims() - 2);
  };
  const std::string got = "; got " + shape_text(Sizes(a)) + " and " + shape_text(Sizes(b));
  if (!square(a)) return absl::InvalidArgumentError("`a` must be square, [..., n, n]" + got);
  if (!square(b)) return absl::InvalidArgumentError("`b` must be square, [..., n, n]" + got);
  const int64_t n = a.dim_size(a.dims() - 1);
  if (n != b.dim_size(b.dims() - 1)) {
    return absl::InvalidArgumentError("`b` must have the same inner shape as `a`" + got);
  }
  // LAPACK counts in 32 bits, its workspaces included (16 n is the largest multiple of n among them).
  if (n > std::numeric_limits<LapackInt>::max() / 64) {
    return absl::InvalidArgumentError("`a` must have n < 2^25 for LAPACK's 32-bit integers" + got);
  }
  if (!tensorflow::MatMulBCast(a.dim_sizes(), b.dim_sizes()).IsValid()) {
    return absl::InvalidArgumentError("`a` and `b` must have batch shapes that broadcast" + got);
  }
  return absl::OkStatus();
}

absl::Status CheckFactorShapes(const std::vector<TensorShape>& factors, const TensorShape& labels) {
  TensorShape matrix = labels;
  if (labels.dims() >= 1) matrix.AddDim(labels.dim_size(labels.dims() - 1));
  for (const TensorShape& factor : factors) {
    if (labels.dims() < 1 || factor != matrix) {
      return absl::InvalidArgumentError("`s`, `t`, `q`, `z` must be [..., n, n] where `labels` is [..., n]; got " +
                                        shape_text(Sizes(factor)) + " and " + shape_text(Sizes(labels)));
    }
  }
  return absl::OkStatus();
}

}  // namespace tfqz
