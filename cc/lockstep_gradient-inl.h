// The gradient of the pencils in the lanes: products, the convention, the triangular equations.
#if defined(TFQZ_LOCKSTEP_GRADIENT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TFQZ_LOCKSTEP_GRADIENT_INL_H_
#undef TFQZ_LOCKSTEP_GRADIENT_INL_H_
#else
#define TFQZ_LOCKSTEP_GRADIENT_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>

#include "convention-inl.h"
#include "lockstep_gradient.h"

HWY_BEFORE_NAMESPACE();
namespace tfqz {
namespace HWY_NAMESPACE {

// Four entries of a row of a product, so that their sums don't wait for one another. The loops over `k` are the caller's.
template <typename T>
struct FourSums {
  Lanes<T> x[4] = {};

  HWY_INLINE void add(Lanes<T> a, const Lanes<T>* b, std::ptrdiff_t step, int count) {
    for (int c = 0; c < count; ++c) x[c] = mul_add(a, b[c * step], x[c]);
  }
  HWY_INLINE void subtract_adjoint(Lanes<T> a, const Lanes<T>* b, std::ptrdiff_t step, int count) {
    for (int c = 0; c < count; ++c) x[c] = neg_mul_add(a, conj(b[c * step]), x[c]);
  }
};

// Calls f(i, j, count) for all groups of `count` <= 4 entries of a row.
template <typename F>
HWY_INLINE void for_groups(int n, const F& f) {
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; j += 4) f(i, j, std::min(4, n - j));
  }
}

template <typename T>
void rotation_cotangents(int n, const Convention<T, Lanes<T>>& c) {
  for_groups(n, [&](int i, int j, int count) HWY_ATTR {
    FourSums<T> w, y;
    for (int k = 0; k < n; ++k) {
      w.add(conj(c.Q(k, i)), &c.Qb(k, j), 1, count);
      y.add(conj(c.Z(k, i)), &c.Zb(k, j), 1, count);
    }
    // S and T reach one row below the diagonal.
    for (int k = std::max(0, std::max(i, j) - 1); k < n; ++k) {
      w.subtract_adjoint(c.Sb(i, k), &c.S(j, k), n, count);
      w.subtract_adjoint(c.Tb(i, k), &c.T_(j, k), n, count);
    }
    for (int k = 0; k <= std::min(n - 1, std::min(i, j + count - 1) + 1); ++k) {
      y.add(conj(c.S(k, i)), &c.Sb(k, j), 1, count);
      y.add(conj(c.T_(k, i)), &c.Tb(k, j), 1, count);
    }
    for (int l = 0; l < count; ++l) {
      c.G_W(i, j + l) = w.x[l];
      c.G_Y(i, j + l) = y.x[l];
    }
  });
}

// out = Q X Z^H.
template <typename T>
void turn_back(int n, Field<const Lanes<T>> Q, Field<Lanes<T>> X, Field<const Lanes<T>> Z, Field<Lanes<T>> work, Field<Lanes<T>> out) {
  for_groups(n, [&](int i, int j, int count) HWY_ATTR {
    FourSums<T> sums;
    for (int k = 0; k < n; ++k) sums.add(Q(i, k), &X(k, j), 1, count);
    for (int l = 0; l < count; ++l) work(i, j + l) = sums.x[l];
  });
  for_groups(n, [&](int i, int j, int count) HWY_ATTR {
    FourSums<T> sums;
    for (int k = 0; k < n; ++k) sums.subtract_adjoint(work(i, k), &Z(j, k), n, count);
    for (int l = 0; l < count; ++l) out(i, j + l) = -sums.x[l];
  });
}

// Equations (3) for triangular S and T: E in place of P, F in place of R. `left_out`: of which entries (j + 1, j).
template <typename C, typename LeftOut>
void solve_adjoint(int n, Field<Lanes<C>> S, Field<Lanes<C>> T_, Field<Lanes<C>> E, Field<Lanes<C>> F, const LeftOut& left_out) {
  using V = Lanes<Real<C>>;
  for (int j = n - 2; j >= 0; --j) {
    for (int i = j + 1; i < n; ++i) {
      Lanes<C> p = E(i, j), r = -F(i, j);
      for (int k = j + 1; k < i; ++k) {
        p = neg_mul_add(E(i, k), conj(S(j, k)), neg_mul_add(F(i, k), conj(T_(j, k)), p));
        r = neg_mul_add(conj(S(k, i)), E(k, j), neg_mul_add(conj(T_(k, i)), F(k, j), r));
      }
      const Lanes<C> s_i = conj(S(i, i)), t_i = conj(T_(i, i)), s_j = conj(S(j, j)), t_j = conj(T_(j, j));
      const Lanes<C> determinant = s_j * t_i - t_j * s_i;
      const V square = abs2(determinant);
      const auto nothing = i == j + 1 ? is_zero(square) | left_out(j) : is_zero(square);
      const V over = masked(!nothing, constant<V>(1) / select(nothing, constant<V>(1), square));
      const Lanes<C> inverse = over * conj(determinant);
      E(i, j) = (t_i * p - t_j * r) * inverse;
      F(i, j) = (s_j * r - s_i * p) * inverse;
    }
  }
}

template <typename V>
struct Unitary {
  Lanes<std::complex<V>> x[2][2];
};

template <typename T>
class GradientInLockstep : public LockstepGradient<T> {
 public:
  explicit GradientInLockstep(int n) : n_(n), size_(static_cast<std::size_t>(n) * n) {
    const std::size_t entries = 10 * size_ * sizeof(N), complex = kComplex<T> ? 0 : (4 * size_ + 8 * n) * sizeof(C);
    buffer_.reset(static_cast<char*>(::operator new(entries + complex + 12 * n * sizeof(V), std::align_val_t{64})));
    fields_ = reinterpret_cast<N*>(buffer_.get());
    complex_ = reinterpret_cast<C*>(buffer_.get() + entries);
    vectors_ = reinterpret_cast<V*>(buffer_.get() + entries + complex);
  }

  int lanes() const override { return kLanes<T>; }

  std::uint64_t operator()(const ConstFactors<T>* factors, const Cotangents<T>* cotangents, const Pair<T>* pencils,
                           int count) override {
    V *work = vectors_, *alphab_re = work + 5 * n_, *alphab_im = alphab_re + n_, *betab = alphab_im + n_;
    const bool eigenvalues = cotangents[0].alpha != nullptr;
    for (int lane = 0; lane < kLanes<T>; ++lane) {
      const int source = lane < count ? lane : 0;  // lanes to spare repeat the first pencil
      const auto& f = factors[source];
      const auto& c = cotangents[source];
      const T* const matrices[8] = {f.s, f.t, f.q, f.z, c.s, c.t, c.q, c.z};
      for (int i = 0; i < 8; ++i) pack(matrices[i], field(i), lane);
      for (int j = 0; eigenvalues && j < n_; ++j) {
        lane_of(alphab_re + j, lane) = c.alpha[j].real();
        lane_of(alphab_im + j, lane) = c.alpha[j].imag();
        lane_of(betab + j, lane) = std::real(c.beta[j]);
      }
    }
    const auto constant_field = [this](int i) { return Field<const N>(&fields_[i * size_], n_); };
    Convention<T, N> c(n_, constant_field(0), constant_field(1), constant_field(2), constant_field(3), field(4), field(5),
                       constant_field(6), constant_field(7), field(8), field(9), work);
    const std::uint64_t left_out = find_unfit(c);
    c.keep_pattern();
    if (eigenvalues) c.add_eigenvalues(alphab_re, alphab_im, betab);
    c.prepare();
    rotation_cotangents<T>(n_, c);
    c.add_convention();
    c.skew();
    solve(c);
    for (int i = 0; i < n_; ++i) {
      for (int j = 0; j < i; ++j) {
        c.Sb(i, j) = c.Sb(i, j) + c.G_W(i, j);
        c.Tb(i, j) = c.Tb(i, j) + c.G_Y(i, j);
      }
    }
    // Where the cotangents of Q and Z were there is room now.
    turn_back<T>(n_, c.Q, c.Sb, c.Z, field(8), field(6));
    turn_back<T>(n_, c.Q, c.Tb, c.Z, field(8), field(7));
    for (int lane = 0; lane < count; ++lane) {
      if (left_out >> lane & 1) continue;
      unpack(field(6), lane, pencils[lane].first);
      unpack(field(7), lane, pencils[lane].second);
    }
    return left_out;
  }

 private:
  using R = Real<T>;
  using N = Lanes<T>;
  using V = Lanes<R>;
  using C = Lanes<std::complex<R>>;
  struct Free {
    void operator()(char* memory) const { ::operator delete(memory, std::align_val_t{64}); }
  };

  Field<N> field(int i) const { return {&fields_[i * size_], n_}; }
  static R& lane_of(V* x, int lane) { return reinterpret_cast<R*>(x)[lane]; }

  void pack(const T* from, Field<N> to, int lane) const {
    R* entries = reinterpret_cast<R*>(&to(0, 0)) + lane;
    for (std::size_t k = 0; k < size_; ++k, entries += kStride<T>) {
      entries[0] = std::real(from[k]);
      if constexpr (kComplex<T>) entries[kLanes<T>] = std::imag(from[k]);
    }
  }
  void unpack(Field<N> from, int lane, T* to) const {
    const R* entries = reinterpret_cast<const R*>(&from(0, 0)) + lane;
    for (std::size_t k = 0; k < size_; ++k, entries += kStride<T>) {
      if constexpr (kComplex<T>) {
        to[k] = {entries[0], entries[kLanes<T>]};
      } else {
        to[k] = entries[0];
      }
    }
  }

  // Lanes with eigenvalues that coincide, so that solutions have to be chosen, or with norms whose products leave the range.
  std::uint64_t find_unfit(const Convention<T, N>& c) const {
    const R limit = std::is_same_v<R, float> ? R(1e4) : R(1e50);
    V *re = vectors_ + 8 * n_, *im = re + n_, *beta = im + n_, *square = beta + n_;
    V norms[2] = {};
    for (std::size_t k = 0; k < size_; ++k) {
      norms[0] = max(norms[0], HWY_NAMESPACE::size(fields_[k]));
      norms[1] = max(norms[1], HWY_NAMESPACE::size(fields_[size_ + k]));
    }
    auto unfit = is_zero(constant<V>(1));
    for (const V& norm : norms) unfit = unfit | (constant<V>(limit) < norm) | (norm < constant<V>(1 / limit));
    for (V& norm : norms) norm = constant<V>(1) / select(unfit, constant<V>(1), norm);
    for (int j = 0; j < n_; ++j) {
      if constexpr (kComplex<T>) {
        re[j] = c.S(j, j).re * norms[0];
        im[j] = c.S(j, j).im * norms[0];
        beta[j] = c.T_(j, j).re * norms[1];
      } else {
        re[j] = c.S(j, j) * norms[0];
        im[j] = V{};
        beta[j] = c.T_(j, j) * norms[1];
      }
    }
    if constexpr (!kComplex<T>) {
      for (int j = 0; j + 1 < n_; ++j) {
        const auto start = c.starts(j);
        if (!any(start)) continue;
        const auto block = balanced(start, c.S(j, j), c.S(j, j + 1), c.S(j + 1, j), c.S(j + 1, j + 1), c.T_(j, j), c.T_(j + 1, j + 1));
        const V x = (block.p + block.s) * constant<V>(R(0.5)) * norms[0], y = block.y * norms[0], b = block.beta * norms[1];
        for (int l = 0; l < 2; ++l) {
          re[j + l] = select(start, x, re[j + l]);
          im[j + l] = select(start, l == 0 ? y : -y, im[j + l]);
          beta[j + l] = select(start, b, beta[j + l]);
        }
      }
    }
    // tfqz/_tolerances.py: cluster, zero_pair, with a margin: what is decided here is only who decides.
    constexpr R kEpsilon = std::numeric_limits<R>::epsilon();
    const V reach = constant<V>(4 * std::pow(kEpsilon, R(1.5))), zero = constant<V>(1000 * kEpsilon * kEpsilon * n_ * n_);
    for (int j = 0; j < n_; ++j) {
      square[j] = re[j] * re[j] + im[j] * im[j] + beta[j] * beta[j];
      unfit = unfit | (square[j] <= zero);
      for (int i = 0; i < j; ++i) {
        const V x = re[i] * beta[j] - re[j] * beta[i], y = im[i] * beta[j] - im[j] * beta[i];
        unfit = unfit | (x * x + y * y <= reach * square[i] * square[j]);
      }
    }
    std::uint64_t bits = 0;
    V flags = masked(unfit, constant<V>(1));
    for (int lane = 0; lane < kLanes<T>; ++lane) bits |= std::uint64_t{lane_of(&flags, lane) != 0} << lane;
    return bits;
  }

  // E and F in place of P and R, strictly lower parts of G_W and G_Y.
  void solve(const Convention<T, N>& c) const {
    if constexpr (kComplex<T>) {
      solve_adjoint<T>(n_, field(0), field(1), c.G_W, c.G_Y, [](int) HWY_ATTR { return is_zero(constant<V>(1)); });
    } else {
      bool blocks = false;
      for (int j = 0; j + 1 < n_; ++j) {
        const auto start = c.starts(j);
        blocks = blocks || any(start);
        c.G_W(j + 1, j) = masked(!start, c.G_W(j + 1, j));
        c.G_Y(j + 1, j) = masked(!start, c.G_Y(j + 1, j));
      }
      if (blocks) {
        solve_in_frames(c);
      } else {
        solve_adjoint<T>(n_, field(0), field(1), c.G_W, c.G_Y, [](int) HWY_ATTR { return is_zero(constant<V>(1)); });
      }
    }
  }

  // Real pencils with 2 x 2 blocks: in the frames G and H, block diagonal and unitary, in which S and T are triangular, P is in that of
  // G and R in that of H, E and F stand between G and H. tfqz/_blocks.py, triangularize.
  void solve_in_frames(const Convention<T, N>& c) const {
    const Field<C> S(complex_, n_), T_(complex_ + size_, n_), E(complex_ + 2 * size_, n_), F(complex_ + 3 * size_, n_);
    C *G = complex_ + 4 * size_, *H = G + 4 * n_;
    for (int i = 0; i < n_; ++i) {
      for (int j = 0; j < n_; ++j) {
        S(i, j) = {c.S(i, j), V{}};
        T_(i, j) = {c.T_(i, j), V{}};
        E(i, j) = {j < i ? c.G_W(i, j) : V{}, V{}};
        F(i, j) = {j < i ? c.G_Y(i, j) : V{}, V{}};
      }
    }
    for (int k = 0; k + 1 < n_; ++k) {
      const auto start = c.starts(k);
      if (!any(start)) continue;
      find_frames(c, k, G + 4 * k, H + 4 * k);
      for (const Field<C>& X : {S, T_}) {
        turn_rows(X, k, k, n_, G + 4 * k, true);
        turn_columns(X, k, 0, k + 2, H + 4 * k, false);
        X(k + 1, k) = {masked(!start, X(k + 1, k).re), masked(!start, X(k + 1, k).im)};
      }
      turn_rows(E, k, 0, k, G + 4 * k, true);
      turn_columns(E, k, k + 2, n_, G + 4 * k, false);
      turn_rows(F, k, 0, k, H + 4 * k, true);
      turn_columns(F, k, k + 2, n_, H + 4 * k, false);
    }
    solve_adjoint<std::complex<R>>(n_, S, T_, E, F, [&](int j) HWY_ATTR { return c.starts(j); });
    for (int k = 0; k + 1 < n_; ++k) {
      if (!any(c.starts(k))) continue;
      for (const Field<C>& X : {E, F}) {
        turn_rows(X, k, 0, k, G + 4 * k, false);
        turn_columns(X, k, k + 2, n_, H + 4 * k, true);
      }
    }
    for (int i = 0; i < n_; ++i) {
      for (int j = 0; j < i; ++j) {
        c.G_W(i, j) = E(i, j).re;
        c.G_Y(i, j) = F(i, j).re;
      }
    }
  }

  // Each [u00 u01; u10 u11], the identity where no block starts.
  void find_frames(const Convention<T, N>& c, int k, C* G, C* H) const {
    const auto start = c.starts(k);
    const auto [p, q, r, s, a, d, rho, beta, y] =
        balanced(start, c.S(k, k), c.S(k, k + 1), c.S(k + 1, k), c.S(k + 1, k + 1), c.T_(k, k), c.T_(k + 1, k + 1));
    const V x = (p + s) * constant<V>(R(0.5)), root = sqrt(rho);
    const auto from_first = abs(r) <= abs(q);
    const C v1 = {select(from_first, q, x - s), select(from_first, V{}, y)};
    const C v2 = {select(from_first, x - p, r), select(from_first, y, V{})};
    make_unitary(start, (constant<V>(1) / root) * v1, root * v2, G);
    make_unitary(start, root * v1, (constant<V>(1) / root) * v2, H);
  }
  static void make_unitary(Mask<R> start, C x1, C x2, C* u) {
    const V one = constant<V>(1), largest = one / max(HWY_NAMESPACE::size(x1), HWY_NAMESPACE::size(x2));
    x1 = largest * x1;
    x2 = largest * x2;
    const V over = one / sqrt(abs2(x1) + abs2(x2));
    x1 = {select(start, over * x1.re, one), masked(start, over * x1.im)};
    x2 = {masked(start, over * x2.re), masked(start, over * x2.im)};
    u[0] = x1;
    u[1] = {-x2.re, x2.im};
    u[2] = x2;
    u[3] = conj(x1);
  }

  // Rows k, k + 1 of X, columns [begin, end), times U, or its adjoint, from the left.
  static void turn_rows(Field<C> X, int k, int begin, int end, const C* U, bool adjoint) {
    const C u00 = adjoint ? conj(U[0]) : U[0], u01 = adjoint ? conj(U[2]) : U[1];
    const C u10 = adjoint ? conj(U[1]) : U[2], u11 = adjoint ? conj(U[3]) : U[3];
    for (int j = begin; j < end; ++j) {
      const C x = X(k, j), y = X(k + 1, j);
      X(k, j) = mul_add(u00, x, u01 * y);
      X(k + 1, j) = mul_add(u10, x, u11 * y);
    }
  }
  // Columns k, k + 1 of X, rows [begin, end), times U, or its adjoint, from the right.
  static void turn_columns(Field<C> X, int k, int begin, int end, const C* U, bool adjoint) {
    const C u00 = adjoint ? conj(U[0]) : U[0], u01 = adjoint ? conj(U[2]) : U[1];
    const C u10 = adjoint ? conj(U[1]) : U[2], u11 = adjoint ? conj(U[3]) : U[3];
    for (int i = begin; i < end; ++i) {
      const C x = X(i, k), y = X(i, k + 1);
      X(i, k) = mul_add(x, u00, y * u10);
      X(i, k + 1) = mul_add(x, u01, y * u11);
    }
  }

  const int n_;
  const std::size_t size_;
  std::unique_ptr<char, Free> buffer_;
  N* fields_;
  C* complex_;
  V* vectors_;
};

template <typename T>
std::unique_ptr<LockstepGradient<T>> make_gradient(int n) {
  return std::make_unique<GradientInLockstep<T>>(n);
}

}  // namespace HWY_NAMESPACE
}  // namespace tfqz
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
