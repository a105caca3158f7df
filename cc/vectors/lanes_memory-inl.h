// Between matrices of several pencils in memory, each by itself, and lanes: squares of numbers, as many of each pencil as there are
// lanes, are transposed in registers.
#if defined(TFQZ_LANES_MEMORY_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TFQZ_LANES_MEMORY_INL_H_
#undef TFQZ_LANES_MEMORY_INL_H_
#else
#define TFQZ_LANES_MEMORY_INL_H_
#endif

#include <array>
#include <cstddef>

#include "vectors/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tfqz {
namespace HWY_NAMESPACE {

// Lane k of x[i] changes places with lane i of x[k]. Of a number's place, the digits of i followed by those of k, each step moves the
// first binary digit to the end.
template <typename R>
HWY_INLINE void transpose(Lanes<R> (&x)[kLanes<R>]) {
  constexpr int kCount = kLanes<R>, kHalf = kCount / 2;
  for (int step = 1; step < kCount; step *= 2) {
    Lanes<R> y[kCount];
    for (int i = 0; i < kHalf; ++i) {
      y[2 * i] = {hn::InterleaveWholeLower(Tag<R>(), x[i].v, x[i + kHalf].v)};
      y[2 * i + 1] = {hn::InterleaveWholeUpper(Tag<R>(), x[i].v, x[i + kHalf].v)};
    }
    for (int i = 0; i < kCount; ++i) x[i] = y[i];
  }
}

// Calls put(x) for `count` vectors in turn, of which lane k is the next number from from[k].
template <typename R, typename Put>
HWY_INLINE void to_lanes(const std::array<const R*, kLanes<R>>& from, std::size_t count, const Put& put) {
  constexpr std::size_t kCount = kLanes<R>;
  std::size_t done = 0;
  for (; done + kCount <= count; done += kCount) {
    Lanes<R> x[kCount];
    for (std::size_t lane = 0; lane < kCount; ++lane) x[lane] = {hn::LoadU(Tag<R>(), from[lane] + done)};
    transpose(x);
    for (const Lanes<R>& numbers : x) put(numbers);
  }
  for (; done < count; ++done) {
    alignas(kAlignment) R numbers[kCount];
    for (std::size_t lane = 0; lane < kCount; ++lane) numbers[lane] = from[lane][done];
    put(load<R>(numbers));
  }
}

// The way back: get() returns `count` vectors in turn.
template <typename R, typename Get>
HWY_INLINE void from_lanes(const Get& get, std::size_t count, const std::array<R*, kLanes<R>>& to) {
  constexpr std::size_t kCount = kLanes<R>;
  std::size_t done = 0;
  for (; done + kCount <= count; done += kCount) {
    Lanes<R> x[kCount];
    for (Lanes<R>& numbers : x) numbers = get();
    transpose(x);
    for (std::size_t lane = 0; lane < kCount; ++lane) hn::StoreU(x[lane].v, Tag<R>(), to[lane] + done);
  }
  for (; done < count; ++done) {
    alignas(kAlignment) R numbers[kCount];
    store(get(), numbers);
    for (std::size_t lane = 0; lane < kCount; ++lane) to[lane][done] = numbers[lane];
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tfqz
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
