// The shapes of the buffers that handlers are called with. A program needn't have been made by xla.cc: graphs can name handlers themselves.
#ifndef TFQZ_OPS_FFI_SHAPES_H_
#define TFQZ_OPS_FFI_SHAPES_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "xla/ffi/api/ffi.h"

namespace tfqz {

inline int64_t Count(const std::vector<int64_t>& batch_shape) {
  int64_t count = 1;
  for (int64_t size : batch_shape) count *= size;
  return count;
}

// Of [..., m, n]; of what has fewer dimensions nothing that fits.
template <xla::ffi::DataType kType>
std::vector<int64_t> BatchShape(const xla::ffi::Buffer<kType>& matrices) {
  const auto dimensions = matrices.dimensions();
  if (dimensions.size() < 2) return {-1};
  return {dimensions.begin(), dimensions.end() - 2};
}

template <xla::ffi::DataType kType>
int SizeFromEnd(const xla::ffi::Buffer<kType>& matrices, int place) {
  const auto dimensions = matrices.dimensions();
  return static_cast<int>(dimensions.size()) < place ? -1 : static_cast<int>(*(dimensions.end() - place));
}

template <xla::ffi::DataType kType>
bool HasShape(const xla::ffi::Buffer<kType>& buffer, const std::vector<int64_t>& shape) {
  const auto got = buffer.dimensions();
  return std::equal(shape.begin(), shape.end(), got.begin(), got.end());
}

// Whether all buffers are [batch, inner], with elements in the batch.
template <typename... Buffers>
bool Fit(const std::vector<int64_t>& batch, const std::vector<int64_t>& inner, const Buffers&... buffers) {
  std::vector<int64_t> shape = batch;
  shape.insert(shape.end(), inner.begin(), inner.end());
  const auto positive = [](int64_t size) { return size > 0; };
  return std::all_of(batch.begin(), batch.end(), positive) && (HasShape(buffers, shape) && ...);
}

inline xla::ffi::Error Misfit() {
  return xla::ffi::Error(xla::ffi::ErrorCode::kInvalidArgument,
                         "operands, results and attributes of a handler of tfqz must be those that its ops give it; got others");
}

}  // namespace tfqz

#endif  // TFQZ_OPS_FFI_SHAPES_H_
