// The QZ iteration of one pencil: that of lanes_iteration-inl.h, with the same number in all lanes where a bulge is, and with vectors
// along the lines of matrices for the rest.
#if defined(TFQZ_QZ_ITERATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TFQZ_QZ_ITERATION_INL_H_
#undef TFQZ_QZ_ITERATION_INL_H_
#else
#define TFQZ_QZ_ITERATION_INL_H_
#endif

#include <algorithm>
#include <memory>

#include "vectors/lanes_canonical-inl.h"
#include "vectors/lanes_iteration-inl.h"
#include "vectors/lines_postponed-inl.h"
#include "vectors/qz_iteration.h"

HWY_BEFORE_NAMESPACE();
namespace tfqz {
namespace HWY_NAMESPACE {

template <typename T>
using OnePencil = Pencil<T, LinesMatrix<T, false>, PostponedRows<T>>;

template <typename T>
class Gathered<LinesMatrix<T, false>> {
 public:
  HWY_INLINE Gathered(Lanes<Real<T>> place, Mask<Real<T>>, int) : place_(static_cast<int>(hn::GetLane(place.v))) {}
  HWY_INLINE Lanes<T> operator()(LinesMatrix<T, false> X, int i, int j) const { return X(place_ + i, place_ + j); }

 private:
  int place_;
};

// How many steps of a bulge are done near it first, then everywhere else.
inline constexpr int kSteps = 32;

// As the sweep of a group. Only the rows and columns that the bulge passes through in kSteps steps turn at once.
template <typename T>
void sweep(const OnePencil<T>& pencil, const Windows<T>& windows) {
  using R = Real<T>;
  constexpr int kSize = kBulge<T>;
  const LinesMatrix<T, false> S = pencil.S, T_ = pencil.T_;
  const int n = pencil.n, first = static_cast<int>(hn::GetLane(windows.first.v)), last = static_cast<int>(hn::GetLane(windows.last.v));
  const int top = pencil.begin(first) / kLanes<T> * kLanes<T>, right_end = pencil.end(last);
  const Mask<R> everywhere = is_zero(all_lanes(R(0)));
  Reflector<T, kSize> lefts[kSteps + kLanes<T>], rights[kSteps];
  Lanes<T> x[kSize];
  first_column(pencil, windows, x);
  Reflector<T, kSize> left = reflector(x, everywhere);
  for (int begin = first; begin < last; begin += kSteps) {
    const int steps = std::min(kSteps, last - begin), first_row = begin / kLanes<T> * kLanes<T>;
    const int end_column = std::min(begin + steps + kSize - 1, n);
    for (int step = 0; step < steps; ++step) {
      const int k = begin + step;
      reflect_rows(left, T_, k, k, end_column);
      orthogonal_to_rows(T_, k, windows.last, x);
      const Reflector<T, kSize> right = conj(reflector(x, everywhere));
      reflect_rows(left, S, k, k, end_column);
      reflect_columns(right, S, k, first_row, std::min(k + kSize + 1, n));
      lefts[step] = left;
      rights[step] = right;
      if (k + 1 < last) {
        // The bulge's column, which becomes that of a Hessenberg matrix again.
        for (int i = 0; i < kSize; ++i) x[i] = S(k + 1 + i, k);
        Lanes<T> above = x[0];
        left = reflector(x, everywhere, &above);
        S.set(k + 1, k, select(is_zero(left.tau), S(k + 1, k), above));
        for (int i = 1; i < kSize; ++i) S.clear(k + 1 + i, k);
      }
      reflect_columns(right, T_, k, first_row, std::min(k + kSize, n));
      for (int i = 1; i < kSize; ++i) T_.clear(k + i, k);
    }
    turn_lines(rights, steps, S, begin, top, first_row);
    turn_lines(rights, steps, T_, begin, top, first_row);
    pencil.QH.rows->add(lefts, steps, begin);
    pencil.ZT.rows->add(rights, steps, begin);
    int whole = steps;
    for (const Reflector<T, kSize> nothing = identity<T, kSize>(); whole % kLanes<T> != 0; ++whole) lefts[whole] = nothing;
    turn_rows(lefts, whole, S, begin, end_column, right_end);
    turn_rows(lefts, whole, T_, begin, end_column, right_end);
  }
}

// Column j of reduce_to_hessenberg. `lefts` and `rights`: room for n + kLanes<T> reflectors each.
template <typename T>
void reduce_column(const OnePencil<T>& pencil, int j, Reflector<T, 2>* lefts, Reflector<T, 2>* rights) {
  const LinesMatrix<T, false> S = pencil.S, T_ = pencil.T_;
  const int n = pencil.n;
  const Reflector<T, 2> nothing = identity<T, 2>();
  static_assert(kSteps % kLanes<T> == 0, "only the last part may be filled up");
  const auto whole = [&](int count, Reflector<T, 2>* H) HWY_ATTR {
    for (; count % kLanes<T> != 0; ++count) H[count] = nothing;
    return count;
  };
  const int count = n - 2 - j;
  // All that turns the rows is in the column.
  Lanes<T> x[2], below = S(n - 1, j);
  for (int k = 0; k < count; ++k) {
    const int i = n - 1 - k;
    x[0] = S(i - 1, j);
    x[1] = below;
    Lanes<T> above = x[0];
    lefts[k] = reflector(x, !is_zero(x[1]), &above);
    below = select(is_zero(lefts[k].tau), S(i - 1, j), above);
    S.clear(i, j);
  }
  S.set(j + 1, j, below);
  // And what turns the columns is in T, near its diagonal.
  for (int begin = 0; begin < count; begin += kSteps) {
    const int end = std::min(count, begin + kSteps), last = n - 1 - begin, first_row = (n - 1 - end) / kLanes<T> * kLanes<T>;
    for (int k = begin; k < end; ++k) {
      const int i = n - 1 - k;
      reflect_rows(lefts[k], T_, i - 1, i - 1, last + 1);
      const Lanes<T> p = T_(i, i - 1);
      rights[k] = conj(clearing_first(p, T_(i, i), !is_zero(p)));
      reflect_columns(rights[k], T_, i - 1, first_row, i + 1);
      T_.clear(i, i - 1);
    }
    turn_lines_upwards(rights + begin, end - begin, T_, last, 0, first_row);
    turn_rows_upwards(lefts + begin, whole(end - begin, lefts + begin), T_, last, last + 1, n);
  }
  turn_lines_upwards(rights, count, S, n - 1, 0, n);
  pencil.QH.rows->add(lefts, count, n - 1, /*upwards=*/true);
  pencil.ZT.rows->add(rights, count, n - 1, /*upwards=*/true);
  turn_rows_upwards(lefts, whole(count, lefts), S, n - 1, j + 1, n);
}

template <typename T>
class Iteration : public QzIteration<T> {
 public:
  Iteration(int n, Fork fork)
      : n_(n),
        leading_(padded(n)),
        size_(static_cast<std::size_t>(n + 2 * kLanes<T>) * leading_ * kParts),
        fork_(std::move(fork)),
        lefts_(new Reflector<T, 2>[n + kLanes<T>]),
        rights_(new Reflector<T, 2>[n + kLanes<T>]),
        buffer_(aligned_array<R>(front() + 4 * size_)),
        of_q_(enough(n), 4 * n),
        of_z_(enough(n), 4 * n) {}

  bool operator()(Matrix<T> S, Matrix<T> T_, Matrix<T> Q, Matrix<T> Z, int first, int last) override {
    std::fill_n(buffer_.get(), front() + 4 * size_, R(0));
    read(S, R(1), line_matrix(0));
    read(T_, R(1), line_matrix(1));
    if (Q.present()) read(Q, R(-1), line_matrix(2));
    if (Z.present()) read(Z, R(1), line_matrix(3));
    of_q_.start({Q.present() ? line_matrix(2) : nullptr, leading_}, n_);
    of_z_.start({Z.present() ? line_matrix(3) : nullptr, leading_}, n_);
    const OnePencil<T> pencil = {n_, {line_matrix(0), leading_}, {line_matrix(1), leading_}, {&of_q_}, {&of_z_}};
    Windows<T> windows(n_);
    const Active<R> active = {all_lanes(static_cast<R>(first)), all_lanes(static_cast<R>(last))};
    Lanes<R> zero;
    int column = 0;
    bool done = false;
    // S and T go on while Q and Z catch up.
    while (!done) {
      const auto catch_up = [&] {
        of_q_.catch_up();
        of_z_.catch_up();
      };
      const auto go_on = [&]() HWY_ATTR {
        for (; column + 2 < n_; ++column) {
          if (of_z_.full()) return;
          reduce_column(pencil, column, lefts_.get(), rights_.get());
        }
        if (column < n_) {
          zero = zero_beta(pencil, active);
          column = n_;
        }
        while (!of_z_.full()) {
          if (step(pencil, zero, &windows)) continue;
          if constexpr (!kComplex<T>) standardize_blocks(pencil);
          drop_negligible_betas(pencil, active, zero);
          done = true;
          return;
        }
      };
      fork_(catch_up, go_on);
      of_q_.take_turns();
      of_z_.take_turns();
    }
    if (any(windows.failed)) return false;
    fork_([&] { of_q_.catch_up(); }, [&] { of_z_.catch_up(); });
    write(line_matrix(0), R(1), S);
    write(line_matrix(1), R(1), T_);
    if (Q.present()) write(line_matrix(2), R(-1), Q);
    if (Z.present()) write(line_matrix(3), R(1), Z);
    return true;
  }

 private:
  using R = Real<T>;

  static constexpr int kParts = kComplex<T> ? 2 : 1;

  // An odd number of cache lines, and room for vectors beyond the end.
  static int padded(int n) {
    constexpr int kLine = 64 / sizeof(R);
    return ((n + 2 * kLanes<T> + 2 + kLine - 1) / kLine | 1) * kLine;
  }

  // What vectors take before the first line.
  static constexpr int front() { return kAlignment / sizeof(R) > kLanes<T> ? kAlignment / sizeof(R) : kLanes<T>; }

  R* line_matrix(int i) const { return buffer_.get() + front() + i * size_; }

  // Columns to lines and back; `sign` of the imaginary part.
  void read(Matrix<T> from, R sign, R* to) const {
    for (int j = 0; j < n_; ++j, to += leading_ * kParts) {
      const T* column = from.column(j);
      for (int i = 0; i < n_; ++i) {
        to[i] = std::real(column[i]);
        if constexpr (kComplex<T>) to[leading_ + i] = sign * std::imag(column[i]);
      }
    }
  }
  void write(const R* from, R sign, Matrix<T> to) const {
    for (int j = 0; j < n_; ++j, from += leading_ * kParts) {
      T* column = to.column(j);
      for (int i = 0; i < n_; ++i) {
        if constexpr (kComplex<T>) {
          column[i] = {from[i], sign * from[leading_ + i]};
        } else {
          column[i] = from[i];
        }
      }
    }
  }

  // Reflectors that Q and Z are behind: more leave the cache.
  static int enough(int n) { return std::max(2 * n, std::min(4 * n, 1000)); }

  const int n_, leading_;
  const std::size_t size_;  // of a matrix, in real numbers
  const Fork fork_;
  std::unique_ptr<Reflector<T, 2>[]> lefts_, rights_;
  AlignedArray<R> buffer_;
  Postponed<T> of_q_, of_z_;
};

template <typename T>
std::unique_ptr<QzIteration<T>> make_iteration(int n, Fork fork) {
  return std::make_unique<Iteration<T>>(n, std::move(fork));
}

}  // namespace HWY_NAMESPACE
}  // namespace tfqz
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace tfqz {

template <typename T>
std::unique_ptr<QzIteration<T>> make_iteration(const Simd& simd, int n, Fork fork) {
#if HWY_TARGETS & HWY_AVX2
  if (simd.bytes >= 32) return N_AVX2::make_iteration<T>(n, std::move(fork));
#endif
  return HWY_STATIC_NAMESPACE::make_iteration<T>(n, std::move(fork));
}

}  // namespace tfqz

#endif  // HWY_ONCE
#endif  // per-target include guard
