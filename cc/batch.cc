#include "batch.h"

#include <algorithm>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace tfqz {
namespace {

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

// " in batch element [2, 0]", and nothing for a single pencil.
std::string batch_element(const std::vector<int64_t>& shape, int64_t index) {
  if (shape.empty()) return "";
  std::string text = "]";
  for (std::size_t dim = shape.size(); dim-- > 0;) {
    text = (dim > 0 ? ", " : "") + std::to_string(index % shape[dim]) + text;
    index /= shape[dim];
  }
  return " in batch element [" + text;
}

}  // namespace

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "(";
  for (std::size_t dim = 0; dim < shape.size(); ++dim) text += (dim > 0 ? ", " : "") + std::to_string(shape[dim]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

template <typename T>
void QzBatch<T>::run(int64_t begin, int64_t end) {
  const GradualUnderflow gradual_underflow;
  QzSolver<T> solver(n_);
  for (int64_t index = begin; index < end; ++index) {
    Outcome outcome = {};
    const Problem problem = decompose(solver, index, &outcome);
    if (problem == Problem::kNone) continue;
    if (!fill_failures_) return report(index, problem, outcome);
    const Factors<T> factors = factors_of(index);
    const std::size_t size = static_cast<std::size_t>(n_) * n_;
    const Real<T> nan = std::numeric_limits<Real<T>>::quiet_NaN();
    for (T* matrix : {factors.s, factors.t, factors.q, factors.z}) std::fill_n(matrix, size, T(nan));
    std::fill_n(factors.alpha, n_, std::complex<Real<T>>(nan, nan));
    std::fill_n(factors.beta, n_, T(nan));
  }
}

template <typename T>
typename QzBatch<T>::Problem QzBatch<T>::decompose(QzSolver<T>& solver, int64_t index, Outcome* outcome) {
  const int64_t size = int64_t{n_} * n_;
  const T* a = arrays_.a + size * (arrays_.a_indices.empty() ? index : arrays_.a_indices[index]);
  const T* b = arrays_.b + size * (arrays_.b_indices.empty() ? index : arrays_.b_indices[index]);
  if (!all_finite(a, size)) return Problem::kInfiniteA;
  if (!all_finite(b, size)) return Problem::kInfiniteB;
  *outcome = solver(a, b, factors_of(index));
  return outcome->info == 0 ? Problem::kNone : Problem::kNoConvergence;
}

template <typename T>
Factors<T> QzBatch<T>::factors_of(int64_t index) const {
  const int64_t matrix = index * n_ * n_, vector = index * n_;
  const Factors<T>& all = arrays_.factors;
  return {all.s + matrix, all.t + matrix, all.q + matrix, all.z + matrix, all.alpha + vector, all.beta + vector};
}

template <typename T>
void QzBatch<T>::report(int64_t index, Problem problem, Outcome outcome) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (index >= failing_index_) return;
  failing_index_ = index;
  problem_ = problem;
  outcome_ = outcome;
}

template <typename T>
std::string QzBatch<T>::failure(const std::vector<int64_t>& batch_shape) const {
  const auto where = [&] { return batch_element(batch_shape, failing_index_); };
  switch (problem_) {
    case Problem::kNone:
      return "";
    case Problem::kInfiniteA:
      return "`a` must be finite; got NaN or Inf" + where();
    case Problem::kInfiniteB:
      return "`b` must be finite; got NaN or Inf" + where();
    case Problem::kNoConvergence:
      break;
  }
  return std::string("`a`, `b` must be a pencil on which QZ converges; LAPACK's ") + outcome_.routine +
         " returned info = " + std::to_string(outcome_.info) + where();
}

template class QzBatch<float>;
template class QzBatch<double>;
template class QzBatch<std::complex<float>>;
template class QzBatch<std::complex<double>>;

}  // namespace tfqz
