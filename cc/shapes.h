// What the op accepts, said in the same words as tfqz/_checks.py, for the CPU kernel and for XLA.
#ifndef TFQZ_SHAPES_H_
#define TFQZ_SHAPES_H_

#include <cstdint>
#include <vector>

#include "tensorflow/core/framework/tensor_shape.h"
#include "tensorflow/core/platform/status.h"

namespace tfqz {

std::vector<int64_t> Sizes(const tensorflow::TensorShape& shape);

// InvalidArgument unless both are [..., n, n] with one n that LAPACK can count, and batch shapes that broadcast.
absl::Status CheckShapes(const tensorflow::TensorShape& a, const tensorflow::TensorShape& b);

}  // namespace tfqz

#endif  // TFQZ_SHAPES_H_
