// From A, B to S upper Hessenberg, T upper triangular: B = Q T by Householder's reflectors, then S's entries below the
// subdiagonal go one by one, from the bottom of each column up, while T stays triangular.
#if defined(TFQZ_LANES_REDUCTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TFQZ_LANES_REDUCTION_INL_H_
#undef TFQZ_LANES_REDUCTION_INL_H_
#else
#define TFQZ_LANES_REDUCTION_INL_H_
#endif

#include "vectors/lanes_canonical-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tfqz {
namespace HWY_NAMESPACE {

// x -= scaled (adjoint x) for the columns [begin, end) of X, rows from `row` on; `count` entries each in scaled and adjoint.
template <typename T>
HWY_INLINE void turn_tall(LanesMatrix<T> X, int row, int begin, int end, const Real<T>* scaled, const Real<T>* adjoint, int count) {
  constexpr int kTogether = kComplex<T> ? 2 : 4;  // columns whose sums don't wait for one another
  const std::ptrdiff_t step = static_cast<std::ptrdiff_t>(X.leading) * kStride<T>;
  int j = begin;
  const auto columns = [&](auto together) HWY_ATTR {
    constexpr int kColumns = decltype(together)::value;
    Real<T>* x = X.at(row, j);
    Lanes<T> products[kColumns];
    for (int k = 0; k < kColumns; ++k) products[k] = load<T>(x + k * kStride<T>);
    for (int i = 1; i < count; ++i) {
      const Lanes<T> factor = load<T>(adjoint + i * kStride<T>);
      for (int k = 0; k < kColumns; ++k) products[k] = mul_add(factor, load<T>(x + i * step + k * kStride<T>), products[k]);
    }
    for (int i = 0; i < count; ++i) {
      const Lanes<T> factor = load<T>(scaled + i * kStride<T>);
      for (int k = 0; k < kColumns; ++k) {
        Real<T>* entry = x + i * step + k * kStride<T>;
        store(neg_mul_add(factor, products[k], load<T>(entry)), entry);
      }
    }
    j += kColumns;
  };
  while (j + kTogether <= end) columns(std::integral_constant<int, kTogether>());
  while (j < end) columns(std::integral_constant<int, 1>());
}

// The reflector of `reflector()` for a column of any length, as turn_tall takes it; returns what it makes of x_0.
template <typename T>
HWY_INLINE Lanes<T> tall_reflector(LanesMatrix<T> X, int row, int column, int count, Real<T>* scaled, Real<T>* adjoint) {
  using R = Real<T>;
  // The norm of what is below x_0, |x|, in the place of x_1: a reflector of two entries, of which v_i is v_1 x_i / |x|.
  const Lanes<R> zero = all_lanes(R(0)), one = all_lanes(R(1));
  Lanes<R> largest = zero;
  for (int i = 1; i < count; ++i) largest = max(largest, size(X(row + i, column)));
  const Mask<R> some = zero < largest;
  const Lanes<R> over_largest = one / max(select(some, largest, one), all_lanes(4 * std::numeric_limits<R>::min()));
  const Lanes<R> scale = select(largest < all_lanes(kSafe<R>), over_largest, one);
  Lanes<R> squares = zero;
  for (int i = 1; i < count; ++i) squares = squares + abs2(scale * X(row + i, column));
  const Lanes<R> norm = sqrt(squares), over_norm = masked(some, one / select(some, norm, one));
  Lanes<T> pair[2] = {X(row, column), widened<T>(norm / scale)};
  Lanes<T> first;
  const Reflector<T, 2> H = reflector(pair, some, &first);
  store(widened<T>(H.tau), scaled);
  for (int i = 1; i < count; ++i) {
    const Lanes<T> x = over_norm * (scale * X(row + i, column));
    store(H.scaled[0] * x, scaled + i * kStride<T>);
    store(H.adjoint[0] * conj(x), adjoint + i * kStride<T>);
  }
  return select(some, first, X(row, column));
}

// Rows turn so that T's diagonal is real and not negative: which entries are negligible depends on their phases a little (size()), and
// these should be the same whoever decomposes B.
template <typename T>
void make_diagonal_positive(const Group<T>& group) {
  const int n = group.n;
  for (int j = 0; j < n; ++j) {
    Lanes<Real<T>> modulus;
    const Lanes<T> turn = conj(phase(group.T_(j, j), &modulus));
    group.T_.set(j, j, widened<T>(modulus));
    multiply(group.T_, j, j + 1, 1, n - j - 1, turn);
    multiply(group.S, j, 0, 1, n, turn);
    if (group.QH.present()) multiply(group.QH, j, 0, 1, n, turn);
  }
}

// `vectors`: room for two columns.
template <typename T>
void triangularize(const Group<T>& group, Real<T>* vectors) {
  const int n = group.n;
  Real<T>*scaled = vectors, *adjoint = vectors + n * kStride<T>;
  for (int k = 0; k + 1 < n; ++k) {
    const int count = n - k;
    const Lanes<T> first = tall_reflector(group.T_, k, k, count, scaled, adjoint);
    turn_tall(group.T_, k, k + 1, n, scaled, adjoint, count);
    turn_tall(group.S, k, 0, n, scaled, adjoint, count);
    if (group.QH.present()) turn_tall(group.QH, k, 0, n, scaled, adjoint, count);
    group.T_.set(k, k, first);
    for (int i = k + 1; i < n; ++i) group.T_.clear(i, k);
  }
  if constexpr (kComplex<T>) make_diagonal_positive(group);
}

// Columns j, j + 1 of a row (p, q) turn so that p goes: the first column of the reflector that does it is parallel to (q, -p).
template <typename T>
HWY_INLINE Reflector<T, 2> clearing_first(Lanes<T> p, Lanes<T> q, Mask<Real<T>> mask) {
  Lanes<T> x[2] = {q, -p};
  return reflector(x, mask);
}

template <typename P>
void reduce_to_hessenberg(const P& group) {
  using T = typename P::Number;
  const Mask<Real<T>> everywhere = is_zero(all_lanes(Real<T>(0)));
  const int n = group.n;
  for (int j = 0; j + 2 < n; ++j) {
    for (int i = n - 1; i >= j + 2; --i) {
      Lanes<T> x[2] = {group.S(i - 1, j), group.S(i, j)};
      const Lanes<T> above = x[0];
      Lanes<T> first;
      const Mask<Real<T>> wanted = !is_zero(x[1]);
      const Reflector<T, 2> left = reflector(x, wanted, &first);
      reflect_rows(left, group.T_, i - 1, i - 1, n);
      const Reflector<T, 2> right = clearing_first(group.T_(i, i - 1), group.T_(i, i), everywhere);  // while the others turn
      reflect_rows(left, group.S, i - 1, j + 1, n);
      group.turn_q(left, i - 1);
      group.S.set(i - 1, j, select(wanted, first, above));
      group.S.clear(i, j);
      const Reflector<T, 2> conjugate = conj(right);
      reflect_columns(conjugate, group.S, i - 1, 0, n);
      reflect_columns(conjugate, group.T_, i - 1, 0, i + 1);
      // Z began as the identity: before these columns there are zeros.
      if (group.ZT.present()) reflect_rows(conjugate, group.ZT, i - 1, i - 1 - j, n);
      group.T_.clear(i, i - 1);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tfqz
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
