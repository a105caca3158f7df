// From a fuzzer's bytes to batches of matrices, and what is asked of results.
#ifndef TFQZ_CORE_FUZZ_H_
#define TFQZ_CORE_FUZZ_H_

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "algorithms/batch.h"
#include "pencil/factors.h"
#include "pencil/lapack.h"

namespace {

using tfqz::Real;
using Long = long double;
using LongComplex = std::complex<Long>;

[[noreturn]] inline void fail(const std::string& what, Long found = 0, Long bound = 0) {
  std::fprintf(stderr, "WRONG: %s; %Lg, at most %Lg\n", what.c_str(), found, bound);
  std::abort();
}
inline void require(bool truth, const char* what) {
  if (!truth) fail(what);
}
inline void require_below(Long found, Long bound, const char* what) {
  if (!(found <= bound)) fail(what, found, bound);
}

// What an input says, byte by byte. A few bytes make a large matrix too: those that follow the last one are zeros, noise that the input
// determines, or the input again.
class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {
    for (std::size_t i = 0; i < size; ++i) noise_ = (noise_ ^ data[i]) * 16777619u;
    rest_ = below(3);
  }

  int byte() {
    if (next_ < size_) return data_[next_++];
    if (rest_ == 0 || size_ == 0) return 0;
    if (rest_ == 2) return data_[next_++ % size_];
    noise_ = noise_ * 1664525u + 1013904223u;
    return static_cast<int>(noise_ >> 24);
  }
  int below(int count) { return byte() % count; }
  // -1..1.
  double fraction() {
    const int high = byte();
    return ((high << 8 | byte()) - 32767.5) / 32768;
  }

 private:
  const std::uint8_t* const data_;
  const std::size_t size_;
  std::size_t next_ = 0;
  std::uint32_t noise_ = 2166136261u;
  int rest_ = 0;
};

enum class Numbers { kDense, kIntegers, kGraded, kExtreme, kSpecial };

template <typename R>
R real_number(Bytes& bytes, Numbers numbers) {
  using Limits = std::numeric_limits<R>;
  switch (numbers) {
    case Numbers::kIntegers: return static_cast<R>(bytes.below(7) - 3);
    case Numbers::kGraded: {
      const int code = bytes.byte();
      return code < 64 ? R(0) : static_cast<R>(std::ldexp(bytes.fraction(), code % 21 - 10));
    }
    case Numbers::kExtreme: {
      const int exponent = bytes.byte() * (Limits::max_exponent - Limits::min_exponent + Limits::digits) / 255;
      return static_cast<R>(std::ldexp(bytes.fraction(), exponent + Limits::min_exponent - Limits::digits));
    }
    case Numbers::kSpecial: {
      const R special[] = {R(0),
                           -R(0),
                           R(1),
                           Limits::epsilon(),
                           Limits::min(),
                           Limits::denorm_min(),
                           Limits::max(),
                           -Limits::max(),
                           R(1) + Limits::epsilon()};
      const int code = bytes.byte();
      if (code < 3) return code == 0 ? Limits::quiet_NaN() : code == 1 ? Limits::infinity() : -Limits::infinity();
      return code < 192 ? special[code % 9] : static_cast<R>(bytes.fraction());
    }
    default: return static_cast<R>(bytes.fraction());
  }
}

template <typename T>
T number(Bytes& bytes, Numbers numbers) {
  const Real<T> re = real_number<Real<T>>(bytes, numbers);
  if constexpr (std::is_same_v<T, Real<T>>) {
    return re;
  } else {
    return T(re, real_number<Real<T>>(bytes, numbers));
  }
}

inline Numbers any_numbers(Bytes& bytes) {
  const int code = bytes.below(8);
  return code < 3 ? Numbers::kDense : static_cast<Numbers>(code - 3);
}

// `count` matrices of one kind.
template <typename T>
std::vector<T> matrices(Bytes& bytes, int count, int m, int n, Numbers numbers) {
  std::vector<T> entries(static_cast<std::size_t>(count) * m * n);
  const int form = bytes.below(10), place = bytes.byte();
  for (int k = 0; k < count; ++k) {
    T* x = entries.data() + static_cast<std::size_t>(k) * m * n;
    for (int i = 0; i < m; ++i) {
      for (int j = 0; j < n; ++j) {
        const bool zero = (form == 1 && i > j) || (form == 2 && i > j + 1) || (form == 3 && i != j) ||
                          (form == 4 && (i == place % m || j == place % n)) || (form == 5 && i < j);
        if (!zero) x[i * n + j] = number<T>(bytes, numbers);
      }
    }
    if (form == 6) std::copy_n(x, n, x + place % m * n);  // two rows are the same
    for (int i = 0; i < std::min(m, n) && form == 7; ++i) std::fill_n(x + i * n, n, T(0)), x[i * n + i] = T(1);
    for (int i = 1; i < m && form == 8; ++i) {
      for (int j = 0; j < n; ++j) x[i * n + j] = x[j] * static_cast<Real<T>>(i % 3 - 1);  // rank 1
    }
  }
  return entries;
}

inline int any_size(Bytes& bytes) {
  const int code = bytes.byte();  // large ones take most of the time
  return code < 240 ? 1 + code % 8 : code < 254 ? 9 + 2 * (code - 240) : 40 + 30 * (code - 254);
}
inline int any_count(Bytes& bytes, int n) { return 1 + bytes.below(n <= 8 ? 20 : n <= 18 ? 9 : 2); }

// Results of `count` pencils, in arrays that end where they should.
template <typename T>
struct Results {
  Results(int n, int count)
      : n(n),
        s(static_cast<std::size_t>(count) * n * n),
        t(s),
        q(s),
        z(s),
        beta(static_cast<std::size_t>(count) * n),
        alpha(beta.size()),
        factors{s.data(), t.data(), q.data(), z.data(), alpha.data(), beta.data()} {}

  // To the last bit; numbers only.
  bool same(int k, const Results& other, int l) const {
    const auto equal = [&](const auto& x, const auto& y, std::size_t size) {
      return std::equal(x.data() + k * size, x.data() + (k + 1) * size, y.data() + l * size);
    };
    const std::size_t size = static_cast<std::size_t>(n) * n;
    return equal(s, other.s, size) && equal(t, other.t, size) && equal(q, other.q, size) && equal(z, other.z, size) &&
           equal(alpha, other.alpha, n) && equal(beta, other.beta, n);
  }

  int n;
  std::vector<T> s, t, q, z, beta;
  std::vector<std::complex<Real<T>>> alpha;
  tfqz::Factors<T> factors;
};

template <typename T>
bool finite(const T* x, std::size_t count) {
  return std::all_of(x, x + count, [](T entry) { return std::isfinite(std::real(entry)) && std::isfinite(std::imag(entry)); });
}
template <typename T>
bool finite(const std::vector<T>& x) {
  return finite(x.data(), x.size());
}

// Zeros, and numbers between 1 / far and far: real and imaginary parts are.
template <typename T>
bool moderate(const std::vector<T>& x, double far) {
  const auto is_moderate = [far](Real<T> part) { return part == 0 || (std::abs(part) <= far && std::abs(part) >= 1 / far); };
  return std::all_of(x.begin(), x.end(), [&](T entry) { return is_moderate(std::real(entry)) && is_moderate(std::imag(entry)); });
}

// A matrix in extended precision and range: row-major, and as it is or its adjoint.
struct View {
  View(int rows, int columns) : rows(rows), columns(columns), entries(static_cast<std::size_t>(rows) * columns) {}
  template <typename T>
  View(int rows, int columns, const T* x) : View(rows, columns) {
    for (std::size_t i = 0; i < entries.size(); ++i) entries[i] = LongComplex(std::real(x[i]), std::imag(x[i]));
  }

  LongComplex& operator()(int i, int j) { return entries[static_cast<std::size_t>(i) * columns + j]; }
  LongComplex operator()(int i, int j) const { return entries[static_cast<std::size_t>(i) * columns + j]; }

  int rows, columns;
  std::vector<LongComplex> entries;
};

inline LongComplex product(LongComplex x, LongComplex y) {  // without a look at infinities
  return {x.real() * y.real() - x.imag() * y.imag(), x.real() * y.imag() + x.imag() * y.real()};
}
inline View operator*(const View& X, const View& Y) {
  View result(X.rows, Y.columns);
  for (int i = 0; i < X.rows; ++i) {
    for (int k = 0; k < X.columns; ++k) {
      for (int j = 0; j < Y.columns; ++j) result(i, j) += product(X(i, k), Y(k, j));
    }
  }
  return result;
}
inline View operator-(View X, const View& Y) {
  for (std::size_t i = 0; i < X.entries.size(); ++i) X.entries[i] -= Y.entries[i];
  return X;
}
inline View adjoint(const View& X) {
  View result(X.columns, X.rows);
  for (int i = 0; i < X.rows; ++i) {
    for (int j = 0; j < X.columns; ++j) result(j, i) = std::conj(X(i, j));
  }
  return result;
}
// Frobenius.
inline Long norm(const View& X) {
  Long largest = 0, squares = 0;
  for (LongComplex x : X.entries) {
    largest = std::max({largest, std::abs(x.real()), std::abs(x.imag())});
    if (std::isnan(x.real()) || std::isnan(x.imag())) return std::numeric_limits<Long>::infinity();
  }
  if (largest == 0) return 0;
  for (LongComplex x : X.entries) squares += std::norm(x / largest);
  return largest * std::sqrt(squares);
}

// LAPACK's threshold for its own tests, 30, of errors over n eps.
template <typename T>
Long rounding(int n) {
  return Long(30) * std::max(n, 1) * std::numeric_limits<Real<T>>::epsilon();
}

// Orthonormal columns.
template <typename T>
void require_orthonormal(const View& X, const char* what) {
  View gram = adjoint(X) * X;
  for (int i = 0; i < X.columns; ++i) gram(i, i) -= 1;
  require_below(norm(gram), rounding<T>(X.rows), what);
}

// A = Q S Z^H, up to rounding and, where there are denormals, as many of the smallest of these.
template <typename T>
void require_product(const View& A, const View& Q, const View& S, const View& Z, const char* what) {
  const int n = std::max(A.rows, A.columns);
  const Long least = std::numeric_limits<Real<T>>::denorm_min() * Long(30) * n * n;
  require_below(norm(A - Q * S * adjoint(Z)), rounding<T>(n) * norm(A) + least, what);
}

template <typename Batch>
std::string run(Batch&& batch, int elements) {
  batch.run(0, elements);
  return batch.failure({elements});
}

}  // namespace

#endif  // TFQZ_CORE_FUZZ_H_
