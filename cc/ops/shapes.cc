#include "ops/shapes.h"

#include <algorithm>
#include <limits>
#include <string>

#include "algorithms/batch.h"
#include "pencil/lapack.h"
#include "tensorflow/core/util/overflow.h"

namespace tfqz {

using tensorflow::TensorShape;

namespace {

// LAPACK counts in 32 bits, its workspaces included (16 n is the largest multiple of n among them).
constexpr int64_t kLargest = std::numeric_limits<LapackInt>::max() / 64;

// An op makes matrices up to [..., l, l] of those that are [..., m, n], l = max(m, n); their bytes are counted in 64 bits.
absl::Status CheckSize(const std::string& names, int64_t batch, int64_t m, int64_t n, const std::string& got) {
  const int64_t l = std::max({m, n, int64_t{1}});
  if (batch <= std::numeric_limits<int64_t>::max() / 16 / l / l) return absl::OkStatus();
  return absl::InvalidArgumentError(names + " must be a batch whose bytes can be counted in 64 bits; got " + got);
}

absl::Status CheckSize(const TensorShape& shape, const std::string& name, const std::string& got) {
  const int rank = shape.dims();
  TensorShape batch = shape;
  batch.RemoveLastDims(2);
  return CheckSize("`" + name + "`", batch.num_elements(), shape.dim_size(rank - 2), shape.dim_size(rank - 1), got);
}

absl::Status CheckMatrices(const TensorShape& shape, const std::string& name, const std::string& got) {
  const int rank = shape.dims();
  if (rank < 2 || shape.dim_size(rank - 1) != shape.dim_size(rank - 2)) {
    return absl::InvalidArgumentError("`" + name + "` must be square, [..., n, n]; got " + got);
  }
  if (shape.dim_size(rank - 1) > kLargest) {
    return absl::InvalidArgumentError("`" + name + "` must have n < 2^25 for LAPACK's 32-bit integers; got " + got);
  }
  return CheckSize(shape, name, got);
}

absl::Status CheckRectangular(const TensorShape& shape, const std::string& name, const std::string& got) {
  const int rank = shape.dims();
  if (rank < 2) return absl::InvalidArgumentError("`" + name + "` must be a matrix or a batch of them, [..., m, n]; got " + got);
  if (std::max(shape.dim_size(rank - 1), shape.dim_size(rank - 2)) > kLargest) {
    return absl::InvalidArgumentError("`" + name + "` must have m, n < 2^25 for LAPACK's 32-bit integers; got " + got);
  }
  return CheckSize(shape, name, got);
}

// The sizes of the batches of both broadcast; -1 where these don't.
std::vector<int64_t> BroadcastBatches(const TensorShape& a, const TensorShape& b) {
  std::vector<int64_t> sizes(std::max(a.dims(), b.dims()) - 2);
  for (int place = 1; place <= static_cast<int>(sizes.size()); ++place) {  // from the end
    const auto size = [place](const TensorShape& x) { return place + 2 > x.dims() ? 1 : x.dim_size(x.dims() - 2 - place); };
    const int64_t one = size(a), other = size(b);
    sizes[sizes.size() - place] = one == other || other == 1 ? one : one == 1 ? other : -1;
  }
  return sizes;
}

absl::Status CheckPair(const TensorShape& a, const TensorShape& b, const std::string& got) {
  if (a.dim_size(a.dims() - 2) != b.dim_size(b.dims() - 2) || a.dim_size(a.dims() - 1) != b.dim_size(b.dims() - 1)) {
    return absl::InvalidArgumentError("`b` must have the same inner shape as `a`; got " + got);
  }
  const std::vector<int64_t> batch = BroadcastBatches(a, b);
  if (std::count(batch.begin(), batch.end(), -1) > 0) {
    return absl::InvalidArgumentError("`a` and `b` must have batch shapes that broadcast; got " + got);
  }
  int64_t elements = 1;
  for (const int64_t size : batch) elements = elements < 0 ? -1 : tensorflow::MultiplyWithoutOverflow(elements, size);
  if (elements < 0) elements = std::numeric_limits<int64_t>::max();
  return CheckSize("`a` and `b`", elements, a.dim_size(a.dims() - 2), a.dim_size(a.dims() - 1), got);
}

// (3, 4), (3, 4) and (5).
std::string Listed(const std::vector<TensorShape>& shapes) {
  std::string text;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    text += (i == 0 ? "" : i + 1 < shapes.size() ? ", " : " and ") + shape_text(Sizes(shapes[i]));
  }
  return text;
}

}  // namespace

std::vector<int64_t> Sizes(const TensorShape& shape) {
  const auto sizes = shape.dim_sizes();
  return {sizes.begin(), sizes.end()};
}

absl::Status CheckShape(const TensorShape& a) { return CheckMatrices(a, "a", shape_text(Sizes(a))); }

absl::Status CheckShapes(const TensorShape& a, const TensorShape& b) {
  const std::string got = shape_text(Sizes(a)) + " and " + shape_text(Sizes(b));
  TF_RETURN_IF_ERROR(CheckMatrices(a, "a", got));
  TF_RETURN_IF_ERROR(CheckMatrices(b, "b", got));
  return CheckPair(a, b, got);
}

absl::Status CheckEqualShapes(const std::vector<std::string>& names, const std::vector<TensorShape>& shapes) {
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    TF_RETURN_IF_ERROR(CheckMatrices(shapes[i], names[i], shape_text(Sizes(shapes[i]))));
    if (shapes[i] != shapes[0]) {
      return absl::InvalidArgumentError("`" + names[i] + "` must have the same shape as `" + names[0] + "`; got " +
                                        shape_text(Sizes(shapes[0])) + " and " + shape_text(Sizes(shapes[i])));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckBlockShapes(const std::vector<TensorShape>& inputs) {
  TF_RETURN_IF_ERROR(CheckEqualShapes({"s1", "t1"}, {inputs[0], inputs[1]}));
  TF_RETURN_IF_ERROR(CheckEqualShapes({"s2", "t2"}, {inputs[2], inputs[3]}));
  TensorShape batch = inputs[0], other = inputs[2];
  batch.RemoveLastDims(2);
  other.RemoveLastDims(2);
  const TensorShape block = WithMatrix(batch, inputs[2].dim_size(inputs[2].dims() - 1), inputs[0].dim_size(inputs[0].dims() - 1));
  if (batch == other && inputs[4] == block && inputs[5] == block) return absl::OkStatus();
  return absl::InvalidArgumentError("`first`, `second` must be [..., m, k] for `s1` [..., k, k] and `s2` [..., m, m]; got " +
                                    shape_text(Sizes(inputs[4])) + ", " + shape_text(Sizes(inputs[5])) + ", " +
                                    shape_text(Sizes(inputs[0])) + " and " + shape_text(Sizes(inputs[2])));
}

absl::Status CheckGradientShapes(const std::vector<TensorShape>& inputs) {
  const std::size_t count = inputs.size() < 12 ? 8 : 10;
  const std::vector<TensorShape> matrices(inputs.begin(), inputs.begin() + count);
  TF_RETURN_IF_ERROR(CheckEqualShapes({"s", "t", "q", "z", "s_bar", "t_bar", "q_bar", "z_bar", "a", "b"}, matrices));
  TensorShape vector = matrices[0];
  vector.RemoveLastDims(1);
  for (std::size_t i = count; i < inputs.size(); ++i) {
    if (inputs.size() != count + 2 || inputs[i] != vector) {
      return absl::InvalidArgumentError("`alpha_bar`, `beta_bar` must have the shape " + shape_text(Sizes(vector)) + " each; got " +
                                        shape_text(Sizes(inputs[i])));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckBasisShapes(const TensorShape& x, const TensorShape& counts) {
  TF_RETURN_IF_ERROR(CheckMatrices(x, "x", shape_text(Sizes(x))));
  TensorShape batch = x;
  batch.RemoveLastDims(2);
  if (batch == counts) return absl::OkStatus();
  return absl::InvalidArgumentError("`count` must have the batch shape of `x`; got " + shape_text(Sizes(x)) + " and " +
                                    shape_text(Sizes(counts)));
}

absl::Status CheckBorderedShapes(const std::vector<TensorShape>& inputs) {
  TF_RETURN_IF_ERROR(CheckEqualShapes({"s", "t", "vectors", "right_hand_sides"}, {inputs.begin(), inputs.begin() + 4}));
  TensorShape vector = inputs[0];
  vector.RemoveLastDims(1);
  if (inputs[4] == vector && inputs[5] == vector) return absl::OkStatus();
  return absl::InvalidArgumentError("`s_ratios`, `t_ratios` must have the shape " + shape_text(Sizes(vector)) + " each; got " +
                                    Listed({inputs[4], inputs[5]}));
}

absl::Status CheckFactorShapes(const std::vector<TensorShape>& factors, const TensorShape& labels) {
  for (const TensorShape& factor : factors) {
    TensorShape vector = factor;
    if (factor.dims() >= 2) vector.RemoveLastDims(1);
    if (factor.dims() < 2 || vector != labels || factor.dim_size(factor.dims() - 1) != labels.dim_size(labels.dims() - 1)) {
      return absl::InvalidArgumentError("`s`, `t`, `q`, `z` must be [..., n, n] where `labels` is [..., n]; got " +
                                        shape_text(Sizes(factor)) + " and " + shape_text(Sizes(labels)));
    }
    TF_RETURN_IF_ERROR(CheckMatrices(factor, "s", shape_text(Sizes(factor))));
  }
  return absl::OkStatus();
}

absl::Status CheckRectangularShape(const std::string& name, const TensorShape& a) {
  return CheckRectangular(a, name, shape_text(Sizes(a)));
}

absl::Status CheckRectangularShapes(const TensorShape& a, const TensorShape& b, int rank) {
  const std::string got = shape_text(Sizes(a)) + " and " + shape_text(Sizes(b));
  TF_RETURN_IF_ERROR(CheckRectangular(a, "a", got));
  TF_RETURN_IF_ERROR(CheckRectangular(b, "b", got));
  TF_RETURN_IF_ERROR(CheckPair(a, b, got));
  const int64_t p = std::min(a.dim_size(a.dims() - 2), a.dim_size(a.dims() - 1));
  if (rank < -1 || rank > p) {
    return absl::InvalidArgumentError("`rank_of_b` must be from 0 to " + std::to_string(p) + ", the smaller one of m and n; got " +
                                      std::to_string(rank));
  }
  return absl::OkStatus();
}

absl::Status CheckFrameShape(const TensorShape& x) {
  TF_RETURN_IF_ERROR(CheckRectangularShape("x", x));
  if (x.dim_size(x.dims() - 2) >= x.dim_size(x.dims() - 1)) return absl::OkStatus();
  return absl::InvalidArgumentError("`x` must have no more columns than rows; got " + shape_text(Sizes(x)));
}

absl::Status CheckBalanceShape(const TensorShape& matrix, bool similarity) {
  return similarity ? CheckMatrices(matrix, "matrix", shape_text(Sizes(matrix))) : CheckRectangularShape("matrix", matrix);
}

absl::Status CheckExtendShapes(const std::vector<TensorShape>& inputs, bool left) {
  const TensorShape &a = inputs[0], &x = inputs[1];
  TF_RETURN_IF_ERROR(CheckRectangularShape("a", a));
  TF_RETURN_IF_ERROR(CheckFrameShape(x));
  const int64_t m = a.dim_size(a.dims() - 2), n = a.dim_size(a.dims() - 1), p = std::min(m, n);
  const int64_t l = x.dim_size(x.dims() - 2);
  TensorShape batch = x;
  batch.RemoveLastDims(2);
  bool fit = (m == n || left == (m > n)) && l == std::max(m, n) && x.dim_size(x.dims() - 1) == p &&
             BroadcastBatches(a, x) == Sizes(batch) && inputs[2] == WithMatrix(batch, l, l - p);
  for (std::size_t i = 3; i < inputs.size(); ++i) fit = fit && inputs[i] == WithMatrix(batch, p, p);
  if (fit) return absl::OkStatus();
  return absl::InvalidArgumentError("`x`, `beside`, `s`, `t`, `q`, `z` must be the frame, its complement and factors of `a`; got " +
                                    Listed(inputs));
}

absl::Status CheckWholeGradientShapes(const std::vector<TensorShape>& inputs) {
  const TensorShape& s = inputs[0];
  TF_RETURN_IF_ERROR(CheckRectangularShape("s", s));
  const int64_t m = s.dim_size(s.dims() - 2), n = s.dim_size(s.dims() - 1), p = std::min(m, n);
  TensorShape batch = s;
  batch.RemoveLastDims(2);
  const TensorShape q = WithMatrix(batch, m, m), z = WithMatrix(batch, n, n);
  TensorShape right = batch, left = batch;
  right.AddDim(n - p), left.AddDim(m - p);
  if (m != n && inputs == std::vector<TensorShape>{s, s, q, z, s, s, q, z, s, right, left}) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "`s`, `t`, `q`, `z`, their cotangents, `a`, `right_rows`, `left_rows` must be those of a pencil that isn't square; got " +
      Listed(inputs));
}

TensorShape BatchOf(const TensorShape& a, const TensorShape& b) { return TensorShape(BroadcastBatches(a, b)); }

tensorflow::MatMulBCast BatchesOf(const TensorShape& a, const TensorShape& b) {
  return tensorflow::MatMulBCast(a.dim_sizes(), b.dim_sizes());
}

TensorShape WithMatrix(TensorShape batch, int64_t rows, int64_t cols) {
  batch.AddDim(rows);
  batch.AddDim(cols);
  return batch;
}

}  // namespace tfqz
