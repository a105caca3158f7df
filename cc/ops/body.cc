#include "ops/body.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include "tensorflow/core/platform/tstring.h"
#include "xla/tsl/lib/io/inputstream_interface.h"
#include "xla/tsl/lib/io/zlib_compression_options.h"
#include "xla/tsl/lib/io/zlib_inputstream.h"

namespace tfqz {
namespace {

class StringStream : public tsl::io::InputStreamInterface {
 public:
  explicit StringStream(const std::string& text) : text_(text) {}

  absl::Status ReadNBytes(int64_t count, tsl::tstring* result) override {
    const int64_t left = static_cast<int64_t>(text_.size()) - position_;
    result->assign(text_.data() + position_, std::min(count, left));
    position_ += std::min(count, left);
    return count > left ? absl::OutOfRangeError("the end of the string") : absl::OkStatus();
  }
  int64_t Tell() const override { return position_; }
  absl::Status Reset() override {
    position_ = 0;
    return absl::OkStatus();
  }

 private:
  const std::string& text_;
  int64_t position_ = 0;
};

}  // namespace

absl::Status ReadBody(const std::string& body, tensorflow::FunctionDefLibrary* functions) {
  constexpr std::size_t kBuffer = 1 << 18;
  StringStream compressed(body);
  tsl::io::ZlibInputStream stream(&compressed, kBuffer, kBuffer, tsl::io::ZlibCompressionOptions::DEFAULT());
  tsl::tstring text;
  // That there is no more is how reading all of it ends well.
  const absl::Status status = stream.ReadNBytes(std::numeric_limits<int64_t>::max(), &text);
  if (!absl::IsOutOfRange(status) || !functions->ParseFromArray(text.data(), static_cast<int>(text.size())) ||
      functions->function().empty()) {
    return absl::InvalidArgumentError("the attribute `body` must hold compressed TensorFlow functions; got " + std::to_string(body.size()) +
                                      " bytes of something else");
  }
  return absl::OkStatus();
}

}  // namespace tfqz
