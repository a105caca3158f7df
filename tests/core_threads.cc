// What threads do at once, for ThreadSanitizer: batches that several threads share, interruption by SIGINT and by cancellation, calls that
// are left to themselves. With -DWHOLE_CORE also the mathematics: the first choice of vectors by several threads, pencils in several
// threads, and one pencil in two. Prints what it has done.
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "algorithms/apart.h"
#include "algorithms/batch.h"
#include "pencil/interruption.h"

#ifdef WHOLE_CORE
#include <algorithm>
#include <complex>
#include <limits>
#include <random>

#include "algorithms/batches.h"
#include "algorithms/choose_simd.h"
#endif

namespace {

constexpr int kThreads = 4;

void require(bool truth, const char* what) {
  if (truth) return;
  std::fprintf(stderr, "WRONG: %s\n", what);
  std::abort();
}

// All begin as nearly at once as can be.
void in_threads(const std::function<void(int)>& work) {
  std::atomic<int> waiting{kThreads};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      --waiting;
      while (waiting > 0) std::this_thread::yield();
      work(i);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// In ranges, as TensorFlow hands them out. Nothing that puts the threads in order: races are found by what doesn't.
void run_in_threads(tfqz::Batch* batch, std::int64_t elements) {
  in_threads([&](int i) {
    for (std::int64_t begin = 7 * i; begin < elements; begin += 7 * kThreads) batch->run(begin, std::min(elements, begin + 7));
  });
}

// Elements that take no time, or wait until they are interrupted; those that `fails` says fail.
class Elements : public tfqz::Batch {
 public:
  Elements(bool wait, bool fill_failures, std::vector<int>* results) : Batch(fill_failures), wait_(wait), results_(results) {}
  std::int64_t cost_per_element() const override { return 1000000000; }

 protected:
  Worker make_worker() const override {
    return [this](std::int64_t index) -> std::string {
      while (wait_ && !tfqz::interrupted()) std::this_thread::yield();
      (*results_)[index] = static_cast<int>(index);
      return index % 50 == 49 ? "element fails" : "";
    };
  }
  void fill_with_nan(std::int64_t index) const override { (*results_)[index] = -1; }

 private:
  const bool wait_;
  std::vector<int>* const results_;
};

void shared_batches() {
  for (const bool fill : {false, true}) {
    std::vector<int> results(500);
    Elements batch(/*wait=*/false, fill, &results);
    batch.watch(500, nullptr);
    run_in_threads(&batch, 500);
    const std::string failure = batch.failure({500});
    require(fill ? failure.empty() && results[49] == -1 && results[50] == 50 : failure == "element fails in batch element [49]",
            "the first failure is told");
  }
}

void cancelled_batches() {
  std::vector<int> results(500);
  std::atomic<bool> unwanted{false};
  Elements batch(/*wait=*/true, false, &results);
  batch.watch(500, [&] { return unwanted.load(); });
  std::thread impatient([&] {
    usleep(20000);
    unwanted = true;
  });
  run_in_threads(&batch, 500);
  impatient.join();
  require(batch.interrupted(), "a cancelled batch ends");
}

std::atomic<int> handled{0};

void count_signal(int) { ++handled; }

// Batches begin and end in several threads while signals come.
void signals() {
  struct sigaction action = {}, now = {};
  action.sa_handler = count_signal;
  sigaction(SIGINT, &action, nullptr);
  in_threads([](int) {
    for (int round = 0; round < 20; ++round) {
      std::vector<int> results(10);
      Elements batch(/*wait=*/round % 4 == 3, false, &results);
      batch.watch(10, nullptr);
      std::thread signaller([] {
        usleep(1000);
        kill(getpid(), SIGINT);
      });
      batch.run(0, 10);
      signaller.join();
    }
  });
  sigaction(SIGINT, nullptr, &now);
  require(now.sa_handler == count_signal && handled > 0, "the program's handler is called, and stays");
}

// Work that goes on when nobody waits for it, and work that is waited for.
void left_alone() {
  std::atomic<int> done{0}, left{0};
  in_threads([&](int i) {
    for (int round = 0; round < 5; ++round) {
      std::atomic<bool> unwanted{false};
      const tfqz::Interruption interruption([&] { return unwanted.load(); });
      const tfqz::Interruptible scope(&interruption);
      unwanted = (i + round) % 2 == 0;
      const auto owned = std::make_shared<std::vector<int>>(100, 1);
      const bool waited = tfqz::do_apart([owned, &done] {
        usleep(60000);
        for (int& x : *owned) ++x;
        ++done;
      });
      if (!waited) ++left;
      if (waited) require((*owned)[99] == 2, "work is done when it is said to be");
    }
  });
  require(left > 0, "what nobody waits for is left alone");
  while (done < 5 * kThreads) usleep(1000);
}

#ifdef WHOLE_CORE

// One thread by itself for the one, another one for the other.
tfqz::Fork two_threads() {
  return [](const std::function<void()>& one, const std::function<void()>& other) {
    std::thread thread(one);
    other();
    thread.join();
  };
}

template <typename T>
struct Pencils {
  Pencils(int n, int elements, int seed)
      : n(n), elements(elements), a(static_cast<std::size_t>(elements) * n * n), b(a), beta(static_cast<std::size_t>(elements) * n) {
    std::mt19937 generator(seed);
    std::normal_distribution<double> normal;
    for (auto* x : {&a, &b}) {
      for (T& entry : *x) entry = static_cast<T>(normal(generator));
    }
    for (auto& x : out) x.resize(a.size());
    alpha.resize(beta.size());
  }

  // The results in one line of numbers.
  std::vector<T> decomposed(bool by_threads, const tfqz::Fork& fork) {
    const tfqz::Factors<T> factors = {out[0].data(), out[1].data(), out[2].data(), out[3].data(), alpha.data(), beta.data()};
    tfqz::QzBatch<T> decomposition(n, elements, a.data(), b.data(), {}, {}, factors, false, fork);
    tfqz::QzGradientBatch<T> gradient(n, elements, false, {factors.s, factors.t, factors.q, factors.z},
                                      {a.data(), b.data(), a.data(), b.data(), nullptr, nullptr}, {out[4].data(), out[5].data()}, fork);
    std::vector<int32_t> labels(beta.size());
    for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int32_t>(i % 2);
    tfqz::ReorderBatch<T> order(n, elements, {factors.s, factors.t, factors.q, factors.z}, labels.data(),
                                {out[6].data(), out[7].data(), out[8].data(), out[9].data(), alpha.data(), beta.data()}, false);
    for (tfqz::Batch* batch : std::initializer_list<tfqz::Batch*>{&decomposition, &gradient, &order}) {
      batch->watch(elements, [] { return false; });
      by_threads ? run_in_threads(batch, elements) : batch->run(0, elements);
      require(batch->failure({elements}).empty() && !batch->interrupted(), "pencils are decomposed");
    }
    std::vector<T> all = beta;
    for (const auto& x : out) all.insert(all.end(), x.begin(), x.end());
    return all;
  }

  const int n, elements;
  std::vector<T> a, b, beta, out[10];
  std::vector<std::complex<tfqz::Real<T>>> alpha;
};

// The first that choose vectors, all at once; and what each computes is what one computes.
template <typename T>
void in_batches(int n, int elements) {
  const auto alone = tfqz::one_after_the_other();
  std::vector<std::vector<T>> found(kThreads);
  in_threads([&](int i) { found[i] = Pencils<T>(n, elements, 1).decomposed(/*by_threads=*/false, alone); });
  for (const auto& x : found) require(x == found[0], "each thread computes the same");
  require(Pencils<T>(n, elements, 1).decomposed(/*by_threads=*/true, alone) == found[0], "threads together compute the same");
}

template <typename T>
void in_two_threads(int n) {
  const auto found = Pencils<T>(n, 1, 2).decomposed(false, two_threads());
  require(found == Pencils<T>(n, 1, 2).decomposed(false, tfqz::one_after_the_other()), "two threads compute the same");
}

// LAPACK's own call, which is left to itself.
void cancelled_in_lapack() {
  constexpr int n = tfqz::kSmallestApart;
  std::vector<double> a(n * n), t(a), z(a);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<double>(i * 7919 % 1009) / 1009;
  std::atomic<bool> unwanted{false};
  tfqz::SchurBatch<double> schur(n, a.data(), {t.data(), z.data()}, false);
  schur.watch(1, [&] { return unwanted.load(); });
  std::thread impatient([&] {
    usleep(10000);
    unwanted = true;
  });
  schur.run(0, 1);
  impatient.join();
  require(schur.interrupted(), "a cancelled call ends");
}

#endif

}  // namespace

int main() {
#ifdef WHOLE_CORE
  in_batches<double>(8, 40);
  in_batches<std::complex<float>>(20, 20);
  in_batches<float>(40, 8);
  in_two_threads<double>(140);
  in_two_threads<std::complex<double>>(130);
  cancelled_in_lapack();
  std::printf("the mathematics\n");
#endif
  shared_batches();
  cancelled_batches();
  signals();
  left_alone();
  std::printf("batches, signals, calls left alone\n");
}
