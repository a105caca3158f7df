// Kernels are registered for all dtypes at once, and once in a process: TensorFlow refuses to choose between the kernels of two
// copies of this library, which a program may well load (a wheel's and a checkout's, or one for serving beside Python's).
#ifndef TFQZ_REGISTRATION_H_
#define TFQZ_REGISTRATION_H_

#include <complex>

#include "ops/attributes.h"
#include "tensorflow/core/framework/kernel_def_builder.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace tfqz {

inline bool IsRegistered(const char* op, const char* device) {
  const tensorflow::KernelList kernels = tensorflow::GetRegisteredKernelsForOp(op);
  for (const tensorflow::KernelDef& kernel : kernels.kernel()) {
    if (kernel.device_type() == device) return true;
  }
  return false;
}

template <typename Kernel>
void Register(const tensorflow::KernelDef* definition, const char* op) {
  tensorflow::kernel_factory::OpKernelRegistrar(definition, op, [](tensorflow::OpKernelConstruction* context) -> tensorflow::OpKernel* {
    const absl::Status status = CheckAttributes(context);
    if (!status.ok()) context->CtxFailure(status);  // and nobody runs it
    return new Kernel(context);
  });
}

template <typename T, typename Kernel>
void RegisterFor(const char* op, const char* device) {
  Register<Kernel>(tensorflow::KernelDefBuilder(op).Device(device).TypeConstraint<T>("T").Build(), op);
}

// The same for a kernel that serves all dtypes.
template <typename Kernel>
bool RegisterKernel(const char* op, const char* device) {
  if (IsRegistered(op, device)) return false;
  Register<Kernel>(tensorflow::KernelDefBuilder(op).Device(device).Build(), op);
  return true;
}

// Kernel<T> for the dtypes T, of the op's attribute "T". Returns something to initialise a static with.
template <template <typename> typename Kernel, typename... T>
bool RegisterKernelsFor(const char* op, const char* device) {
  if (IsRegistered(op, device)) return false;
  (RegisterFor<T, Kernel<T>>(op, device), ...);
  return true;
}

// All four dtypes.
template <template <typename> typename Kernel>
bool RegisterKernels(const char* op, const char* device) {
  return RegisterKernelsFor<Kernel, float, double, std::complex<float>, std::complex<double>>(op, device);
}

}  // namespace tfqz

#endif  // TFQZ_REGISTRATION_H_
