// The coupled triangular equations (3) of the gradient, for all lanes at once: strictly lower triangular E and F of
//
//   tril(E S^H + F T^H, -1) = P,   -tril(S^H E + T^H F, -1) = R.
//
// The entries (i, j) of E and F need those between them and the diagonal, in their row and in their column, and then solve two equations
//
//   s_j E + t_j F = p,   s_i E + t_i F = r   (conjugates),   of the determinant m = s_j t_i - t_j s_i:
//   E = (t_i p - t_j r) / m,   F = (s_j r - s_i p) / m.
//
// Where eigenvalues are near this leaves a residual, for which it is solved once more: later entries have it over their own small
// determinants, times as large for each.
//
// Real pencils have 2 x 2 blocks on the diagonal, each lane at other places. In real arithmetic the entries of E that belong to a block of
// rows I, or of columns J, are found together:  E S_J^T + F T_J = p,  S_I^T E + T_I F = r.  With blocks balanced so that T_J and T_I are
// multiples b_J and b_I of the identity, as in all entries outside of blocks,
//
//   L(E) = b_I p - b_J r,   L(F) = r S_J^T - S_I^T p   for   L(X) = X M - N X,   M = b_I S_J^T,   N = b_J S_I^T,
//
// and only the difference m of their centres counts beside the parts without a trace, M_1 and N_1, of which the eigenvalues are
// +- i y_M, +- i y_N:  L(X) = X M_0 - N_1 X,  M_0 = m + M_1.  Since N_1^2 = -y_N^2, L(X) = C is
//
//   X (M_0^2 + y_N^2) = C M_0 + N_1 C,   M_0^2 + y_N^2 = a + 2 m M_1,   a = m^2 + (y_N - y_M) (y_N + y_M),
//   X = (C M_0 + N_1 C) (a - 2 m M_1) / (m^2 + (y_N - y_M)^2) / (m^2 + (y_N + y_M)^2):
//
// the divisors are squared distances of eigenvalues, without cancellation. Outside of blocks M_1 and N_1 are 0.
#if defined(TFQZ_LOCKSTEP_EQUATIONS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TFQZ_LOCKSTEP_EQUATIONS_INL_H_
#undef TFQZ_LOCKSTEP_EQUATIONS_INL_H_
#else
#define TFQZ_LOCKSTEP_EQUATIONS_INL_H_
#endif

#include "vectors/convention-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tfqz {
namespace HWY_NAMESPACE {

// The two equations' right-hand sides at (i, j), as sums of two parts that don't wait for each other.
template <typename T>
struct RightHandSides {
  using N = Lanes<T>;
  N p, q, r, u;

  HWY_INLINE void set(N P, N R) {
    p = P;
    r = -R;
    q = u = zeros<N>();
  }
  HWY_INLINE void subtract_row(N e, N s, N f, N t) {
    p = neg_mul_add(e, conj(s), p);
    q = neg_mul_add(f, conj(t), q);
  }
  HWY_INLINE void subtract_column(N s, N e, N t, N f) {
    r = neg_mul_add(conj(s), e, r);
    u = neg_mul_add(conj(t), f, u);
  }
};

// 1 / x, and 0 for 0.
template <typename R>
HWY_INLINE Lanes<R> inverse_or_zero(Lanes<R> x) {
  const Mask<R> zero = is_zero(x);
  return masked(!zero, all_lanes(R(1)) / select(zero, all_lanes(R(1)), x));
}

// E in place of P, F in place of R, for complex S and T.
template <typename R>
void solve_adjoint(int n, Field<const Lanes<std::complex<R>>> S, Field<const Lanes<std::complex<R>>> T_, Field<Lanes<std::complex<R>>> E,
                   Field<Lanes<std::complex<R>>> F) {
  using N = Lanes<std::complex<R>>;
  for (int j = n - 2; j >= 0; --j) {
    for (int i = j + 1; i < n; ++i) {
      RightHandSides<std::complex<R>> sides;
      sides.set(E(i, j), F(i, j));
      for (int k = j + 1; k < i; ++k) {
        sides.subtract_row(E(i, k), S(j, k), F(i, k), T_(j, k));
        sides.subtract_column(S(k, i), E(k, j), T_(k, i), F(k, j));
      }
      const N p = sides.p + sides.q, r = sides.r + sides.u;
      const N s_i = conj(S(i, i)), t_i = conj(T_(i, i)), s_j = conj(S(j, j)), t_j = conj(T_(j, j));
      const N m = s_j * t_i - t_j * s_i, inverse = inverse_or_zero(abs2(m)) * conj(m);
      const N e = (t_i * p - t_j * r) * inverse, f = (s_j * r - s_i * p) * inverse;
      const N rest_p = neg_mul_add(t_j, f, neg_mul_add(s_j, e, p)), rest_r = neg_mul_add(t_i, f, neg_mul_add(s_i, e, r));
      E(i, j) = e + (t_i * rest_p - t_j * rest_r) * inverse;
      F(i, j) = f + (s_j * rest_r - s_i * rest_p) * inverse;
    }
  }
}

// Of real pencils, with 2 x 2 blocks or without. What comes out for a lane is the same whichever blocks the others have: the terms that are
// left out where none has a block are exactly 0 in the lanes without.
template <typename R>
class RealEquations {
 public:
  using V = Lanes<R>;

  // `S` and `T_` in canonical form, P and R in `E` and `F`, where E and F come; S and T are lost. `work`: room for 5 n numbers.
  RealEquations(int n, Field<V> S, Field<V> T_, Field<V> E, Field<V> F, V* work)
      : n_(n), S(S), T_(T_), E(E), F(F), centre_(work), half_(work + n), y_(half_ + n), scale_(y_ + n), over_scale_(scale_ + n) {}

  void solve() {
    const bool blocks = find_blocks();
    if (blocks) balance();
    for (int j = n_ - 2; j >= 0; --j) {
      const Mask<R> first = starts(j), second = starts(j - 1);
      if (!any(!second)) continue;  // all together with column j - 1
      if (any(first)) {
        solve_column<true>(j, first, second);
      } else {
        solve_column<false>(j, first, second);
      }
    }
    if (blocks) restore();
  }

 private:
  // Of two columns.
  struct Sides {
    V p[2], r[2];
  };

  // Whether a block starts in row k.
  HWY_INLINE Mask<R> starts(int k) const { return k >= 0 && k + 1 < n_ ? !is_zero(S(k + 1, k)) : is_zero(constant<V>(1)); }

  // Centres of blocks and what else M_1 and N_1 have: half the difference of the diagonal, y.
  bool find_blocks() {
    bool blocks = false;
    for (int k = 0; k < n_; ++k) {
      centre_[k] = S(k, k);
      half_[k] = y_[k] = zeros<V>();
      scale_[k] = over_scale_[k] = constant<V>(1);
      E(k, k) = F(k, k) = zeros<V>();
    }
    for (int k = 0; k + 1 < n_; ++k) {
      const Mask<R> start = starts(k);
      if (!any(start)) continue;
      blocks = true;
      const auto block = balanced(start, S(k, k), S(k, k + 1), S(k + 1, k), S(k + 1, k + 1), T_(k, k), T_(k + 1, k + 1));
      const V half = constant<V>(R(0.5)), centre = half * (block.p + block.s), root = sqrt(block.rho);
      half_[k] = masked(start, half * (block.p - block.s));
      y_[k] = masked(start, block.y);
      for (int l = 0; l < 2; ++l) {
        centre_[k + l] = select(start, centre, centre_[k + l]);
        T_(k + l, k + l) = select(start, block.beta, T_(k + l, k + l));
      }
      S(k, k) = select(start, block.p, S(k, k));
      S(k + 1, k + 1) = select(start, block.s, S(k + 1, k + 1));
      const V over_root = constant<V>(1) / root;
      scale_[k] = select(start, over_root, scale_[k]);
      over_scale_[k] = select(start, root, over_scale_[k]);
      scale_[k + 1] = select(start, root, scale_[k + 1]);
      over_scale_[k + 1] = select(start, over_root, over_scale_[k + 1]);
      E(k + 1, k) = masked(!start, E(k + 1, k));
      F(k + 1, k) = masked(!start, F(k + 1, k));
    }
    return blocks;
  }

  // D^-1 S D^-1 and D^-1 T D^-1 with D P D^-1 and D^-1 R D have D E D and D F D.
  void balance() const {
    for (int i = 0; i < n_; ++i) {
      for (int j = 0; j < i; ++j) {
        const V row = scale_[i] * over_scale_[j], column = over_scale_[i] * scale_[j], both = over_scale_[i] * over_scale_[j];
        E(i, j) = row * E(i, j);
        F(i, j) = column * F(i, j);
        S(j, i) = both * S(j, i);
        T_(j, i) = both * T_(j, i);
      }
    }
  }
  void restore() const {
    for (int i = 0; i < n_; ++i) {
      for (int j = 0; j < i; ++j) {
        const V both = over_scale_[i] * over_scale_[j];
        E(i, j) = both * E(i, j);
        F(i, j) = both * F(i, j);
      }
    }
  }

  // Columns j and, in the lanes `first`, j + 1, but for the lanes `second`, which have them together with column j - 1. Entries of the
  // first row of a block wait for those of the second one.
  template <bool kTwoColumns>
  HWY_INLINE void solve_column(int j, Mask<R> first, Mask<R> second) const {
    const Mask<R> nowhere = is_zero(constant<V>(1));
    const V none = zeros<V>();
    Sides sides[2] = {{{none, none}, {none, none}}, {{none, none}, {none, none}}};  // of rows i - 1 and i
    for (int i = j + 1; i < n_; ++i) {
      const Mask<R> row_first = starts(i), row_second = i > j + 1 ? starts(i - 1) : nowhere;
      sides[0] = sides[1];
      const bool two_rows = any(row_second & !second);
      if (kTwoColumns && i > j + 1) {
        find_sides<true>(i, j, first, row_second, &sides[1]);
        if (two_rows) {
          solve_entries<true, true>(i, j, first, second, row_first, row_second, sides);
        } else {
          solve_entries<false, true>(i, j, first, second, row_first, row_second, sides);
        }
      } else {
        find_sides<false>(i, j, first, row_second, &sides[1]);
        if (two_rows) {
          solve_entries<true, false>(i, j, first, second, row_first, row_second, sides);
        } else {
          solve_entries<false, false>(i, j, first, second, row_first, row_second, sides);
        }
      }
    }
  }

  template <bool kTwoColumns>
  HWY_INLINE void find_sides(int i, int j, Mask<R> first, Mask<R> row_second, Sides* sides) const {
    constexpr int kColumns = kTwoColumns ? 2 : 1;
    RightHandSides<R> sums[kColumns];
    for (int c = 0; c < kColumns; ++c) sums[c].set(E(i, j + c), F(i, j + c));
    if (i > j + 1) {
      // What is inside of the blocks of rows and columns is left out.
      const auto outside = [&](V x) HWY_ATTR { return kTwoColumns ? masked(!first, x) : x; };
      sums[0].subtract_row(outside(E(i, j + 1)), S(j, j + 1), outside(F(i, j + 1)), T_(j, j + 1));
      for (int k = j + 2; k < i; ++k) {
        const V e = E(i, k), f = F(i, k), s = S(k - 1, i), t = T_(k - 1, i);
        for (int c = 0; c < kColumns; ++c) {
          sums[c].subtract_row(e, S(j + c, k), f, T_(j + c, k));
          sums[c].subtract_column(s, E(k - 1, j + c), t, F(k - 1, j + c));
        }
      }
      const V s = masked(!row_second, S(i - 1, i)), t = masked(!row_second, T_(i - 1, i));
      for (int c = 0; c < kColumns; ++c) sums[c].subtract_column(s, E(i - 1, j + c), t, F(i - 1, j + c));
    }
    for (int c = 0; c < kColumns; ++c) {
      sides->p[c] = sums[c].p + sums[c].q;
      sides->r[c] = sums[c].r + sums[c].u;
    }
  }

  // Of the rows i - 1, if there are two, and i.
  template <bool kTwoRows, bool kTwoColumns>
  HWY_INLINE void solve_entries(int i, int j, Mask<R> first, Mask<R> second, Mask<R> row_first, Mask<R> row_second,
                                const Sides (&sides)[2]) const {
    constexpr int kRows = kTwoRows ? 2 : 1, kColumns = kTwoColumns ? 2 : 1, kLast = kRows - 1;
    using Block = V[kRows][kColumns];
    const int top = i - kLast;
    Block p, r;
    for (int a = 0; a < kRows; ++a) {
      for (int c = 0; c < kColumns; ++c) {
        p[a][c] = sides[a + 2 - kRows].p[c];
        r[a][c] = sides[a + 2 - kRows].r[c];
        if (c > 0) p[a][c] = masked(first, p[a][c]), r[a][c] = masked(first, r[a][c]);
        if (a < kLast) p[a][c] = masked(row_second, p[a][c]), r[a][c] = masked(row_second, r[a][c]);
      }
    }
    const V t_i = T_(i, i), t_j = T_(j, j);
    // x - P S_J^T and x - S_I^T P, an entry. What no block adds is 0 here, and no other rounding.
    const auto minus_by_s_j = [&](V x, const Block& P, int a, int c) HWY_ATTR {
      x = neg_mul_add(S(j + c, j + c), P[a][c], x);
      return kTwoColumns ? neg_mul_add(S(j + c, j + 1 - c), P[a][kColumns - 1 - c], x) : x;
    };
    const auto minus_by_s_i = [&](V x, const Block& P, int a, int c) HWY_ATTR {
      x = neg_mul_add(S(top + a, top + a), P[a][c], x);
      return kTwoRows ? neg_mul_add(S(top + 1 - a, top + a), P[kLast - a][c], x) : x;
    };
    const V m = neg_mul_add(t_j, centre_[i], centre_[j] * t_i), m2 = m * m;
    const V y_m = kTwoColumns ? t_i * y_[j] : zeros<V>(), y_n = kTwoRows ? t_j * y_[top] : zeros<V>(), sum = y_n + y_m,
            difference = y_n - y_m;
    const V over = inverse_or_zero(mul_add(sum, sum, m2));
    V M[kColumns][kColumns], N[kRows][kRows];
    V of_same = constant<V>(1), of_m = zeros<V>();
    if constexpr (kTwoColumns) {
      M[0][0] = t_i * half_[j], M[0][1] = t_i * S(j + 1, j), M[1][0] = t_i * S(j, j + 1), M[1][1] = -M[0][0];
      const V distance = mul_add(difference, difference, m2), divisor = select(is_zero(distance), constant<V>(1), distance);
      of_same = mul_add(difference, sum, m2) / divisor;  // 1 where y_M = 0
      of_m = (m + m) / divisor;
    }
    if constexpr (kTwoRows) N[0][0] = t_j * half_[top], N[0][1] = t_j * S(i, top), N[1][0] = t_j * S(top, i), N[1][1] = -N[0][0];
    // Adds what L(X) = C has to X.
    const auto solve_one = [&](const Block& C, Block* X) HWY_ATTR {
      Block x;
      for (int a = 0; a < kRows; ++a) {
        for (int c = 0; c < kColumns; ++c) {
          x[a][c] = m * C[a][c];
          if constexpr (kTwoColumns) x[a][c] = mul_add(C[a][1], M[1][c], mul_add(C[a][0], M[0][c], x[a][c]));
          if constexpr (kTwoRows) x[a][c] = mul_add(N[a][1], C[1][c], mul_add(N[a][0], C[0][c], x[a][c]));
        }
      }
      for (int a = 0; a < kRows; ++a) {
        for (int c = 0; c < kColumns; ++c) {
          V y = x[a][c];
          if constexpr (kTwoColumns) y = neg_mul_add(of_m, mul_add(x[a][1], M[1][c], x[a][0] * M[0][c]), of_same * y);
          (*X)[a][c] = mul_add(over, y, (*X)[a][c]);
        }
      }
    };
    const auto solve_both = [&](const Block& P, const Block& R_, Block* e, Block* f) HWY_ATTR {
      Block of_e, of_f;
      for (int a = 0; a < kRows; ++a) {
        for (int c = 0; c < kColumns; ++c) {
          of_e[a][c] = neg_mul_add(t_j, R_[a][c], t_i * P[a][c]);
          V x = S(j + c, j + c) * R_[a][c];
          if (kTwoColumns) x = mul_add(S(j + c, j + 1 - c), R_[a][kColumns - 1 - c], x);
          of_f[a][c] = minus_by_s_i(x, P, a, c);
        }
      }
      solve_one(of_e, e);
      solve_one(of_f, f);
    };
    Block e, f, rest_p, rest_r;
    for (int a = 0; a < kRows; ++a) {
      for (int c = 0; c < kColumns; ++c) e[a][c] = f[a][c] = zeros<V>();
    }
    solve_both(p, r, &e, &f);
    for (int a = 0; a < kRows; ++a) {
      for (int c = 0; c < kColumns; ++c) {
        rest_p[a][c] = neg_mul_add(t_j, f[a][c], minus_by_s_j(p[a][c], e, a, c));
        rest_r[a][c] = neg_mul_add(t_i, f[a][c], minus_by_s_i(r[a][c], e, a, c));
      }
    }
    solve_both(rest_p, rest_r, &e, &f);
    for (int a = 0; a < kRows; ++a) {
      for (int c = 0; c < kColumns; ++c) {
        const auto here = (a < kLast ? row_second : !row_first) & (c > 0 ? first : i == j + 1 ? !(first | second) : !second);
        V &to_e = E(top + a, j + c), &to_f = F(top + a, j + c);
        to_e = select(here, e[a][c], to_e);
        to_f = select(here, f[a][c], to_f);
      }
    }
  }

  const int n_;
  const Field<V> S, T_, E, F;
  V *const centre_, *const half_, *const y_, *const scale_, *const over_scale_;
};

}  // namespace HWY_NAMESPACE
}  // namespace tfqz
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
