// Products of n x n matrices in the lanes, for the gradient.
#if defined(TFQZ_LOCKSTEP_PRODUCTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TFQZ_LOCKSTEP_PRODUCTS_INL_H_
#undef TFQZ_LOCKSTEP_PRODUCTS_INL_H_
#else
#define TFQZ_LOCKSTEP_PRODUCTS_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <type_traits>

#include "vectors/convention-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tfqz {
namespace HWY_NAMESPACE {

enum class Adjoint { kNone, kFirst, kSecond };

// x y + z, conj(x) y + z or x conj(y) + z.
template <Adjoint kAdjoint, typename R>
HWY_INLINE Lanes<R> add_product(Lanes<R> x, Lanes<R> y, Lanes<R> z) {
  return mul_add(x, y, z);
}
template <Adjoint kAdjoint, typename R>
HWY_INLINE Lanes<std::complex<R>> add_product(Lanes<std::complex<R>> x, Lanes<std::complex<R>> y, Lanes<std::complex<R>> z) {
  if constexpr (kAdjoint == Adjoint::kNone) {
    return mul_add(x, y, z);
  } else if constexpr (kAdjoint == Adjoint::kFirst) {
    return {mul_add(x.im, y.im, mul_add(x.re, y.re, z.re)), neg_mul_add(x.im, y.re, mul_add(x.re, y.im, z.im))};
  } else {
    return add_product<Adjoint::kFirst>(y, x, z);
  }
}

// Some rows and columns of a product, in registers: sums that don't wait for one another, and entries that are loaded once for all.
template <typename T, int kRows, int kColumns>
struct Tile {
  Lanes<T> x[kRows][kColumns];

  HWY_INLINE Tile() {
    for (auto& row : x) {
      for (Lanes<T>& entry : row) entry = number<T>(0);
    }
  }

  // Adds sum_k a_rk b_kc: a points to a_00, entries with r + 1 and k + 1 are so many further; and so does b.
  template <Adjoint kAdjoint>
  HWY_INLINE void add(const Lanes<T>* a, std::ptrdiff_t a_row, std::ptrdiff_t a_step, const Lanes<T>* b, std::ptrdiff_t b_column,
                      std::ptrdiff_t b_step, int count) {
    for (int k = 0; k < count; ++k, a += a_step, b += b_step) {
      Lanes<T> row[kColumns];
      for (int c = 0; c < kColumns; ++c) row[c] = b[c * b_column];
      for (int r = 0; r < kRows; ++r) {
        const Lanes<T> factor = a[r * a_row];
        for (int c = 0; c < kColumns; ++c) x[r][c] = add_product<kAdjoint>(factor, row[c], x[r][c]);
      }
    }
  }
  HWY_INLINE void negate() {
    for (auto& row : x) {
      for (Lanes<T>& entry : row) entry = -entry;
    }
  }
  HWY_INLINE void store_to(Field<Lanes<T>> to, int i, int j) const {
    for (int r = 0; r < kRows; ++r) {
      for (int c = 0; c < kColumns; ++c) to(i + r, j + c) = x[r][c];
    }
  }
};

// Calls f(i, j, tile) for empty tiles that make up an n x n matrix: of eight vectors, as many as multiplications need to be under way.
template <typename T, typename F>
HWY_INLINE void for_tiles(int n, const F& f) {
  const auto columns = [&](auto rows, int i) HWY_ATTR {
    int j = 0;
    const auto tiles = [&](auto width) HWY_ATTR {
      for (; j + width <= n; j += width) f(i, j, Tile<T, decltype(rows)::value, decltype(width)::value>());
    };
    if constexpr (!kComplex<T>) tiles(std::integral_constant<int, 4>());
    tiles(std::integral_constant<int, 2>());
    tiles(std::integral_constant<int, 1>());
  };
  int i = 0;
  for (; i + 2 <= n; i += 2) columns(std::integral_constant<int, 2>(), i);
  if (i < n) columns(std::integral_constant<int, 1>(), i);
}

// G_W = Q^H Qb - Sb S^H - Tb T^H and G_Y = Z^H Zb + S^H Sb + T^H Tb.
template <typename T>
void rotation_cotangents(int n, const Convention<T, Lanes<T>>& c) {
  for_tiles<T>(n, [&](int i, int j, auto tile) HWY_ATTR {
    // S and T reach one row below the diagonal.
    const int begin = std::max(0, std::max(i, j) - 1);
    tile.template add<Adjoint::kSecond>(&c.Sb(i, begin), n, 1, &c.S(j, begin), n, 1, n - begin);
    tile.template add<Adjoint::kSecond>(&c.Tb(i, begin), n, 1, &c.T_(j, begin), n, 1, n - begin);
    tile.negate();
    tile.template add<Adjoint::kFirst>(&c.Q(0, i), 1, n, &c.Qb(0, j), 1, n, n);
    tile.store_to(c.G_W, i, j);
  });
  for_tiles<T>(n, [&](int i, int j, auto tile) HWY_ATTR {
    const int rows = std::size(tile.x), columns = std::size(tile.x[0]);
    const int end = std::min(n, std::min(i + rows, j + columns) + 1);
    tile.template add<Adjoint::kFirst>(&c.S(0, i), 1, n, &c.Sb(0, j), 1, n, end);
    tile.template add<Adjoint::kFirst>(&c.T_(0, i), 1, n, &c.Tb(0, j), 1, n, end);
    tile.template add<Adjoint::kFirst>(&c.Z(0, i), 1, n, &c.Zb(0, j), 1, n, n);
    tile.store_to(c.G_Y, i, j);
  });
}

// out = Q X Z^H.
template <typename T>
void turn_back(int n, Field<const Lanes<T>> Q, Field<Lanes<T>> X, Field<const Lanes<T>> Z, Field<Lanes<T>> work, Field<Lanes<T>> out) {
  for_tiles<T>(n, [&](int i, int j, auto tile) HWY_ATTR {
    tile.template add<Adjoint::kNone>(&Q(i, 0), n, 1, &X(0, j), 1, n, n);
    tile.store_to(work, i, j);
  });
  for_tiles<T>(n, [&](int i, int j, auto tile) HWY_ATTR {
    tile.template add<Adjoint::kSecond>(&work(i, 0), n, 1, &Z(j, 0), n, 1, n);
    tile.store_to(out, i, j);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace tfqz
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
