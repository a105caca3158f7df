// What turns the rows of a matrix, put off until there is much of it. Then a strip of the matrix stays in the cache for all of it, and
// another thread may do it.
#if defined(TFQZ_LINES_POSTPONED_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TFQZ_LINES_POSTPONED_INL_H_
#undef TFQZ_LINES_POSTPONED_INL_H_
#else
#define TFQZ_LINES_POSTPONED_INL_H_
#endif

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "vectors/lines-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tfqz {
namespace HWY_NAMESPACE {

// Reflectors in the order in which they are to be applied.
template <typename T>
class Queue {
  using R = Real<T>;

 public:
  // `enough` reflectors of any kind; it has room for as many and for `more`.
  Queue(int enough, int more)
      : enough_(enough), pairs_(new Reflector<T, 2>[enough + more]), triples_(new Reflector<T, 3>[kComplex<T> ? 0 : enough + more]) {}

  bool full() const { return used_pairs_ + used_triples_ >= enough_; }
  void clear() {
    used_pairs_ = used_triples_ = 0;
    runs_.clear();
  }

  // For the rows from `row` on, or upwards from `row`.
  void add(const Reflector<T, 2>* H, int count, int row, bool upwards = false) {
    std::copy_n(H, count, &pairs_[used_pairs_]);
    runs_.push_back({upwards ? kUpwards : kPairs, row, count, used_pairs_});
    used_pairs_ += count;
  }
  void add(const Reflector<T, 3>* H, int count, int row) {
    std::copy_n(H, count, &triples_[used_triples_]);
    runs_.push_back({kTriples, row, count, used_triples_});
    used_triples_ += count;
  }

  void apply(LinesMatrix<T, true> X, int n) const {
    in_strips<T, kComplex<T> ? 2 : 4>(0, n, [&](auto wide, int j) HWY_ATTR { apply_to_strip<decltype(wide)::value>(X, j); });
  }

 private:
  enum Kind { kPairs, kTriples, kUpwards };
  struct Run {
    Kind kind;
    int row, count, first;
  };

  template <int kWide>
  void apply_to_strip(LinesMatrix<T, true> X, int column) const {
    for (const Run& run : runs_) {
      R* x = X.at(run.row, column);
      switch (run.kind) {
        case kPairs: turn_strip<T, true, 2, kWide>(&pairs_[run.first], run.count, X, x); break;
        case kTriples: turn_strip<T, true, 3, kWide>(&triples_[run.first], run.count, X, x); break;
        case kUpwards: turn_strip_upwards<T, true, kWide>(&pairs_[run.first], run.count, X, x); break;
      }
    }
  }

  const int enough_;
  int used_pairs_ = 0, used_triples_ = 0;
  std::unique_ptr<Reflector<T, 2>[]> pairs_;
  std::unique_ptr<Reflector<T, 3>[]> triples_;
  std::vector<Run> runs_;
};

// A matrix whose rows turn later, or none: one queue fills while another may be applied.
template <typename T>
class Postponed {
 public:
  Postponed(int enough, int more) : filling_(new Queue<T>(enough, more)), waiting_(new Queue<T>(enough, more)) {}

  void start(LinesMatrix<T, true> X, int n) {
    X_ = X;
    n_ = n;
    filling_->clear();
    waiting_->clear();
  }
  bool present() const { return X_.data != nullptr; }
  bool full() const { return filling_->full(); }

  template <typename... Arguments>
  void add(Arguments... arguments) {
    if (present()) filling_->add(arguments...);
  }

  // What came before the last call of take_turns(); it may run together with add().
  void catch_up() const {
    if (present()) waiting_->apply(X_, n_);
  }
  void take_turns() {
    std::swap(filling_, waiting_);
    filling_->clear();
  }

 private:
  LinesMatrix<T, true> X_ = {nullptr, 0};
  int n_ = 0;
  std::unique_ptr<Queue<T>> filling_, waiting_;
};

// In the place of the matrix.
template <typename T>
struct PostponedRows {
  Postponed<T>* rows;

  bool present() const { return rows->present(); }
};
template <typename T, int kSize>
HWY_INLINE void reflect_rows(const Reflector<T, kSize>& H, PostponedRows<T> X, int row, int, int) {
  X.rows->add(&H, 1, row);
}

}  // namespace HWY_NAMESPACE
}  // namespace tfqz
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
