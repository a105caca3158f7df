// The TensorFlow ops that an op of this package carries for XLA, in its attribute `body`: functions, serialized and compressed, of which
// the last is what the op does. As a string and not as TensorFlow's own functions, since those are optimized and instantiated with each
// graph that holds the op, for the better part of a second, whether XLA compiles it or not; and forward accumulators look into no op
// that has some.
#ifndef TFQZ_BODY_H_
#define TFQZ_BODY_H_

#include <string>

#include "absl/status/status.h"
#include "tensorflow/core/framework/function.pb.h"
#include "tensorflow/core/framework/types.h"

namespace tfqz {

// `body`: a FunctionDefLibrary in zlib's format. It may come from strangers: what it inflates to is bounded, and so is what its functions
// do once their calls of one another are written out. InvalidArgument beyond these bounds, if functions call themselves, and unless the
// last one takes tensors of these dtypes and returns such, and whatever else behind them.
absl::Status ReadBody(const std::string& body, const tensorflow::DataTypeVector& inputs, const tensorflow::DataTypeVector& outputs,
                      tensorflow::FunctionDefLibrary* functions);

}  // namespace tfqz

#endif  // TFQZ_BODY_H_
