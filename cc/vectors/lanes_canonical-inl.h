// The canonical form (canonical.h), alpha and beta, for all lanes at once.
#if defined(TFQZ_LANES_CANONICAL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TFQZ_LANES_CANONICAL_INL_H_
#undef TFQZ_LANES_CANONICAL_INL_H_
#else
#define TFQZ_LANES_CANONICAL_INL_H_
#endif

#include <algorithm>

#include "vectors/reflector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tfqz {
namespace HWY_NAMESPACE {

// Turns the 2 x 2 block of T at k, [p q; 0 s], into diag(a, d), in the lanes of the mask: its singular value decomposition.
//
// The left singular vector of a is at half the angle of (p^2 + q^2 - s^2, 2 q s); the right one is parallel to T^T times it, however
// inaccurate it is where a and d nearly coincide. From the determinant, d = p s / a has a small relative error.
template <typename P>
HWY_INLINE void make_diagonal(const P& group, int k, Mask<typename P::Number> block) {
  using R = typename P::Number;
  const Lanes<R> zero = all_lanes(R(0)), one = all_lanes(R(1));
  Lanes<R> p = group.T_(k, k), q = group.T_(k, k + 1), s = group.T_(k + 1, k + 1);
  const Lanes<R> determinant = p * s, of_t = max(max(abs(p), abs(q)), abs(s)), over_t = one / select(zero < of_t, of_t, one);
  p = over_t * p;
  q = over_t * q;
  s = over_t * s;
  const Lanes<R> cosine = mul_add(p - s, p + s, q * q), sine = (q + q) * s;
  const Lanes<R> length = sqrt(mul_add(cosine, cosine, sine * sine));
  const Mask<R> right_half = zero <= cosine;
  const Mask<R> any_turn = zero < length;
  Lanes<R> u[2] = {select(right_half, length + cosine, sine), select(right_half, sine, length - cosine)};
  u[0] = select(any_turn, u[0], one);
  u[1] = masked(any_turn, u[1]);
  const Lanes<R> scale = max(abs(u[0]), abs(u[1]));
  u[0] = u[0] / scale;
  u[1] = u[1] / scale;
  Lanes<R> v[2] = {p * u[0], mul_add(q, u[0], s * u[1])};
  group.turn_rows(reflector(u, block), k, k, k);
  group.turn_columns(reflector(v, block), k, k + 2, k + 2);
  // Rounding must not make d the larger one.
  const Lanes<R> a = group.T_(k, k), bound = abs(a);
  const Lanes<R> d = min(max(determinant / select(block, a, one), -bound), bound);
  group.T_.set(k + 1, k + 1, select(block, d, group.T_(k + 1, k + 1)));
  group.T_.set(k, k + 1, masked(!block, group.T_(k, k + 1)));
  group.T_.clear(k + 1, k);
}

// Splits the block [p q; r u] of S at k, of which T's is diag(a, d), in the lanes of the mask where its eigenvalues are real, or so near
// to a double one that the rounding errors of its entries decide. (As LAPACK's xLAGV2 does.)
//
// With both blocks' largest entries 1 an eigenvalue alpha / beta has alpha = w, beta = d: w^2 - (p d + u) w + (p u - q r) d = 0.
template <typename P>
HWY_INLINE void split_real(const P& group, int k, Mask<typename P::Number> block) {
  using R = typename P::Number;
  const Lanes<R> zero = all_lanes(R(0)), one = all_lanes(R(1)), half = all_lanes(R(0.5));
  Lanes<R> p = group.S(k, k), q = group.S(k, k + 1), r = group.S(k + 1, k), u = group.S(k + 1, k + 1);
  const Lanes<R> t_1 = group.T_(k, k), t_2 = group.T_(k + 1, k + 1), a = abs(t_1), of_s = max(max(abs(p), abs(q)), max(abs(r), abs(u)));
  const Lanes<R> over_s = one / select(block, of_s, one), d = min(abs(t_2) / select(zero < a, a, one), one);
  // Rows turned so that T's entries are positive.
  const Lanes<R> first = select(t_1 < zero, -over_s, over_s), second = select(t_2 < zero, -over_s, over_s);
  p = first * p;
  q = first * q;
  r = second * r;
  u = second * u;
  const Lanes<R> rho = sqrt(d), balanced_p = p * rho, balanced_u = u / rho;
  const Lanes<R> outer = sqrt(abs(q)) * sqrt(abs(r)), inner = half * abs(balanced_p - balanced_u);
  const Lanes<R> rounding = all_lanes(4 * std::numeric_limits<R>::epsilon()) * (outer + abs(balanced_p) + abs(balanced_u));
  const Mask<R> opposite = ((q < zero) & (zero < r)) | ((zero < q) & (r < zero));
  const Mask<R> real = block & !(opposite & (rounding < outer - inner));  // d = 0 too, where the balanced block isn't finite
  if (HWY_LIKELY(!any(real))) return;
  const Lanes<R> difference = half * mul_add(p, d, -u), mean = half * mul_add(p, d, u);
  const Lanes<R> root = sqrt(max(mul_add(difference, difference, d * (q * r)), zero));
  Lanes<R> alpha = mean + select(mean < zero, -root, root);
  alpha = select(is_zero(alpha) & is_zero(d), one, alpha);
  const Lanes<R> longer = max(abs(alpha), d);
  const Lanes<R> beta = d / longer;
  alpha = alpha / longer;
  // The null vector of beta S - alpha T is orthogonal to the larger row.
  const Lanes<R> row_1[2] = {mul_add(beta, p, -alpha), beta * q}, row_2[2] = {beta * r, neg_mul_add(alpha, d, beta * u)};
  const Mask<R> larger = max(abs(row_1[0]), abs(row_1[1])) < max(abs(row_2[0]), abs(row_2[1]));
  Lanes<R> x[2] = {select(larger, row_2[1], row_1[1]), -select(larger, row_2[0], row_1[0])};
  x[0] = select(is_zero(x[0]) & is_zero(x[1]), one, x[0]);
  group.turn_columns(reflector(x, real), k, k + 2, k + 2);
  // Both first columns are parallel now. The one that says more about the other one goes up.
  const Lanes<R> of_t[2] = {group.T_(k, k), group.T_(k + 1, k)}, of_s_[2] = {group.S(k, k), group.S(k + 1, k)};
  const Mask<R> by_t = (abs(alpha) <= beta) & !(is_zero(of_t[0]) & is_zero(of_t[1]));
  Lanes<R> y[2] = {select(by_t, of_t[0], of_s_[0]), select(by_t, of_t[1], of_s_[1])};
  group.turn_rows(reflector(y, real), k, k, k);
  group.S.set(k + 1, k, masked(!real, group.S(k + 1, k)));
  group.T_.clear(k + 1, k);
}

// Real dtypes: T is diag(a, d) in 2 x 2 blocks, and their eigenvalues are complex, then.
template <typename P>
void standardize_blocks(const P& group) {
  using R = typename P::Number;
  for (int k = 0; k + 1 < group.n; ++k) {
    const Mask<R> block = !is_zero(group.S(k + 1, k));
    if (!any(block)) continue;
    make_diagonal(group, k, block);
    split_real(group, k, block);
  }
}

// |x|, and x / |x|, 1 for 0.
template <typename R>
HWY_INLINE Lanes<R> phase(Lanes<R> x, Lanes<R>* modulus) {
  *modulus = abs(x);
  const Lanes<R> one = all_lanes(R(1));
  return select(x < all_lanes(R(0)), -one, one);
}
template <typename R>
HWY_INLINE Lanes<std::complex<R>> phase(Lanes<std::complex<R>> x, Lanes<R>* modulus) {
  // Of subnormal numbers, which have few digits, the quotient has the modulus 1 to these few only: normalised twice.
  const Lanes<R> largest = size(x);
  const Mask<R> some = all_lanes(R(0)) < largest;
  const Lanes<std::complex<R>> scaled = divided(x, select(some, largest, all_lanes(R(1))));
  const Lanes<R> length = select(some, sqrt(abs2(scaled)), all_lanes(R(1)));
  *modulus = masked(some, length * largest);
  return select(some, divided(scaled, length), number<std::complex<R>>(1));
}

// Makes what is below the diagonal of S, and s_jj and t_jj of 1 x 1 blocks, 0 where it will be when S and T are multiplied by these:
// neither blocks nor phases hang on what isn't there then.
template <typename T>
void drop_underflowing(const Group<T>& group, Lanes<Real<T>> of_s, Lanes<Real<T>> of_t) {
  using R = Real<T>;
  const auto vanishes = [](Lanes<T> x, Lanes<R> factor) HWY_ATTR {
    Lanes<R> modulus;
    phase(x, &modulus);
    return is_zero(factor * modulus);
  };
  if constexpr (!kComplex<T>) {
    for (int j = 0; j + 1 < group.n; ++j) group.S.set(j + 1, j, masked(!vanishes(group.S(j + 1, j), of_s), group.S(j + 1, j)));
  }
  Mask<R> second = of_s < of_s;
  for (int j = 0; j < group.n; ++j) {
    const Mask<R> first = j + 1 < group.n ? !is_zero(group.S(j + 1, j)) : of_s < of_s, block = first | second;
    const Lanes<T> s = group.S(j, j), t = group.T_(j, j);
    group.S.set(j, j, masked(block | !vanishes(s, of_s), s));
    group.T_.set(j, j, masked(block | !vanishes(t, of_t), t));
    second = first;
  }
}

// The lanes that have an eigenvalue 0/0.
template <typename T>
Mask<Real<T>> undetermined(const Group<T>& group) {
  const Lanes<Real<T>> nothing = all_lanes(Real<T>(0));
  Mask<Real<T>> found = nothing < nothing;
  for (int j = 0; j < group.n; ++j) found = found | (is_zero(group.S(j, j)) & is_zero(group.T_(j, j)));
  return found;
}

// The first of the entries of a row whose modulus reaches (1 - tie) times the largest, and where it is.
template <typename T>
HWY_INLINE Lanes<T> largest_entry(LanesMatrix<T> X, int row, int n, Lanes<Real<T>>* where) {
  using R = Real<T>;
  constexpr R kReach = 1 - 1024 * std::numeric_limits<R>::epsilon();
  Lanes<R> largest = all_lanes(R(0));
  for (int i = 0; i < n; ++i) largest = max(largest, abs2(X(row, i)));
  const Lanes<R> reach = all_lanes(kReach * kReach) * largest;
  Lanes<T> entry = X(row, 0);
  *where = all_lanes(R(0));
  for (int i = n - 1; i >= 0; --i) {
    const Lanes<T> x = X(row, i);
    const Mask<R> reaches = reach <= abs2(x);
    entry = select(reaches, x, entry);
    *where = select(reaches, all_lanes(R(i)), *where);
  }
  return entry;
}

template <typename T>
HWY_INLINE void multiply(LanesMatrix<T> X, int row, int column, std::ptrdiff_t step, int count, Lanes<T> factor) {
  Real<T>* x = X.at(row, column);
  for (int i = 0; i < count; ++i, x += step * kStride<T>) store(factor * load<T>(x), x);
}

template <typename T>
void canonicalize(const Group<T>& group) {
  using R = Real<T>;
  const int n = group.n;
  const LanesMatrix<T> S = group.S, T_ = group.T_, QH = group.QH, ZT = group.ZT;
  Lanes<R> modulus, where;
  for (int j = 0; j < n && ZT.present(); ++j) {
    const Lanes<T> turn = conj(phase(largest_entry(ZT, j, n, &where), &modulus));
    for (int i = 0; i < n; ++i) {
      ZT.set(j, i, select(where == all_lanes(R(i)), widened<T>(modulus), turn * ZT(j, i)));
    }
    const int rows = std::min(n, j + 2);  // a 2 x 2 block reaches one row below the diagonal
    multiply(S, 0, j, S.leading, rows, turn);
    multiply(T_, 0, j, T_.leading, rows, turn);
  }
  for (int j = 0; j < n; ++j) {
    const Lanes<T> t = T_(j, j), s = S(j, j);
    const Mask<R> infinite = is_zero(t), no_s = is_zero(s);
    Lanes<T> chosen = select(infinite, s, t);
    if (QH.present() && any(infinite & no_s)) chosen = select(infinite & no_s, largest_entry(QH, j, n, &where), chosen);
    const Lanes<T> turn = conj(phase(chosen, &modulus));
    if (QH.present()) multiply(QH, j, 0, 1, n, turn);
    const int first = std::max(0, j - 1);
    multiply(S, j, first, 1, n - first, turn);
    multiply(T_, j, first, 1, n - first, turn);
    T_.set(j, j, widened<T>(masked(!infinite, modulus)));
    S.set(j, j, select(infinite, widened<T>(masked(!no_s, modulus)), S(j, j)));
  }
}

// Of canonical factors, as alpha_beta of canonical.h: for each j the real and the imaginary part of alpha, and beta.
template <typename T>
void alpha_beta(const Group<T>& group, Real<T>* eigenvalues) {
  using R = Real<T>;
  constexpr int kCount = kLanes<T>;
  const auto set = [&](int j, Lanes<R> re, Lanes<R> im, Lanes<R> beta) HWY_ATTR {
    store(re, eigenvalues + (3 * j) * kCount);
    store(im, eigenvalues + (3 * j + 1) * kCount);
    store(beta, eigenvalues + (3 * j + 2) * kCount);
  };
  const Lanes<R> zero = all_lanes(R(0));
  if constexpr (kComplex<T>) {
    for (int j = 0; j < group.n; ++j) set(j, group.S(j, j).re, group.S(j, j).im, group.T_(j, j).re);
  } else {
    const Lanes<R> one = all_lanes(R(1)), half = all_lanes(R(0.5));
    Mask<R> second = one < zero;
    Lanes<R> re = zero, im = zero, beta = zero;  // of the block that began one row above
    for (int j = 0; j < group.n; ++j) {
      const Lanes<R> s_jj = group.S(j, j), t_jj = group.T_(j, j);
      const Lanes<R> low = j + 1 < group.n ? group.S(j + 1, j) : zero;
      const Mask<R> block = !is_zero(low);
      Lanes<R> re_here = s_jj, im_here = zero, beta_here = t_jj;
      if (any(block)) {
        const Lanes<R> a = select(block, t_jj, one), d = select(block, group.T_(j + 1, j + 1), one), rho = sqrt(d / a);
        const Lanes<R> p = s_jj * rho, s = group.S(j + 1, j + 1) / rho;
        // -q r - ((p - s) / 2)^2 as a product of two factors.
        const Lanes<R> outer = sqrt(abs(group.S(j, j + 1))) * sqrt(abs(low)), inner = half * abs(p - s);
        re_here = select(block, half * (p + s), re_here);
        im_here = masked(block, sqrt(max(outer - inner, zero)) * sqrt(outer + inner));
        beta_here = select(block, sqrt(a) * sqrt(d), beta_here);
      }
      set(j, select(second, re, re_here), select(second, -im, im_here), select(second, beta, beta_here));
      re = re_here;
      im = im_here;
      beta = beta_here;
      second = block;
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tfqz
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
