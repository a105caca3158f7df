// One matrix whose lines, its columns or its rows, are contiguous: several entries of one line stand side by side in a vector. And
// reflectors that turn its rows and columns, one by one or many in sequence.
#if defined(TFQZ_LINES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TFQZ_LINES_INL_H_
#undef TFQZ_LINES_INL_H_
#else
#define TFQZ_LINES_INL_H_
#endif

#include <cstddef>
#include <type_traits>

#include "vectors/lanes_memory-inl.h"
#include "vectors/reflector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tfqz {
namespace HWY_NAMESPACE {

// The lines are rows, or columns; of each the real parts, then the imaginary parts, `leading` numbers each. Somebody else owns it. It has
// some lines, and some entries in each, beyond its own: zeros, which vectors that reach beyond the end leave zeros.
template <typename T, bool kRows>
struct LinesMatrix {
  using R = Real<T>;

  R* data;
  int leading;

  HWY_INLINE std::ptrdiff_t line_size() const { return static_cast<std::ptrdiff_t>(leading) * (kComplex<T> ? 2 : 1); }
  HWY_INLINE R* at(int i, int j) const { return data + (kRows ? i : j) * line_size() + (kRows ? j : i); }

  // From a place on, and the entry at a place in every lane.
  HWY_INLINE Lanes<T> load(const R* from) const {
    if constexpr (kComplex<T>) {
      return {{hn::LoadU(Tag<R>(), from)}, {hn::LoadU(Tag<R>(), from + leading)}};
    } else {
      return {hn::LoadU(Tag<R>(), from)};
    }
  }
  HWY_INLINE void store(Lanes<T> x, R* to) const {
    if constexpr (kComplex<T>) {
      hn::StoreU(x.re.v, Tag<R>(), to);
      hn::StoreU(x.im.v, Tag<R>(), to + leading);
    } else {
      hn::StoreU(x.v, Tag<R>(), to);
    }
  }
  HWY_INLINE Lanes<T> spread(const R* from) const {
    if constexpr (kComplex<T>) {
      return {all_lanes(from[0]), all_lanes(from[leading])};
    } else {
      return all_lanes(*from);
    }
  }
  HWY_INLINE void store_one(Lanes<T> x, R* to) const {
    if constexpr (kComplex<T>) {
      to[0] = hn::GetLane(x.re.v);
      to[leading] = hn::GetLane(x.im.v);
    } else {
      *to = hn::GetLane(x.v);
    }
  }

  // As LanesMatrix has them, the same number in all lanes.
  HWY_INLINE Lanes<T> operator()(int i, int j) const { return spread(at(i, j)); }
  HWY_INLINE void set(int i, int j, Lanes<T> x) const { store_one(x, at(i, j)); }
  HWY_INLINE void clear(int i, int j) const { set(i, j, number<T>(0)); }
};

// H times `kSize` lines, from `line` on, in the entries [begin, end) and what a vector takes beyond.
template <typename T, bool kRows, int kSize>
HWY_INLINE void reflect_lines(const Reflector<T, kSize>& H, LinesMatrix<T, kRows> X, int line, int begin, int end) {
  const std::ptrdiff_t step = X.line_size();
  Real<T>* x = X.data + line * step + begin;
  for (int k = begin; k < end; k += kLanes<T>, x += kLanes<T>) {
    Lanes<T> entries[kSize];
    for (int i = 0; i < kSize; ++i) entries[i] = X.load(x + i * step);
    Lanes<T> product = entries[0];
    for (int i = 1; i < kSize; ++i) product = mul_add(H.adjoint[i - 1], entries[i], product);
    X.store(neg_mul_add(H.tau, product, entries[0]), x);
    for (int i = 1; i < kSize; ++i) X.store(neg_mul_add(H.scaled[i - 1], product, entries[i]), x + i * step);
  }
}

template <typename T, int kSize>
HWY_INLINE void reflect_rows(const Reflector<T, kSize>& H, LinesMatrix<T, true> X, int row, int begin, int end) {
  reflect_lines(H, X, row, begin, end);
}

template <typename T, int kSize>
HWY_INLINE void reflect_columns(const Reflector<T, kSize>& H, LinesMatrix<T, false> X, int column, int begin, int end) {
  reflect_lines(H, X, column, begin, end);
}

// Across the lines: a vector has the entries of one line that change, and others after them.
template <typename T, int kSize>
HWY_INLINE void reflect_rows(const Reflector<T, kSize>& H, LinesMatrix<T, false> X, int row, int begin, int end) {
  using R = Real<T>;
  Lanes<T> scaled = number<T>(0);
  if constexpr (kLanes<T> >= kSize) {
    const Lanes<R> lane = {hn::Iota(Tag<R>(), 0)};
    scaled = masked(lane == all_lanes(R(0)), widened<T>(H.tau));
    for (int i = 1; i < kSize; ++i) scaled = select(lane == all_lanes(R(i)), H.scaled[i - 1], scaled);
  }
  R* x = X.at(row, begin);
  for (int j = begin; j < end; ++j, x += X.line_size()) {
    Lanes<T> product = X.spread(x);
    for (int i = 1; i < kSize; ++i) product = mul_add(H.adjoint[i - 1], X.spread(x + i), product);
    if constexpr (kLanes<T> >= kSize) {
      X.store(neg_mul_add(scaled, product, X.load(x)), x);
    } else {
      X.store_one(neg_mul_add(H.tau, product, X.spread(x)), x);
      for (int i = 1; i < kSize; ++i) X.store_one(neg_mul_add(H.scaled[i - 1], product, X.spread(x + i)), x + i);
    }
  }
}

// Calls turn(kWide, i) for entries i of the lines, or columns, in [begin, end): the kWide vectors from there on, so many that the sums of
// one need not wait for another, so few that they stay in registers; then one by one what is left.
template <typename T, int kWide, typename Turn>
HWY_INLINE void in_strips(int begin, int end, const Turn& turn) {
  int i = begin;
  for (; i + (kWide - 1) * kLanes<T> < end; i += kWide * kLanes<T>) turn(std::integral_constant<int, kWide>(), i);
  for (; i < end; i += kLanes<T>) turn(std::integral_constant<int, 1>(), i);
}

// ---- Many reflectors, H[k] for the lines or the rows k, k + 1, ..: what they turn stays in registers from one to the next.

// kWide vectors of each line, from those at x on.
template <typename T, bool kRows, int kSize, int kWide>
HWY_INLINE void turn_strip(const Reflector<T, kSize>* H, int count, LinesMatrix<T, kRows> X, Real<T>* x) {
  const std::ptrdiff_t step = X.line_size();
  Lanes<T> live[kSize][kWide];  // the lines that the next one turns, but for the last: line i is at (i modulo kSize)
  for (int i = 0; i < kSize - 1; ++i) {
    for (int w = 0; w < kWide; ++w) live[i][w] = X.load(x + i * step + w * kLanes<T>);
  }
  int k = 0;
  const auto turn = [&](auto first) HWY_ATTR {
    constexpr int kFirst = decltype(first)::value, kLast = (kFirst + kSize - 1) % kSize;
    const Reflector<T, kSize>& h = H[k];
    Lanes<T> products[kWide];
    for (int w = 0; w < kWide; ++w) live[kLast][w] = X.load(x + (kSize - 1) * step + w * kLanes<T>);
    for (int w = 0; w < kWide; ++w) products[w] = live[kFirst][w];
    for (int i = 1; i < kSize; ++i) {
      for (int w = 0; w < kWide; ++w) products[w] = mul_add(h.adjoint[i - 1], live[(kFirst + i) % kSize][w], products[w]);
    }
    for (int w = 0; w < kWide; ++w) X.store(neg_mul_add(h.tau, products[w], live[kFirst][w]), x + w * kLanes<T>);
    for (int i = 1; i < kSize; ++i) {
      Lanes<T>* y = live[(kFirst + i) % kSize];
      for (int w = 0; w < kWide; ++w) y[w] = neg_mul_add(h.scaled[i - 1], products[w], y[w]);
    }
    x += step;
    ++k;
  };
  const auto finish = [&](auto first) HWY_ATTR {
    for (int i = 0; i < kSize - 1; ++i) {
      for (int w = 0; w < kWide; ++w) X.store(live[(decltype(first)::value + i) % kSize][w], x + i * step + w * kLanes<T>);
    }
  };
  const std::integral_constant<int, 0> zero;
  const std::integral_constant<int, 1> one;
  const std::integral_constant<int, 2> two;
  while (k + kSize <= count) {
    turn(zero);
    turn(one);
    if constexpr (kSize == 3) turn(two);
  }
  if (k == count) return finish(zero);
  turn(zero);
  if constexpr (kSize == 3) {
    if (k < count) {
      turn(one);
      return finish(two);
    }
  }
  finish(one);
}

// The first `count` reflectors for lines from `line` on, in the entries [begin, end): multiples of the number of lanes, or the end of
// the lines.
template <typename T, bool kRows, int kSize>
void turn_lines(const Reflector<T, kSize>* H, int count, LinesMatrix<T, kRows> X, int line, int begin, int end) {
  in_strips<T, kComplex<T> ? 2 : 4>(begin, end, [&](auto wide, int i) HWY_ATTR {
    turn_strip<T, kRows, kSize, decltype(wide)::value>(H, count, X, X.data + line * X.line_size() + i);
  });
}

template <typename R>
HWY_INLINE void transpose_all(Lanes<R>* x) {
  Lanes<R> y[kLanes<R>];
  for (int i = 0; i < kLanes<R>; ++i) y[i] = x[i];
  transpose(y);
  for (int i = 0; i < kLanes<R>; ++i) x[i] = y[i];
}
template <typename R>
HWY_INLINE void transpose_all(Lanes<std::complex<R>>* x) {
  Lanes<R> re[kLanes<R>], im[kLanes<R>];
  for (int i = 0; i < kLanes<R>; ++i) re[i] = x[i].re, im[i] = x[i].im;
  transpose(re);
  transpose(im);
  for (int i = 0; i < kLanes<R>; ++i) x[i] = {re[i], im[i]};
}

// The rows of as many columns as there are lanes, each in a vector, from the entry `from` of the first of them on; and back.
template <typename T>
HWY_INLINE void read_rows(LinesMatrix<T, false> X, const Real<T>* from, Lanes<T>* to) {
  for (int j = 0; j < kLanes<T>; ++j) to[j] = X.load(from + j * X.line_size());
  transpose_all(to);
}
template <typename T>
HWY_INLINE void write_rows(LinesMatrix<T, false> X, Lanes<T>* from, Real<T>* to) {
  transpose_all(from);
  for (int j = 0; j < kLanes<T>; ++j) X.store(from[j], to + j * X.line_size());
}

// kWide times as many columns as there are lanes, from the one with x on; `count` is a multiple of the number of lanes.
template <typename T, int kSize, int kWide>
HWY_INLINE void turn_columns_strip(const Reflector<T, kSize>* H, int count, LinesMatrix<T, false> X, Real<T>* x) {
  constexpr int kCount = kLanes<T>;
  const std::ptrdiff_t next = kCount * X.line_size();  // columns
  Lanes<T> rows[kWide][kCount + kSize - 1];
  for (int w = 0; w < kWide; ++w) read_rows(X, x + w * next, rows[w]);
  for (int k = 0; k < count; k += kCount, x += kCount) {
    for (int w = 0; w < kWide; ++w) read_rows(X, x + kSize - 1 + w * next, rows[w] + kSize - 1);
    for (int s = 0; s < kCount; ++s) {
      const Reflector<T, kSize>& h = H[k + s];
      Lanes<T> products[kWide];
      for (int w = 0; w < kWide; ++w) {
        products[w] = rows[w][s];
        for (int i = 1; i < kSize; ++i) products[w] = mul_add(h.adjoint[i - 1], rows[w][s + i], products[w]);
      }
      for (int w = 0; w < kWide; ++w) {
        rows[w][s] = neg_mul_add(h.tau, products[w], rows[w][s]);
        for (int i = 1; i < kSize; ++i) rows[w][s + i] = neg_mul_add(h.scaled[i - 1], products[w], rows[w][s + i]);
      }
    }
    for (int w = 0; w < kWide; ++w) {
      write_rows(X, rows[w], x + w * next);
      for (int i = 0; i < kSize - 1; ++i) rows[w][i] = rows[w][kCount + i];
    }
  }
  for (int w = 0; w < kWide; ++w) {
    Lanes<T> last[kCount];
    read_rows(X, x + w * next, last);
    for (int i = 0; i < kSize - 1; ++i) last[i] = rows[w][i];
    write_rows(X, last, x + w * next);
  }
}

// Of rows, which take a vector each.
template <typename T>
inline constexpr int kWideRows = !kComplex<T> && kLanes<T> <= 4 ? 2 : 1;

// The first `count` reflectors, a multiple of the number of lanes, for the rows from `row` on, in the columns [begin, end) and what
// vectors take beyond.
template <typename T, int kSize>
void turn_rows(const Reflector<T, kSize>* H, int count, LinesMatrix<T, false> X, int row, int begin, int end) {
  in_strips<T, kWideRows<T>>(
      begin, end, [&](auto wide, int j) HWY_ATTR { turn_columns_strip<T, kSize, decltype(wide)::value>(H, count, X, X.at(row, j)); });
}

// ---- The same upwards: H[k] for the lines or the rows `last` - k - 1 and `last` - k.

template <typename T, bool kRows, int kWide>
HWY_INLINE void turn_strip_upwards(const Reflector<T, 2>* H, int count, LinesMatrix<T, kRows> X, Real<T>* x) {
  const std::ptrdiff_t step = X.line_size();
  Lanes<T> live[kWide];
  for (int w = 0; w < kWide; ++w) live[w] = X.load(x + w * kLanes<T>);
  for (int k = 0; k < count; ++k, x -= step) {
    const Reflector<T, 2>& h = H[k];
    for (int w = 0; w < kWide; ++w) {
      const Lanes<T> above = X.load(x - step + w * kLanes<T>);
      const Lanes<T> product = mul_add(h.adjoint[0], live[w], above);
      X.store(neg_mul_add(h.scaled[0], product, live[w]), x + w * kLanes<T>);
      live[w] = neg_mul_add(h.tau, product, above);
    }
  }
  for (int w = 0; w < kWide; ++w) X.store(live[w], x + w * kLanes<T>);
}

template <typename T, bool kRows>
void turn_lines_upwards(const Reflector<T, 2>* H, int count, LinesMatrix<T, kRows> X, int last, int begin, int end) {
  in_strips<T, kComplex<T> ? 3 : 6>(begin, end, [&](auto wide, int i) HWY_ATTR {
    turn_strip_upwards<T, kRows, decltype(wide)::value>(H, count, X, X.data + last * X.line_size() + i);
  });
}

template <typename T, int kWide>
HWY_INLINE void turn_columns_strip_upwards(const Reflector<T, 2>* H, int count, LinesMatrix<T, false> X, Real<T>* x) {
  constexpr int kCount = kLanes<T>;
  const std::ptrdiff_t next = kCount * X.line_size();  // columns
  Lanes<T> rows[kWide][kCount + 1];
  for (int w = 0; w < kWide; ++w) read_rows(X, x + w * next, rows[w]);
  for (int k = 0; k < count; k += kCount, x -= kCount) {
    for (int w = 0; w < kWide; ++w) {
      rows[w][kCount] = rows[w][0];
      read_rows(X, x - kCount + w * next, rows[w]);
    }
    for (int s = 0; s < kCount; ++s) {
      const Reflector<T, 2>& h = H[k + s];
      const int i = kCount - 1 - s;
      for (int w = 0; w < kWide; ++w) {
        const Lanes<T> product = mul_add(h.adjoint[0], rows[w][i + 1], rows[w][i]);
        rows[w][i + 1] = neg_mul_add(h.scaled[0], product, rows[w][i + 1]);
        rows[w][i] = neg_mul_add(h.tau, product, rows[w][i]);
      }
    }
    for (int w = 0; w < kWide; ++w) write_rows(X, rows[w] + 1, x - kCount + 1 + w * next);
  }
  for (int w = 0; w < kWide; ++w) {
    Lanes<T> last[kCount];
    read_rows(X, x + w * next, last);
    last[0] = rows[w][0];
    write_rows(X, last, x + w * next);
  }
}

// `count` is a multiple of the number of lanes, and may reach as far beyond the first row.
template <typename T>
void turn_rows_upwards(const Reflector<T, 2>* H, int count, LinesMatrix<T, false> X, int last, int begin, int end) {
  in_strips<T, kWideRows<T>>(
      begin, end, [&](auto wide, int j) HWY_ATTR { turn_columns_strip_upwards<T, decltype(wide)::value>(H, count, X, X.at(last, j)); });
}

}  // namespace HWY_NAMESPACE
}  // namespace tfqz
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
