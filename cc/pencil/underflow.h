// What becomes of denormals, whatever thread this is. No TensorFlow header.
#ifndef TFQZ_UNDERFLOW_H_
#define TFQZ_UNDERFLOW_H_

#include <cstdint>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace tfqz {

enum class Denormals { kNumbers, kZeros };

// As long as it lives.
class UnderflowMode {
 public:
#if defined(__SSE__)
  explicit UnderflowMode(Denormals denormals) : saved_(_mm_getcsr()) {
    constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040, kBoth = kFlushToZero | kDenormalsAreZero;
    _mm_setcsr(denormals == Denormals::kZeros ? saved_ | kBoth : saved_ & ~kBoth);
  }
  ~UnderflowMode() { _mm_setcsr(saved_); }

 private:
  const unsigned saved_;
#elif defined(__aarch64__)
  explicit UnderflowMode(Denormals denormals) {
    constexpr uint64_t kFlushToZero = uint64_t{1} << 24;
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" : : "r"(denormals == Denormals::kZeros ? saved_ | kFlushToZero : saved_ & ~kFlushToZero));
  }
  ~UnderflowMode() { asm volatile("msr fpcr, %0" : : "r"(saved_)); }

 private:
  uint64_t saved_;
#else
  explicit UnderflowMode(Denormals) {}
#endif
};

// TensorFlow's threads flush denormals to zero, and LAPACK's rotations rely on gradual underflow: without it badly scaled
// float32 pencils come out with Q and Z far from unitary.
class GradualUnderflow : private UnderflowMode {
 public:
  GradualUnderflow() : UnderflowMode(Denormals::kNumbers) {}
};

}  // namespace tfqz

#endif  // TFQZ_UNDERFLOW_H_
