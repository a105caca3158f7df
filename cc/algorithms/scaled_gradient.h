// The inputs of a gradient times powers of two, where they are far from 1: pencil/scale.h. No TensorFlow header comes in here.
#ifndef TFQZ_ALGORITHMS_SCALED_GRADIENT_H_
#define TFQZ_ALGORITHMS_SCALED_GRADIENT_H_

#include <complex>
#include <cstddef>
#include <vector>

#include "pencil/factors.h"
#include "pencil/lapack.h"
#include "pencil/scale.h"

namespace tfqz {

// Of one m x n pencil; holds the room for copies, which there is from the first one on that needs it.
template <typename T>
class ScaledGradient {
 public:
  ScaledGradient(int m, int n) : m_(m), n_(n) {}

  // Puts copies in place of what is far from 1. They hold until the next call.
  void scale(ConstFactors<T>* factors, Cotangents<T>* cotangents);
  // The cotangents of A and B, from those that belong to the copies.
  void scale_back(const Pair<T>& pencil) const;

 private:
  using R = Real<T>;

  LargestEntries<R> largest(const ConstFactors<T>& factors, const Cotangents<T>& cotangents) const;
  R largest_on_pattern(const T* s, const T* bar) const;
  std::size_t size() const { return static_cast<std::size_t>(m_) * n_; }
  std::size_t of_q() const { return static_cast<std::size_t>(m_) * m_; }
  std::size_t of_z() const { return static_cast<std::size_t>(n_) * n_; }

  const int m_, n_;
  GradientScale scale_;
  std::vector<T> copies_;
  std::vector<std::complex<R>> alpha_;
};

}  // namespace tfqz

#endif  // TFQZ_ALGORITHMS_SCALED_GRADIENT_H_
