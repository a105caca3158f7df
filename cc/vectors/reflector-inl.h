// Matrices of several pencils entry by entry, and the reflectors that turn two or three of their rows or columns.
#if defined(TFQZ_REFLECTOR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TFQZ_REFLECTOR_INL_H_
#undef TFQZ_REFLECTOR_INL_H_
#else
#define TFQZ_REFLECTOR_INL_H_
#endif

#include <limits>

#include "vectors/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tfqz {
namespace HWY_NAMESPACE {

// Row-major; somebody else owns it, and there may be none. The entry (i, j) of all matrices side by side: kStride<T> real numbers.
template <typename T>
struct LanesMatrix {
  Real<T>* data;
  int leading;

  bool present() const { return data != nullptr; }
  HWY_INLINE Real<T>* at(int i, int j) const { return data + (static_cast<std::ptrdiff_t>(i) * leading + j) * kStride<T>; }
  HWY_INLINE Lanes<T> operator()(int i, int j) const { return load<T>(at(i, j)); }
  HWY_INLINE void set(int i, int j, Lanes<T> x) const { store(x, at(i, j)); }
  HWY_INLINE void clear(int i, int j) const { set(i, j, number<T>(0)); }
};

// H = I - tau v v^H, unitary and Hermitian, v = (1, v_1, ..): tau, tau v_i and conj(v_i). tau = 0 is the identity.
template <typename T, int kSize>
struct Reflector {
  Lanes<Real<T>> tau;
  Lanes<T> scaled[kSize - 1], adjoint[kSize - 1];
};

// Numbers from here up to 1 have squares far from underflow, and so have those that are kNegligible beside them.
template <typename R>
inline constexpr R kSafe = std::is_same_v<R, float> ? R(0x1p-16) : R(0x1p-180);
template <typename R>
inline constexpr R kNegligible = std::numeric_limits<R>::epsilon() / 256;

// The H with H x = first e_1, |first| = |x|, in the lanes of the mask; the identity in the others and where x = 0. Leaves other numbers
// in x.
//
// With x_0 = phase |x_0|:  first = -phase |x|,  v_i = x_i conj(phase) / (|x_0| + |x|),  tau = (|x_0| + |x|) / |x|.
template <typename T, int kSize>
HWY_INLINE Reflector<T, kSize> reflector(Lanes<T> (&x)[kSize], Mask<Real<T>> mask, Lanes<T>* first = nullptr) {
  using R = Real<T>;
  const Lanes<R> zero = all_lanes(R(0)), one = all_lanes(R(1));
  // Of what isn't finite in other lanes products with 0 would be no identity.
  for (int i = 0; i < kSize; ++i) x[i] = masked(mask, x[i]);
  Lanes<R> largest = size(x[0]);
  for (int i = 1; i < kSize; ++i) largest = max(largest, size(x[i]));
  mask = mask & (zero < largest);
  const Mask<R> small = mask & (largest < all_lanes(kSafe<R>));
  Lanes<R> scale = one;
  if (HWY_UNLIKELY(any(small))) {
    scale = select(small, largest, one);
    for (int i = 0; i < kSize; ++i) x[i] = divided(x[i], scale);
  }
  Lanes<R> squares = abs2(x[0]);
  Lanes<R> modulus;
  Lanes<T> turned[kSize - 1];  // x_i conj(phase)
  Lanes<T> phase;
  if constexpr (kComplex<T>) {
    // Of an x_0 that is nothing beside |x| the modulus, hence the phase, may be inaccurate: none is as good.
    constexpr R kSmallest = kSafe<R> * kNegligible<R>;
    const Mask<R> pivot = all_lanes(kSmallest * kSmallest) < squares;
    modulus = masked(pivot, sqrt(squares));
    phase = select(pivot, divided(x[0], select(pivot, modulus, one)), number<T>(1));
    for (int i = 1; i < kSize; ++i) turned[i - 1] = x[i] * conj(phase);
  } else {
    const Mask<R> negative = x[0] < zero;
    modulus = abs(x[0]);
    phase = select(negative, -one, one);
    for (int i = 1; i < kSize; ++i) turned[i - 1] = select(negative, -x[i], x[i]);
  }
  for (int i = 1; i < kSize; ++i) squares = squares + abs2(x[i]);
  const Lanes<R> norm = sqrt(squares);
  const Lanes<R> sum = modulus + norm;
  const Lanes<R> over_norm = masked(mask, one / norm), over_sum = masked(mask, one / sum);
  Reflector<T, kSize> H;
  // Exactly 1 where x_0 is 0: H makes entries beside zeros change places then, and must leave nothing of them behind.
  H.tau = select(mask & is_zero(modulus), one, sum * over_norm);
  for (int i = 0; i < kSize - 1; ++i) {
    H.scaled[i] = over_norm * turned[i];
    H.adjoint[i] = conj(over_sum * turned[i]);
  }
  if (first != nullptr) *first = -((norm * scale) * phase);
  return H;
}

// That of tau = 0.
template <typename T, int kSize>
HWY_INLINE Reflector<T, kSize> identity() {
  Reflector<T, kSize> H;
  H.tau = all_lanes(Real<T>(0));
  for (int i = 0; i < kSize - 1; ++i) H.scaled[i] = H.adjoint[i] = number<T>(0);
  return H;
}

// For columns: y H with y in place of x.
template <typename T, int kSize>
HWY_INLINE Reflector<T, kSize> conj(const Reflector<T, kSize>& H) {
  Reflector<T, kSize> result = H;
  for (int i = 0; i < kSize - 1; ++i) {
    result.scaled[i] = conj(H.scaled[i]);
    result.adjoint[i] = conj(H.adjoint[i]);
  }
  return result;
}

// `count` times H x, the entries of x `stride` numbers apart and the next x `step` numbers further.
template <typename T, int kSize>
HWY_INLINE void reflect(const Reflector<T, kSize>& H, Real<T>* x, std::ptrdiff_t stride, std::ptrdiff_t step, int count) {
  for (int k = 0; k < count; ++k, x += step) {
    Lanes<T> entries[kSize];
    for (int i = 0; i < kSize; ++i) entries[i] = load<T>(x + i * stride);
    Lanes<T> product = entries[0];
    for (int i = 1; i < kSize; ++i) product = mul_add(H.adjoint[i - 1], entries[i], product);
    store(neg_mul_add(H.tau, product, entries[0]), x);
    for (int i = 1; i < kSize; ++i) store(neg_mul_add(H.scaled[i - 1], product, entries[i]), x + i * stride);
  }
}

// H times the rows `row`, row + 1, .. of X, in the columns [begin, end).
template <typename T, int kSize>
HWY_INLINE void reflect_rows(const Reflector<T, kSize>& H, LanesMatrix<T> X, int row, int begin, int end) {
  reflect(H, X.at(row, begin), static_cast<std::ptrdiff_t>(X.leading) * kStride<T>, kStride<T>, end - begin);
}

// The columns `column`, column + 1, .. of X times H, in the rows [begin, end); `H` is conj(H).
template <typename T, int kSize>
HWY_INLINE void reflect_columns(const Reflector<T, kSize>& H, LanesMatrix<T> X, int column, int begin, int end) {
  reflect(H, X.at(begin, column), kStride<T>, static_cast<std::ptrdiff_t>(X.leading) * kStride<T>, end - begin);
}

// S, T and their transformations, where these are wanted: Q^H and the transpose of Z, so that rows of them turn. Without Z nothing of S
// and T is wanted but their diagonal blocks. One row and one column of zeros more than n: reflectors of three rows may reach beyond the
// end.
template <typename T, typename Matrix, typename Rows>
struct Pencil {
  using Number = T;

  int n;
  Matrix S, T_;
  Rows QH, ZT;

  // What turns for the rows and columns first..last, in which it is: from the row begin() on and up to the column end().
  int begin(int first) const { return ZT.present() ? 0 : first; }
  int end(int last) const { return ZT.present() ? n : last + 1; }

  template <int kSize>
  HWY_INLINE void turn_q(const Reflector<T, kSize>& H, int row) const {
    if (QH.present()) reflect_rows(H, QH, row, 0, n);
  }
  template <int kSize>
  HWY_INLINE void turn_z(const Reflector<T, kSize>& conjugate, int row) const {
    if (ZT.present()) reflect_rows(conjugate, ZT, row, 0, n);
  }

  // H times rows of S, T from their columns on, and of Q^H.
  template <int kSize>
  HWY_INLINE void turn_rows(const Reflector<T, kSize>& H, int row, int s_begin, int t_begin) const {
    reflect_rows(H, S, row, s_begin, n);
    reflect_rows(H, T_, row, t_begin, n);
    turn_q(H, row);
  }

  // Columns of S, T down to their rows, and of Z, times H.
  template <int kSize>
  HWY_INLINE void turn_columns(const Reflector<T, kSize>& H, int column, int s_end, int t_end) const {
    const Reflector<T, kSize> conjugate = conj(H);
    reflect_columns(conjugate, S, column, 0, s_end);
    reflect_columns(conjugate, T_, column, 0, t_end);
    turn_z(conjugate, column);
  }
};

// As many pencils as there are lanes.
template <typename T>
using Group = Pencil<T, LanesMatrix<T>, LanesMatrix<T>>;

}  // namespace HWY_NAMESPACE
}  // namespace tfqz
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
