// What the ops' attributes must be beyond what their registration says: with one another.
#ifndef TFQZ_OPS_ATTRIBUTES_H_
#define TFQZ_OPS_ATTRIBUTES_H_

#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/platform/status.h"

namespace tfqz {

// InvalidArgument unless `Tcomplex` and `Treal` are the dtypes of T's precision, and inputs and outputs in lists are as many as the op's
// documentation says: for any op and device.
absl::Status CheckAttributes(tensorflow::OpKernelConstruction* context);

}  // namespace tfqz

#endif  // TFQZ_OPS_ATTRIBUTES_H_
