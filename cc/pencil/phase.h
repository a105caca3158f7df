// Phases: what columns are multiplied by in the canonical form.
#ifndef TFQZ_PENCIL_PHASE_H_
#define TFQZ_PENCIL_PHASE_H_

#include <cmath>
#include <complex>

namespace tfqz {

// x / |x|, and 1 for 0: a sign for real x.
template <typename R>
R phase(R x) {
  return x < 0 ? R(-1) : R(1);
}
template <typename R>
std::complex<R> phase(std::complex<R> x) {
  const R modulus = std::abs(x);
  if (modulus == 0) return 1;
  // One division may underflow for subnormal moduli and leave a number off the unit circle: normalise twice.
  const std::complex<R> once(x.real() / modulus, x.imag() / modulus);
  return once / std::abs(once);
}

}  // namespace tfqz

#endif  // TFQZ_PENCIL_PHASE_H_
