// What the ops accept, for the CPU kernels and for XLA; in the words of tfqz/_form/checks.py.
#ifndef TFQZ_SHAPES_H_
#define TFQZ_SHAPES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tensorflow/core/framework/tensor_shape.h"
#include "tensorflow/core/platform/status.h"
#include "tensorflow/core/util/matmul_bcast.h"

namespace tfqz {

std::vector<int64_t> Sizes(const tensorflow::TensorShape& shape);

// InvalidArgument unless it is [..., n, n] with an n that LAPACK can count.
absl::Status CheckShape(const tensorflow::TensorShape& a);

// InvalidArgument unless both are [..., n, n] with one n that LAPACK can count, and batch shapes that broadcast.
absl::Status CheckShapes(const tensorflow::TensorShape& a, const tensorflow::TensorShape& b);

// InvalidArgument unless all are [..., n, n] of one shape.
absl::Status CheckEqualShapes(const std::vector<std::string>& names, const std::vector<tensorflow::TensorShape>& shapes);

// InvalidArgument unless s1, t1, s2, t2, first, second, of this order, are [..., k, k], [..., m, m] and [..., m, k].
absl::Status CheckBlockShapes(const std::vector<tensorflow::TensorShape>& inputs);

// InvalidArgument unless the inputs of `Tfqz>QzGradient` have the shapes that the op's documentation gives them.
absl::Status CheckGradientShapes(const std::vector<tensorflow::TensorShape>& inputs);

// InvalidArgument unless the matrices are [..., n, n] and the counts [...].
absl::Status CheckBasisShapes(const tensorflow::TensorShape& x, const tensorflow::TensorShape& counts);

// InvalidArgument unless the inputs of `Tfqz>SolveBordered` have the shapes that the op's documentation gives them.
absl::Status CheckBorderedShapes(const std::vector<tensorflow::TensorShape>& inputs);

// InvalidArgument unless all factors are [..., n, n] of one shape, and the labels [..., n].
absl::Status CheckFactorShapes(const std::vector<tensorflow::TensorShape>& factors, const tensorflow::TensorShape& labels);

// InvalidArgument unless it is [..., m, n] with sizes that LAPACK can count.
absl::Status CheckRectangularShape(const std::string& name, const tensorflow::TensorShape& a);

// InvalidArgument unless both are [..., m, n] with the same m and n, which LAPACK can count, batch shapes that broadcast, and a rank that
// such matrices can have, or -1.
absl::Status CheckRectangularShapes(const tensorflow::TensorShape& a, const tensorflow::TensorShape& b, int rank);

// InvalidArgument unless it is [..., l, p] with p <= l.
absl::Status CheckFrameShape(const tensorflow::TensorShape& x);

// InvalidArgument unless it is [..., m, n] with sizes that can be counted; with `similarity` [..., n, n].
absl::Status CheckBalanceShape(const tensorflow::TensorShape& matrix, bool similarity);

// InvalidArgument unless a, x, beside, s, t, q, z, of this order, have the shapes that the documentation of `Tfqz>Extend` gives them.
absl::Status CheckExtendShapes(const std::vector<tensorflow::TensorShape>& inputs, bool left);

// InvalidArgument unless the inputs of `Tfqz>WholeGradient` have the shapes that the op's documentation gives them.
absl::Status CheckWholeGradientShapes(const std::vector<tensorflow::TensorShape>& inputs);

// The batch shape that those of [..., m, n] and [..., m, n] broadcast to, once they are checked.
tensorflow::TensorShape BatchOf(const tensorflow::TensorShape& a, const tensorflow::TensorShape& b);

// How they broadcast: with as many indices as that has elements, so for what isn't empty, when there is room for the results.
tensorflow::MatMulBCast BatchesOf(const tensorflow::TensorShape& a, const tensorflow::TensorShape& b);

// [batch, rows, cols].
tensorflow::TensorShape WithMatrix(tensorflow::TensorShape batch, int64_t rows, int64_t cols);

}  // namespace tfqz

#endif  // TFQZ_SHAPES_H_
