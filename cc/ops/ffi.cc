// What programs compiled by XLA call on the CPU: typed FFI handlers around the same core, one for each dtype.
#include <algorithm>
#include <atomic>
#include <complex>
#include <condition_variable>
#include <cstdint>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "algorithms/balance.h"
#include "algorithms/batches.h"
#include "algorithms/frames.h"
#include "xla/ffi/api/ffi.h"

// Every TensorFlow exports this function, and few the plain C one of the same purpose. Its header, xla/ffi/ffi_api.h, brings a second
// registry along.
namespace xla::ffi {
const XLA_FFI_Api* GetXlaFfiApi();
}  // namespace xla::ffi

namespace tfqz {
namespace {

namespace ffi = xla::ffi;

// In nanoseconds: less is not worth waking a thread.
constexpr int64_t kWorthwhile = 20000;

// Runs work(begin, end) over [0, total) on the pool and on the calling thread, which waits only for ranges that have begun:
// a pool that is busy, or has no thread to spare, delays nothing.
template <typename Work>
void ParallelFor(ffi::ThreadPool& pool, int64_t total, int64_t cost, int64_t group, const Work& work) {
  struct State {
    std::atomic<int64_t> next{0};
    std::mutex mutex;
    std::condition_variable idle;
    int64_t active = 0;
  };
  const auto state = std::make_shared<State>();
  const int64_t threads = std::min(pool.num_threads(), total * cost / kWorthwhile);
  const int64_t chunk = range_size(total, threads, group);
  const auto drain = [state, total, chunk, &work] {
    for (;;) {
      {
        const std::lock_guard<std::mutex> lock(state->mutex);
        if (state->next >= total) return;
        ++state->active;
      }
      const int64_t begin = state->next.fetch_add(chunk);
      if (begin < total) work(begin, std::min(total, begin + chunk));
      const std::lock_guard<std::mutex> lock(state->mutex);
      if (--state->active == 0) state->idle.notify_all();
    }
  };
  for (int64_t i = 1; i < std::min(threads, (total + chunk - 1) / chunk); ++i) pool.Schedule([drain] { drain(); });
  drain();
  std::unique_lock<std::mutex> lock(state->mutex);
  state->idle.wait(lock, [&] { return state->active == 0; });
}

Fork ForkOf(ffi::ThreadPool& pool) {
  return [&pool](const std::function<void()>& one, const std::function<void()>& other) {
    ParallelFor(pool, 2, kWorthwhile, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) (i == 0 ? other : one)();
    });
  };
}

int64_t Count(const std::vector<int64_t>& batch_shape) {
  int64_t count = 1;
  for (int64_t size : batch_shape) count *= size;
  return count;
}

ffi::Error Run(ffi::ThreadPool& pool, const std::vector<int64_t>& batch_shape, Batch* batch) {
  batch->watch(Count(batch_shape), {});
  ParallelFor(pool, Count(batch_shape), batch->cost_per_element(), batch->group_size(),
              [&](int64_t begin, int64_t end) { batch->run(begin, end); });
  if (batch->interrupted()) return ffi::Error(ffi::ErrorCode::kCancelled, kInterrupted);
  const std::string failure = batch->failure(batch_shape);
  return failure.empty() ? ffi::Error::Success() : ffi::Error(ffi::ErrorCode::kInvalidArgument, failure);
}

template <ffi::DataType kType>
std::vector<int64_t> BatchShape(const ffi::Buffer<kType>& matrices) {
  const auto dimensions = matrices.dimensions();
  return {dimensions.begin(), dimensions.end() - 2};
}

template <ffi::DataType kType>
int SizeFromEnd(const ffi::Buffer<kType>& matrices, int place) {
  return static_cast<int>(*(matrices.dimensions().end() - place));
}

template <ffi::DataType kType, ffi::DataType kComplexType, typename T>
ffi::Error RunQz(ffi::ThreadPool pool, ffi::Buffer<kType> a, ffi::Buffer<kType> b, ffi::ResultBuffer<kType> s, ffi::ResultBuffer<kType> t,
                 ffi::ResultBuffer<kType> q, ffi::ResultBuffer<kType> z, ffi::ResultBuffer<kComplexType> alpha,
                 ffi::ResultBuffer<kType> beta, int64_t fill_failures) {
  QzBatch<T> batch(static_cast<int>(a.dimensions().back()), Count(BatchShape(a)), a.typed_data(), b.typed_data(), {}, {},
                   {s->typed_data(), t->typed_data(), q->typed_data(), z->typed_data(), alpha->typed_data(), beta->typed_data()},
                   fill_failures != 0, ForkOf(pool));
  return Run(pool, BatchShape(a), &batch);
}

template <ffi::DataType kType, ffi::DataType kComplexType, typename T>
ffi::Error RunReorder(ffi::ThreadPool pool, ffi::Buffer<kType> s, ffi::Buffer<kType> t, ffi::Buffer<kType> q, ffi::Buffer<kType> z,
                      ffi::Buffer<ffi::DataType::S32> labels, ffi::ResultBuffer<kType> s_reordered, ffi::ResultBuffer<kType> t_reordered,
                      ffi::ResultBuffer<kType> q_reordered, ffi::ResultBuffer<kType> z_reordered, ffi::ResultBuffer<kComplexType> alpha,
                      ffi::ResultBuffer<kType> beta, int64_t fill_failures) {
  ReorderBatch<T> batch(static_cast<int>(s.dimensions().back()), Count(BatchShape(s)),
                        {s.typed_data(), t.typed_data(), q.typed_data(), z.typed_data()}, labels.typed_data(),
                        {s_reordered->typed_data(), t_reordered->typed_data(), q_reordered->typed_data(), z_reordered->typed_data(),
                         alpha->typed_data(), beta->typed_data()},
                        fill_failures != 0);
  return Run(pool, BatchShape(s), &batch);
}

template <ffi::DataType kType, ffi::DataType, typename T>
ffi::Error RunSchur(ffi::ThreadPool pool, ffi::Buffer<kType> a, ffi::ResultBuffer<kType> t, ffi::ResultBuffer<kType> z,
                    int64_t fill_failures) {
  SchurBatch<T> batch(static_cast<int>(a.dimensions().back()), a.typed_data(), {t->typed_data(), z->typed_data()}, fill_failures != 0);
  return Run(pool, BatchShape(a), &batch);
}

template <ffi::DataType kType, ffi::DataType, typename T>
ffi::Error RunCompress(ffi::ThreadPool pool, ffi::Buffer<kType> a, ffi::Buffer<kType> b, ffi::ResultBuffer<kType> x,
                       ffi::ResultBuffer<ffi::DataType::S32> ranks, ffi::ResultBuffer<kType> a_inner, ffi::ResultBuffer<kType> b_inner,
                       int64_t adjoint, int64_t fill_failures, int64_t rank) {
  CompressBatch<T> batch(SizeFromEnd(a, 2), SizeFromEnd(a, 1), Count(BatchShape(a)), static_cast<int>(rank), adjoint != 0, a.typed_data(),
                         b.typed_data(), {}, {}, {x->typed_data(), ranks->typed_data(), a_inner->typed_data(), b_inner->typed_data()},
                         fill_failures != 0);
  return Run(pool, BatchShape(a), &batch);
}

template <ffi::DataType kType, ffi::DataType, typename T>
ffi::Error RunComplement(ffi::ThreadPool pool, ffi::Buffer<kType> x, ffi::ResultBuffer<kType> basis,
                         ffi::ResultBuffer<ffi::DataType::S32> rows) {
  ComplementBatch<T> batch(SizeFromEnd(x, 2), SizeFromEnd(x, 1), Count(BatchShape(x)), x.typed_data(), basis->typed_data(),
                           rows->typed_data());
  return Run(pool, BatchShape(x), &batch);
}

template <ffi::DataType kType, ffi::DataType, typename T>
ffi::Error RunExtend(ffi::ThreadPool pool, ffi::Buffer<kType> a, ffi::Buffer<kType> x, ffi::Buffer<kType> beside, ffi::Buffer<kType> s,
                     ffi::Buffer<kType> t, ffi::Buffer<kType> q, ffi::Buffer<kType> z, ffi::ResultBuffer<kType> s_out,
                     ffi::ResultBuffer<kType> t_out, ffi::ResultBuffer<kType> q_out, ffi::ResultBuffer<kType> z_out, int64_t adjoint) {
  ExtendBatch<T> batch(SizeFromEnd(a, 2), SizeFromEnd(a, 1), adjoint != 0, a.typed_data(), {}, x.typed_data(), beside.typed_data(),
                       {s.typed_data(), t.typed_data(), q.typed_data(), z.typed_data()},
                       {s_out->typed_data(), t_out->typed_data(), q_out->typed_data(), z_out->typed_data(), nullptr, nullptr});
  return Run(pool, BatchShape(a), &batch);
}

template <ffi::DataType kType, ffi::DataType, typename T>
ffi::Error RunSvd(ffi::ThreadPool pool, ffi::Buffer<kType> b, ffi::ResultBuffer<kType> u, ffi::ResultBuffer<ffi::ToReal(kType)> s,
                  ffi::ResultBuffer<kType> v, int64_t fill_failures) {
  SvdBatch<T> batch(SizeFromEnd(b, 2), SizeFromEnd(b, 1), b.typed_data(), u->typed_data(), s->typed_data(), v->typed_data(),
                    fill_failures != 0);
  return Run(pool, BatchShape(b), &batch);
}

template <ffi::DataType kType, ffi::DataType, typename T>
ffi::Error RunBalance(ffi::ThreadPool pool, ffi::Buffer<kType> matrix, ffi::ResultBuffer<ffi::DataType::S32> left,
                      ffi::ResultBuffer<ffi::DataType::S32> right, int64_t similarity) {
  BalanceBatch<T> batch(SizeFromEnd(matrix, 2), SizeFromEnd(matrix, 1), similarity != 0, matrix.typed_data(), left->typed_data(),
                        right->typed_data());
  return Run(pool, BatchShape(matrix), &batch);
}

ffi::Error RunCheck(ffi::Buffer<ffi::DataType::PRED> failing, ffi::Buffer<ffi::DataType::S32> got,
                    ffi::ResultBuffer<ffi::DataType::PRED> failed, std::string_view text) {
  const auto dimensions = failing.dimensions();
  const std::vector<int64_t> shape(dimensions.begin(), dimensions.end());
  const std::string problem = complaint(std::string(text), shape, failing.typed_data(), got.typed_data());
  if (!problem.empty()) return ffi::Error(ffi::ErrorCode::kInvalidArgument, problem);
  std::copy_n(failing.typed_data(), Count(shape), failed->typed_data());
  return ffi::Error::Success();
}
XLA_FFI_DEFINE_HANDLER(tfqz_check, RunCheck,
                       ffi::Ffi::Bind()
                           .Arg<ffi::Buffer<ffi::DataType::PRED>>()
                           .Arg<ffi::Buffer<ffi::DataType::S32>>()
                           .Ret<ffi::Buffer<ffi::DataType::PRED>>()
                           .Attr<std::string_view>("text"));

template <ffi::DataType kType, ffi::DataType kComplexType>
auto BindQz() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .template Arg<ffi::Buffer<kType>>()
      .template Arg<ffi::Buffer<kType>>()
      .template Ret<ffi::Buffer<kType>>()
      .template Ret<ffi::Buffer<kType>>()
      .template Ret<ffi::Buffer<kType>>()
      .template Ret<ffi::Buffer<kType>>()
      .template Ret<ffi::Buffer<kComplexType>>()
      .template Ret<ffi::Buffer<kType>>()
      .template Attr<int64_t>("fill_failures");
}

template <ffi::DataType kType, ffi::DataType kComplexType>
auto BindReorder() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .template Arg<ffi::Buffer<kType>>()
      .template Arg<ffi::Buffer<kType>>()
      .template Arg<ffi::Buffer<kType>>()
      .template Arg<ffi::Buffer<kType>>()
      .template Arg<ffi::Buffer<ffi::DataType::S32>>()
      .template Ret<ffi::Buffer<kType>>()
      .template Ret<ffi::Buffer<kType>>()
      .template Ret<ffi::Buffer<kType>>()
      .template Ret<ffi::Buffer<kType>>()
      .template Ret<ffi::Buffer<kComplexType>>()
      .template Ret<ffi::Buffer<kType>>()
      .template Attr<int64_t>("fill_failures");
}

template <ffi::DataType kType, ffi::DataType>
auto BindSchur() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .template Arg<ffi::Buffer<kType>>()
      .template Ret<ffi::Buffer<kType>>()
      .template Ret<ffi::Buffer<kType>>()
      .template Attr<int64_t>("fill_failures");
}

template <ffi::DataType kType, ffi::DataType>
auto BindCompress() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .template Arg<ffi::Buffer<kType>>()
      .template Arg<ffi::Buffer<kType>>()
      .template Ret<ffi::Buffer<kType>>()
      .template Ret<ffi::Buffer<ffi::DataType::S32>>()
      .template Ret<ffi::Buffer<kType>>()
      .template Ret<ffi::Buffer<kType>>()
      .template Attr<int64_t>("adjoint")
      .template Attr<int64_t>("fill_failures")
      .template Attr<int64_t>("rank");
}

template <ffi::DataType kType, ffi::DataType>
auto BindComplement() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .template Arg<ffi::Buffer<kType>>()
      .template Ret<ffi::Buffer<kType>>()
      .template Ret<ffi::Buffer<ffi::DataType::S32>>();
}

template <ffi::DataType kType, ffi::DataType>
auto BindExtend() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .template Arg<ffi::Buffer<kType>>()
      .template Arg<ffi::Buffer<kType>>()
      .template Arg<ffi::Buffer<kType>>()
      .template Arg<ffi::Buffer<kType>>()
      .template Arg<ffi::Buffer<kType>>()
      .template Arg<ffi::Buffer<kType>>()
      .template Arg<ffi::Buffer<kType>>()
      .template Ret<ffi::Buffer<kType>>()
      .template Ret<ffi::Buffer<kType>>()
      .template Ret<ffi::Buffer<kType>>()
      .template Ret<ffi::Buffer<kType>>()
      .template Attr<int64_t>("adjoint");
}

template <ffi::DataType kType, ffi::DataType>
auto BindSvd() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .template Arg<ffi::Buffer<kType>>()
      .template Ret<ffi::Buffer<kType>>()
      .template Ret<ffi::Buffer<ffi::ToReal(kType)>>()
      .template Ret<ffi::Buffer<kType>>()
      .template Attr<int64_t>("fill_failures");
}

template <ffi::DataType kType, ffi::DataType>
auto BindBalance() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .template Arg<ffi::Buffer<kType>>()
      .template Ret<ffi::Buffer<ffi::DataType::S32>>()
      .template Ret<ffi::Buffer<ffi::DataType::S32>>()
      .template Attr<int64_t>("similarity");
}

template <ffi::DataType kType, ffi::DataType kComplexType, typename T>
struct Handlers {
#define TFQZ_HANDLER(op, Op) XLA_FFI_DEFINE_HANDLER(op, (Run##Op<kType, kComplexType, T>), (Bind##Op<kType, kComplexType>()))
  TFQZ_HANDLER(qz, Qz);
  TFQZ_HANDLER(reorder, Reorder);
  TFQZ_HANDLER(schur, Schur);
  TFQZ_HANDLER(compress, Compress);
  TFQZ_HANDLER(complement, Complement);
  TFQZ_HANDLER(extend, Extend);
  TFQZ_HANDLER(svd, Svd);
  TFQZ_HANDLER(balance, Balance);
#undef TFQZ_HANDLER
};
using OfFloat = Handlers<ffi::DataType::F32, ffi::DataType::C64, float>;
using OfDouble = Handlers<ffi::DataType::F64, ffi::DataType::C128, double>;
using OfComplex64 = Handlers<ffi::DataType::C64, ffi::DataType::C64, std::complex<float>>;
using OfComplex128 = Handlers<ffi::DataType::C128, ffi::DataType::C128, std::complex<double>>;

// All of them, by the names that programs call.
struct NamedHandler {
  const char* name;
  XLA_FFI_Handler* handler;
};
#define TFQZ_FOUR(op)                                                                                                        \
  {"tfqz_" #op "_float", OfFloat::op}, {"tfqz_" #op "_double", OfDouble::op}, {"tfqz_" #op "_complex64", OfComplex64::op}, { \
    "tfqz_" #op "_complex128", OfComplex128::op                                                                              \
  }
constexpr NamedHandler kHandlers[] = {
    {"tfqz_check", tfqz_check},
    TFQZ_FOUR(qz),
    TFQZ_FOUR(reorder),
    TFQZ_FOUR(schur),
    TFQZ_FOUR(compress),
    TFQZ_FOUR(complement),
    TFQZ_FOUR(extend),
    TFQZ_FOUR(svd),
    {"tfqz_balance_float", OfFloat::balance},
    {"tfqz_balance_double", OfDouble::balance},
};
#undef TFQZ_FOUR

// With TensorFlow's XLA. A second copy of this library finds the names taken, by handlers that do the same.
[[maybe_unused]] const bool registered = [] {
  for (const NamedHandler& each : kHandlers) ffi::Ffi::RegisterStaticHandler(ffi::GetXlaFfiApi(), each.name, "Host", each.handler);
  return true;
}();

}  // namespace
}  // namespace tfqz

// For another XLA in the process, JAX's (tfqz/jax.py): the handler at this place and its name, and null beyond the last.
extern "C" __attribute__((visibility("default"))) XLA_FFI_Handler* tfqz_ffi_handler(int place, const char** name) {
  if (place < 0 || place >= static_cast<int>(std::size(tfqz::kHandlers))) return nullptr;
  *name = tfqz::kHandlers[place].name;
  return tfqz::kHandlers[place].handler;
}
