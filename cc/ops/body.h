// The TensorFlow ops that an op of this package carries for XLA, in its attribute `body`: functions, serialized and compressed, of which
// the last is what the op does. As a string and not as TensorFlow's own functions, since those are optimized and instantiated with each
// graph that holds the op, for the better part of a second, whether XLA compiles it or not; and forward accumulators look into no op
// that has some.
#ifndef TFQZ_BODY_H_
#define TFQZ_BODY_H_

#include <string>

#include "absl/status/status.h"
#include "tensorflow/core/framework/function.pb.h"

namespace tfqz {

// `body`: a FunctionDefLibrary in zlib's format.
absl::Status ReadBody(const std::string& body, tensorflow::FunctionDefLibrary* functions);

}  // namespace tfqz

#endif  // TFQZ_BODY_H_
