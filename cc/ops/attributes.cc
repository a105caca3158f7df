#include "ops/attributes.h"

#include <cstdint>
#include <string>

#include "tensorflow/core/framework/types.h"

namespace tfqz {
namespace {

using tensorflow::DataType;

absl::Status CheckDtype(tensorflow::OpKernelConstruction* context, const char* name, DataType single, DataType other) {
  DataType type, got;
  TF_RETURN_IF_ERROR(context->GetAttr("T", &type));
  TF_RETURN_IF_ERROR(context->GetAttr(name, &got));
  const DataType expected = type == tensorflow::DT_FLOAT || type == tensorflow::DT_COMPLEX64 ? single : other;
  if (got == expected) return absl::OkStatus();
  return absl::InvalidArgumentError(std::string("`") + name + "` must be " + tensorflow::DataTypeString(expected) + " where `T` is " +
                                    tensorflow::DataTypeString(type) + "; got " + tensorflow::DataTypeString(got));
}

// `count` of a list or none.
absl::Status CheckCount(tensorflow::OpKernelConstruction* context, const char* name, int64_t count) {
  if (!context->HasAttr(name)) return absl::OkStatus();
  int64_t got;
  TF_RETURN_IF_ERROR(context->GetAttr(name, &got));
  if (got == 0 || got == count) return absl::OkStatus();
  return absl::InvalidArgumentError(std::string("`") + name + "` must be 0 or " + std::to_string(count) + "; got " + std::to_string(got));
}

}  // namespace

absl::Status CheckAttributes(tensorflow::OpKernelConstruction* context) {
  TF_RETURN_IF_ERROR(CheckCount(context, "left", 1));
  TF_RETURN_IF_ERROR(CheckCount(context, "right", 1));
  TF_RETURN_IF_ERROR(CheckCount(context, "pencils", 2));
  TF_RETURN_IF_ERROR(CheckCount(context, "eigenvalues", 1));
  int64_t eigenvalues = 1;  // without any, nothing has the other dtype
  if (context->HasAttr("eigenvalues")) TF_RETURN_IF_ERROR(context->GetAttr("eigenvalues", &eigenvalues));
  if (eigenvalues == 0) {
    int64_t pencils;
    TF_RETURN_IF_ERROR(context->GetAttr("pencils", &pencils));
    if (pencils > 0) return absl::InvalidArgumentError("`pencils` must be 0 where `eigenvalues` is 0; got " + std::to_string(pencils));
  }
  if (context->HasAttr("Tcomplex") && eigenvalues > 0) {
    TF_RETURN_IF_ERROR(CheckDtype(context, "Tcomplex", tensorflow::DT_COMPLEX64, tensorflow::DT_COMPLEX128));
  }
  if (context->HasAttr("Treal")) return CheckDtype(context, "Treal", tensorflow::DT_FLOAT, tensorflow::DT_DOUBLE);
  return absl::OkStatus();
}

}  // namespace tfqz
