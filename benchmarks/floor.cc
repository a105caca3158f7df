// One call of LAPACK's QZ driver, as C or C++ would make it: the floor of every wrapper. Inputs are column-major and are copied, since
// LAPACK overwrites them; workspaces are kept from call to call.
#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "pencil/lapack.h"

namespace {

using tfqz::LapackInt;

template <typename T>
int factorize(int n, int leading, int blocked, const T* a, const T* b) {
  using Real = tfqz::Real<T>;
  static std::vector<T> matrices, vectors, work;
  static std::vector<Real> reals;
  const std::size_t size = static_cast<std::size_t>(leading) * n;
  matrices.resize(4 * size);
  vectors.resize(2 * n);
  reals.resize(8 * n);
  T *S = matrices.data(), *T_ = S + size, *Q = T_ + size, *Z = Q + size;
  for (int j = 0; j < n; ++j) {
    std::copy_n(a + static_cast<std::size_t>(j) * n, n, S + static_cast<std::size_t>(j) * leading);
    std::copy_n(b + static_cast<std::size_t>(j) * n, n, T_ + static_cast<std::size_t>(j) * leading);
  }
  const auto driver = blocked ? tfqz::Lapack<T>::gges3 : tfqz::Lapack<T>::gges;
  LapackInt sdim = 0, info = 0;
  const auto call = [&](T* space, LapackInt lwork) {
    if constexpr (std::is_same_v<T, Real>) {
      driver("V", "V", "N", nullptr, &n, S, &leading, T_, &leading, &sdim, reals.data(), reals.data() + n, vectors.data(), Q, &leading, Z,
             &leading, space, &lwork, nullptr, &info, 1, 1, 1);
    } else {
      driver("V", "V", "N", nullptr, &n, S, &leading, T_, &leading, &sdim, vectors.data(), vectors.data() + n, Q, &leading, Z, &leading,
             space, &lwork, reals.data(), nullptr, &info, 1, 1, 1);
    }
  };
  static int asked_n = 0, asked_blocked = 0;
  if (asked_n != n || asked_blocked != blocked) {
    T best;
    call(&best, -1);
    work.resize(static_cast<std::size_t>(std::real(best)));
    asked_n = n, asked_blocked = blocked;
  }
  call(work.data(), static_cast<LapackInt>(work.size()));
  return info;
}

}  // namespace

#define FLOOR(T, name) \
  extern "C" int name(int n, int leading, int blocked, const T* a, const T* b) { return factorize(n, leading, blocked, a, b); }
FLOOR(float, floor_float32)
FLOOR(double, floor_float64)
FLOOR(std::complex<float>, floor_complex64)
FLOOR(std::complex<double>, floor_complex128)
