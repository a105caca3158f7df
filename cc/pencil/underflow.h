// Denormals as numbers, whatever thread this is. No TensorFlow header.
#ifndef TFQZ_UNDERFLOW_H_
#define TFQZ_UNDERFLOW_H_

#include <cstdint>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace tfqz {

// TensorFlow's threads flush denormals to zero, and LAPACK's rotations rely on gradual underflow: without it badly scaled
// float32 pencils come out with Q and Z far from unitary.
class GradualUnderflow {
 public:
#if defined(__SSE__)
  GradualUnderflow() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ & ~(kFlushToZero | kDenormalsAreZero)); }
  ~GradualUnderflow() { _mm_setcsr(saved_); }

 private:
  static constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
  const unsigned saved_;
#elif defined(__aarch64__)
  GradualUnderflow() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" : : "r"(saved_ & ~(uint64_t{1} << 24)));
  }
  ~GradualUnderflow() { asm volatile("msr fpcr, %0" : : "r"(saved_)); }

 private:
  uint64_t saved_;
#endif
};

}  // namespace tfqz

#endif  // TFQZ_UNDERFLOW_H_
