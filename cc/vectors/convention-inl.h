// What stands around the triangular equations in the derivative of the QZ decomposition: the cotangents of the factors, those that the
// canonical form adds, and the eigenvalues'. tfqz/_derivative/formula.py and tfqz/_form/eigenvalues.py have the formulas, and the reasons,
// under the same names; this is one text for a single pencil (N a number) and for several in lockstep (N one number of each, lanes-inl.h).
#if defined(TFQZ_CONVENTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TFQZ_CONVENTION_INL_H_
#undef TFQZ_CONVENTION_INL_H_
#else
#define TFQZ_CONVENTION_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "vectors/numbers-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tfqz {
namespace HWY_NAMESPACE {

// A diagonal block [p0 q; r s0] of S of which T's is diag(a, d), balanced: [p q; r s] with p = p0 rho, s = s0 / rho, rho = sqrt(d / a)
// has the eigenvalues alpha where beta is sqrt(a d); y is their imaginary part.
template <typename V>
struct BalancedBlock {
  V p, q, r, s, a, d, rho, beta, y;
};

// sqrt(x y) of x, y >= 0, to the last bit homogeneous: powers of two make no difference.
template <typename V>
HWY_INLINE V geometric_mean(V x, V y) {
  using std::max, std::min, std::sqrt;
  const V larger = max(x, y), nothing = constant<V>(0);
  return larger * sqrt(min(x, y) / select(larger == nothing, constant<V>(1), larger));
}

// Where no block starts: of an arbitrary one with complex eigenvalues.
template <typename V, typename M>
HWY_INLINE BalancedBlock<V> balanced(M start, V p, V q, V r, V s, V a, V d) {
  using std::abs, std::max, std::sqrt;
  const V one = constant<V>(1);
  BalancedBlock<V> block;
  block.a = select(start, a, one);
  block.d = select(start, d, one);
  block.rho = sqrt(block.d / block.a);
  block.beta = block.a * block.rho;
  block.p = select(start, p, one) * block.rho;
  block.q = select(start, q, one);
  block.r = select(start, r, -one);
  block.s = select(start, s, one) / block.rho;
  const V outer = geometric_mean(abs(block.q), abs(block.r)), inner = abs(block.p - block.s) / constant<V>(2);
  block.y = geometric_mean(outer + inner, max(outer - inner, constant<V>(0)));  // squares would overflow
  return block;
}

// The factors, their cotangents, of which those of S and T are changed, and what comes of them: G_W and G_Y, whose strictly lower
// parts are P and R at last.
template <typename T, typename N>
class Convention {
 public:
  using R = Real<T>;
  using V = typename RealPart<N>::type;
  static constexpr bool kIsComplex = !std::is_same_v<T, R>;

  Field<const N> S, T_, Q, Z;
  Field<N> Sb, Tb;
  Field<const N> Qb, Zb;
  Field<N> G_W, G_Y;

  // `work`: room for 5 n numbers.
  Convention(int n, Field<const N> S, Field<const N> T_, Field<const N> Q, Field<const N> Z, Field<N> Sb, Field<N> Tb, Field<const N> Qb,
             Field<const N> Zb, Field<N> G_W, Field<N> G_Y, V* work)
      : S(S), T_(T_), Q(Q), Z(Z), Sb(Sb), Tb(Tb), Qb(Qb), Zb(Zb), G_W(G_W), G_Y(G_Y), n_(n), noise_(work), maxima_(work + n) {}

  // Whether a 2 x 2 block starts in row j.
  auto starts(int j) const { return !is_zero(S(j + 1, j)); }

  // Cotangents outside the pattern of S and T count as 0.
  void keep_pattern() {
    for (int i = 1; i < n_; ++i) {
      for (int j = 0; j < i; ++j) {
        if constexpr (!kIsComplex) {
          if (j + 1 == i) {
            Sb(i, j) = masked(starts(j), Sb(i, j));
            Tb(i, j) = masked(starts(j), Tb(i, j));
            continue;
          }
        }
        Sb(i, j) = Tb(i, j) = zeros<N>();
      }
    }
  }

  // From cotangents of alpha and beta, n numbers each, those of S and T in the diagonal blocks. Of beta's the real part counts.
  void add_eigenvalues(const V* alphab_re, const V* alphab_im, const V* betab) {
    const V two = constant<V>(2);
    decltype(is_zero(zeros<V>()) | is_zero(zeros<V>())) inside = is_zero(constant<V>(1));
    for (int j = 0; j < n_; ++j) {
      if constexpr (kIsComplex) {
        Sb(j, j) = Sb(j, j) + N{alphab_re[j], alphab_im[j]};
        Tb(j, j) = Tb(j, j) + N{betab[j], zeros<V>()};
      } else {
        const auto start = j + 1 < n_ ? starts(j) : is_zero(constant<V>(1));
        Sb(j, j) = Sb(j, j) + masked(!(start | inside), alphab_re[j]);
        Tb(j, j) = Tb(j, j) + masked(!(start | inside), betab[j]);
        inside = start;
        if (!any(start)) continue;
        const auto [p, q, r, s, a, d, rho, beta, y] =
            balanced(start, S(j, j), S(j, j + 1), S(j + 1, j), S(j + 1, j + 1), T_(j, j), T_(j + 1, j + 1));
        // x = (p + s) / 2 and y^2 = p s - q r - x^2, for the pair's two alphas together; both have the same beta. With T's block
        // [a m; l d] the sum p + s has the term -(q l + r m) / beta.
        const V yb = alphab_im[j] - alphab_im[j + 1], betab_pair = betab[j] + betab[j + 1];
        const V square = divide(yb, two * y), xb = alphab_re[j] + alphab_re[j + 1] - square * (p + s);
        const V pb = xb / two + square * s, sb = xb / two + square * p;
        const V log_rho = (pb * p - sb * s) / two, log_beta = betab_pair * beta / two;
        const auto add = [&](Field<N> X, int i, int k, V x) HWY_ATTR { X(j + i, j + k) = X(j + i, j + k) + masked(start, x); };
        add(Sb, 0, 0, pb * rho);
        add(Sb, 0, 1, -(square * r));
        add(Sb, 1, 0, -(square * q));
        add(Sb, 1, 1, sb / rho);
        add(Tb, 0, 0, (log_beta - log_rho) / a);
        add(Tb, 0, 1, -(xb * r) / (two * beta));
        add(Tb, 1, 0, -(xb * q) / (two * beta));
        add(Tb, 1, 1, (log_beta + log_rho) / d);
      }
    }
  }

  // The cotangent of T in its diagonal blocks, where these vary; and the rounding errors of what follows.
  void prepare() {
    measure_noise();
    if constexpr (!kIsComplex) {
      for (int j = 0; j + 1 < n_; ++j) {
        const auto start = starts(j);
        if (!any(start)) continue;
        const V mean = masked(!unequal(j), (Tb(j, j + 1) + Tb(j + 1, j)) / constant<V>(2));
        Tb(j, j + 1) = select(start, mean, Tb(j, j + 1));
        Tb(j + 1, j) = select(start, mean, Tb(j + 1, j));
      }
    }
  }

  // Adds what keeps the factors in canonical form to Sb, Tb, G_W and G_Y, given these.
  void add_convention() {
    for (int j = 0; j < n_; ++j) {
      if constexpr (kIsComplex) {
        add_phase(j);
      } else if (j + 1 < n_) {
        add_rotation(j);
      }
    }
    if constexpr (kIsComplex) {
      for (int j = 0; j < n_; ++j) add_largest_entry(j);
    }
  }

  // P and R in place of the strictly lower parts of G_W and G_Y.
  void skew() {
    for (int i = 0; i < n_; ++i) {
      for (int j = 0; j < i; ++j) {
        G_W(i, j) = G_W(i, j) - conj(G_W(j, i));
        G_Y(i, j) = G_Y(i, j) - conj(G_Y(j, i));
      }
    }
  }

  // The largest rounding error of an entry of P and R.
  V largest_noise() const { return largest_of(noise_); }

 private:
  static constexpr R kEpsilon = std::numeric_limits<R>::epsilon();
  // tfqz/_form/tolerances.py: cancellation, zero_beta, zero_pair, equal_block_entries, tie.
  V cancellation() const { return constant<V>(8 * kEpsilon * n_); }
  auto zero_beta(int j) const { return real(T_(j, j)) <= constant<V>(4 * kEpsilon * n_) * norm_t_; }
  auto zero_alpha(int j) const { return real(S(j, j)) <= constant<V>(4 * kEpsilon * n_) * norm_s_; }
  auto unequal(int j) const {
    const V a = real(T_(j, j)), d = real(T_(j + 1, j + 1));
    return starts(j) & (constant<V>(64 * kEpsilon) * (a + d) < a - d);
  }

  void measure_maxima(Field<const N> X, V* columns, V* rows) {
    using std::max;
    for (int j = 0; j < n_; ++j) columns[j] = zeros<V>();
    for (int i = 0; i < n_; ++i) {
      V row = zeros<V>();
      for (int j = 0; j < n_; ++j) {
        const V x = size(X(i, j));
        row = max(row, x);
        columns[j] = max(columns[j], x);
      }
      rows[i] = row;
    }
  }

  V largest_of(const V* x) const {
    using std::max;
    V largest = zeros<V>();
    for (int j = 0; j < n_; ++j) largest = max(largest, x[j]);
    return largest;
  }

  void measure_noise() {
    using std::max;
    V *columns = maxima_, *rows = columns + n_, *columns_b = rows + n_, *rows_b = columns_b + n_;
    measure_maxima(Qb, noise_, rows);
    measure_maxima(Zb, columns, rows);
    for (int j = 0; j < n_; ++j) noise_[j] = noise_[j] + columns[j];
    const auto products = [&](Field<const N> X, Field<N> Xb) HWY_ATTR {
      measure_maxima(X, columns, rows);
      measure_maxima({&Xb(0, 0), n_}, columns_b, rows_b);
      for (int j = 0; j < n_; ++j) noise_[j] = noise_[j] + columns[j] * columns_b[j] + rows[j] * rows_b[j];
    };
    products(S, Sb);
    norm_s_ = largest_of(rows);
    products(T_, Tb);
    norm_t_ = largest_of(rows);
    for (int j = 0; j < n_; ++j) noise_[j] = noise_[j] * cancellation();
  }

  // A cotangent of the convention, and 0 where it is rounding: divided by a small t_jj, and again by a small distance of eigenvalues, the
  // rounding errors of a function that knows nothing of the convention would grow to any size.
  static V significant(V g, V noise) {
    using std::abs;
    return masked(noise < abs(g), g);
  }

  // Complex dtypes: the diagonal of W - Y, from t_jj being real, or s_jj where t_jj = 0. Where both are 0 there is no phase.
  void add_phase(int j) {
    const V s = real(S(j, j)), t = real(T_(j, j)), g = significant(imag(G_W(j, j)), noise_[j]);
    const N c_a{zeros<V>(), divide(masked(is_zero(t) & !zero_alpha(j), g), s)}, c_b{zeros<V>(), divide(masked(!zero_beta(j), g), t)};
    Sb(j, j) = Sb(j, j) + c_a;
    Tb(j, j) = Tb(j, j) + c_b;
    for (int l = 0; l <= j; ++l) G_W(j, l) = G_W(j, l) - c_a * conj(S(l, j)) - c_b * conj(T_(l, j));
    for (int l = j; l < n_; ++l) G_Y(l, j) = G_Y(l, j) + c_a * conj(S(j, l)) + c_b * conj(T_(j, l));
  }

  // Complex dtypes: the diagonal of W and Y together, from the largest entry z_kj of column j of Z being real.
  void add_largest_entry(int j) {
    V largest = zeros<V>();
    using std::max;
    for (int k = 0; k < n_; ++k) largest = max(largest, modulus(Z(k, j)));
    const V reach = largest * constant<V>(1 - 1024 * kEpsilon);
    const V g = imag(G_W(j, j)) + imag(G_Y(j, j));
    decltype(is_zero(zeros<V>()) & is_zero(zeros<V>())) missing = is_zero(zeros<V>());
    for (int k = 0; k < n_; ++k) {
      const auto here = missing & (reach <= modulus(Z(k, j)));
      if (!any(here)) continue;
      missing = missing & !(reach <= modulus(Z(k, j)));
      const N weight{zeros<V>(), -masked(here, divide(g, real(Z(k, j))))};
      for (int l = 0; l < n_; ++l) {
        if (l != j) G_Y(l, j) = G_Y(l, j) + weight * conj(Z(k, l));
      }
    }
  }

  static V modulus(N x) {
    using std::sqrt;
    const V re = real(x), im = imag(x);
    return sqrt(re * re + im * im);
  }

  // Real dtypes: the rotation of W and Y inside the 2 x 2 block at j, from T's block being diag(a, d).
  void add_rotation(int j) {
    const auto start = starts(j);
    if (!any(start)) return;
    const V a = T_(j, j), d = T_(j + 1, j + 1), two = constant<V>(2);
    const V g_w = G_W(j + 1, j) - G_W(j, j + 1), g_y = G_Y(j + 1, j) - G_Y(j, j + 1);
    const V even = divide(masked(unequal(j), significant(g_w + g_y, noise_[j] + noise_[j + 1])), two * (a - d));
    const V odd = divide(masked(start, g_w - g_y), two * (a + d));
    const V above = even - odd, below = even + odd;
    Tb(j, j + 1) = Tb(j, j + 1) + above;
    Tb(j + 1, j) = Tb(j + 1, j) + below;
    for (int l = 0; l < j + 2; ++l) {
      G_W(j, l) = G_W(j, l) - above * T_(l, j + 1);
      G_W(j + 1, l) = G_W(j + 1, l) - below * T_(l, j);
    }
    for (int l = j; l < n_; ++l) {
      G_Y(l, j + 1) = G_Y(l, j + 1) + above * T_(j, l);
      G_Y(l, j) = G_Y(l, j) + below * T_(j + 1, l);
    }
  }

  const int n_;
  V norm_s_ = zeros<V>(), norm_t_ = zeros<V>();
  V *const noise_, *const maxima_;
};

}  // namespace HWY_NAMESPACE
}  // namespace tfqz
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
