// Products, quotients and squares of numbers of moderate size, the divisors at most of order 1, without the tests for infinities that C++
// asks for with complex ones. No TensorFlow header.
#ifndef TFQZ_ALGORITHMS_ARITHMETIC_H_
#define TFQZ_ALGORITHMS_ARITHMETIC_H_

#include <algorithm>
#include <cmath>
#include <complex>

namespace tfqz {

template <typename R>
R product(R x, R y) {
  return x * y;
}
template <typename R>
std::complex<R> product(std::complex<R> x, std::complex<R> y) {
  return {x.real() * y.real() - x.imag() * y.imag(), x.real() * y.imag() + x.imag() * y.real()};
}
template <typename R>
R inverse(R x) {
  return 1 / x;
}
template <typename R>
std::complex<R> inverse(std::complex<R> x) {
  const R size = std::max(std::abs(x.real()), std::abs(x.imag()));
  const R re = x.real() / size, im = x.imag() / size, square = (re * re + im * im) * size;
  return {re / square, -im / square};
}

template <typename R>
std::complex<R> quotient(std::complex<R> x, std::complex<R> y) {
  const R size = std::max(std::abs(y.real()), std::abs(y.imag()));
  const R re = y.real() / size, im = y.imag() / size, square = (re * re + im * im) * size;
  return {(x.real() * re + x.imag() * im) / square, (x.imag() * re - x.real() * im) / square};
}

template <typename R>
R squared(R x) {
  return x * x;
}
template <typename R>
R squared(std::complex<R> x) {
  return std::norm(x);
}

}  // namespace tfqz

#endif  // TFQZ_ALGORITHMS_ARITHMETIC_H_
