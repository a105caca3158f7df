// What programs compiled by XLA call on the CPU: typed FFI handlers around the same core, one for each dtype.
#include <algorithm>
#include <complex>
#include <cstdint>
#include <functional>
#include <iterator>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "algorithms/balance.h"
#include "algorithms/batches.h"
#include "algorithms/frames.h"
#include "ops/ffi_shapes.h"
#include "ops/threads.h"
#include "xla/ffi/api/ffi.h"

// Every TensorFlow exports this function, and few the plain C one of the same purpose. Its header, xla/ffi/ffi_api.h, brings a second
// registry along.
namespace xla::ffi {
const XLA_FFI_Api* GetXlaFfiApi();
}  // namespace xla::ffi

namespace tfqz {
namespace {

namespace ffi = xla::ffi;

Threads ThreadsOf(ffi::ThreadPool& pool) {
  return {pool.num_threads(), [&pool](std::function<void()> work) { pool.Schedule(std::move(work)); }};
}

ffi::Error OutOfMemory() { return ffi::Error(ffi::ErrorCode::kResourceExhausted, kOutOfMemory); }

ffi::Error Run(ffi::ThreadPool& pool, const std::vector<int64_t>& batch_shape, Batch* batch) {
  batch->watch(Count(batch_shape), {});
  ParallelFor(ThreadsOf(pool), Count(batch_shape), batch->cost_per_element(), batch->group_size(),
              [&](int64_t begin, int64_t end) { batch->run(begin, end); });
  if (batch->interrupted()) return ffi::Error(ffi::ErrorCode::kCancelled, kInterrupted);
  if (batch->out_of_memory()) return OutOfMemory();
  const std::string failure = batch->failure(batch_shape);
  return failure.empty() ? ffi::Error::Success() : ffi::Error(ffi::ErrorCode::kInvalidArgument, failure);
}

template <ffi::DataType kType, ffi::DataType kComplexType, typename T>
ffi::Error RunQz(ffi::ThreadPool pool, ffi::Buffer<kType> a, ffi::Buffer<kType> b, ffi::ResultBuffer<kType> s, ffi::ResultBuffer<kType> t,
                 ffi::ResultBuffer<kType> q, ffi::ResultBuffer<kType> z, ffi::ResultBuffer<kComplexType> alpha,
                 ffi::ResultBuffer<kType> beta, int64_t fill_failures) {
  const int64_t n = SizeFromEnd(a, 1);
  const auto shape = BatchShape(a);
  if (n < 1 || !Fit(shape, {n, n}, a, b, *s, *t, *q, *z) || !Fit(shape, {n}, *alpha, *beta)) return Misfit();
  QzBatch<T> batch(static_cast<int>(n), Count(shape), a.typed_data(), b.typed_data(), {}, {},
                   {s->typed_data(), t->typed_data(), q->typed_data(), z->typed_data(), alpha->typed_data(), beta->typed_data()},
                   fill_failures != 0, ForkOf(ThreadsOf(pool)));
  return Run(pool, shape, &batch);
}

template <ffi::DataType kType, ffi::DataType kComplexType, typename T>
ffi::Error RunReorder(ffi::ThreadPool pool, ffi::Buffer<kType> s, ffi::Buffer<kType> t, ffi::Buffer<kType> q, ffi::Buffer<kType> z,
                      ffi::Buffer<ffi::DataType::S32> labels, ffi::ResultBuffer<kType> s_reordered, ffi::ResultBuffer<kType> t_reordered,
                      ffi::ResultBuffer<kType> q_reordered, ffi::ResultBuffer<kType> z_reordered, ffi::ResultBuffer<kComplexType> alpha,
                      ffi::ResultBuffer<kType> beta, int64_t fill_failures) {
  const int64_t n = SizeFromEnd(s, 1);
  const auto shape = BatchShape(s);
  if (n < 1 || !Fit(shape, {n, n}, s, t, q, z, *s_reordered, *t_reordered, *q_reordered, *z_reordered)) return Misfit();
  if (!Fit(shape, {n}, labels, *alpha, *beta)) return Misfit();
  ReorderBatch<T> batch(static_cast<int>(n), Count(shape), {s.typed_data(), t.typed_data(), q.typed_data(), z.typed_data()},
                        labels.typed_data(),
                        {s_reordered->typed_data(), t_reordered->typed_data(), q_reordered->typed_data(), z_reordered->typed_data(),
                         alpha->typed_data(), beta->typed_data()},
                        fill_failures != 0);
  return Run(pool, shape, &batch);
}

template <ffi::DataType kType, ffi::DataType, typename T>
ffi::Error RunSchur(ffi::ThreadPool pool, ffi::Buffer<kType> a, ffi::ResultBuffer<kType> t, ffi::ResultBuffer<kType> z,
                    int64_t fill_failures) {
  const int64_t n = SizeFromEnd(a, 1);
  if (n < 1 || !Fit(BatchShape(a), {n, n}, a, *t, *z)) return Misfit();
  SchurBatch<T> batch(static_cast<int>(a.dimensions().back()), a.typed_data(), {t->typed_data(), z->typed_data()}, fill_failures != 0);
  return Run(pool, BatchShape(a), &batch);
}

template <ffi::DataType kType, ffi::DataType, typename T>
ffi::Error RunCompress(ffi::ThreadPool pool, ffi::Buffer<kType> a, ffi::Buffer<kType> b, ffi::ResultBuffer<kType> x,
                       ffi::ResultBuffer<ffi::DataType::S32> ranks, ffi::ResultBuffer<kType> a_inner, ffi::ResultBuffer<kType> b_inner,
                       int64_t adjoint, int64_t fill_failures, int64_t rank) {
  const int64_t m = SizeFromEnd(a, 2), n = SizeFromEnd(a, 1), p = std::min(m, n), l = (adjoint != 0 ? m > n : n > m) ? std::max(m, n) : p;
  const auto shape = BatchShape(a);
  if (p < 1 || rank < -1 || rank > p || !Fit(shape, {m, n}, a, b) || !Fit(shape, {l, p}, *x) || !Fit(shape, {}, *ranks)) return Misfit();
  if (!Fit(shape, {adjoint != 0 ? p : m, adjoint != 0 ? n : p}, *a_inner, *b_inner)) return Misfit();
  CompressBatch<T> batch(SizeFromEnd(a, 2), SizeFromEnd(a, 1), Count(shape), static_cast<int>(rank), adjoint != 0, a.typed_data(),
                         b.typed_data(), {}, {}, {x->typed_data(), ranks->typed_data(), a_inner->typed_data(), b_inner->typed_data()},
                         fill_failures != 0);
  return Run(pool, shape, &batch);
}

template <ffi::DataType kType, ffi::DataType, typename T>
ffi::Error RunComplement(ffi::ThreadPool pool, ffi::Buffer<kType> x, ffi::ResultBuffer<kType> basis,
                         ffi::ResultBuffer<ffi::DataType::S32> rows) {
  const int64_t l = SizeFromEnd(x, 2), p = SizeFromEnd(x, 1), d = l - p;
  const auto shape = BatchShape(x);
  if (p < 0 || d < 1 || !Fit(shape, {l, p}, x) || !Fit(shape, {l, d}, *basis) || !Fit(shape, {d}, *rows)) return Misfit();
  ComplementBatch<T> batch(SizeFromEnd(x, 2), SizeFromEnd(x, 1), Count(shape), x.typed_data(), basis->typed_data(), rows->typed_data());
  return Run(pool, shape, &batch);
}

template <ffi::DataType kType, ffi::DataType, typename T>
ffi::Error RunExtend(ffi::ThreadPool pool, ffi::Buffer<kType> a, ffi::Buffer<kType> x, ffi::Buffer<kType> beside, ffi::Buffer<kType> s,
                     ffi::Buffer<kType> t, ffi::Buffer<kType> q, ffi::Buffer<kType> z, ffi::ResultBuffer<kType> s_out,
                     ffi::ResultBuffer<kType> t_out, ffi::ResultBuffer<kType> q_out, ffi::ResultBuffer<kType> z_out, int64_t adjoint) {
  const int64_t m = SizeFromEnd(a, 2), n = SizeFromEnd(a, 1), p = std::min(m, n), l = std::max(m, n);
  const auto shape = BatchShape(a);
  if (l < 1 || (m != n && (adjoint != 0) != (m > n)) || !Fit(shape, {m, n}, a, *s_out, *t_out) || !Fit(shape, {l, p}, x)) return Misfit();
  if (!Fit(shape, {l, l - p}, beside) || !Fit(shape, {p, p}, s, t, q, z) || !Fit(shape, {m, m}, *q_out) || !Fit(shape, {n, n}, *z_out)) {
    return Misfit();
  }
  ExtendBatch<T> batch(SizeFromEnd(a, 2), SizeFromEnd(a, 1), adjoint != 0, a.typed_data(), {}, x.typed_data(), beside.typed_data(),
                       {s.typed_data(), t.typed_data(), q.typed_data(), z.typed_data()},
                       {s_out->typed_data(), t_out->typed_data(), q_out->typed_data(), z_out->typed_data(), nullptr, nullptr});
  return Run(pool, shape, &batch);
}

template <ffi::DataType kType, ffi::DataType, typename T>
ffi::Error RunSvd(ffi::ThreadPool pool, ffi::Buffer<kType> b, ffi::ResultBuffer<kType> u, ffi::ResultBuffer<ffi::ToReal(kType)> s,
                  ffi::ResultBuffer<kType> v, int64_t fill_failures) {
  const int64_t m = SizeFromEnd(b, 2), n = SizeFromEnd(b, 1), p = std::min(m, n);
  const auto shape = BatchShape(b);
  if (p < 1 || !Fit(shape, {m, n}, b) || !Fit(shape, {m, p}, *u) || !Fit(shape, {p}, *s) || !Fit(shape, {n, p}, *v)) return Misfit();
  SvdBatch<T> batch(SizeFromEnd(b, 2), SizeFromEnd(b, 1), b.typed_data(), u->typed_data(), s->typed_data(), v->typed_data(),
                    fill_failures != 0);
  return Run(pool, shape, &batch);
}

template <ffi::DataType kType, ffi::DataType, typename T>
ffi::Error RunBalance(ffi::ThreadPool pool, ffi::Buffer<kType> matrix, ffi::ResultBuffer<ffi::DataType::S32> left,
                      ffi::ResultBuffer<ffi::DataType::S32> right, int64_t similarity) {
  const int64_t m = SizeFromEnd(matrix, 2), n = SizeFromEnd(matrix, 1);
  const auto shape = BatchShape(matrix);
  if (m < 1 || n < 1 || (similarity != 0 && m != n) || !Fit(shape, {m, n}, matrix)) return Misfit();
  if (!Fit(shape, {m}, *left) || !Fit(shape, {n}, *right)) return Misfit();
  BalanceBatch<T> batch(SizeFromEnd(matrix, 2), SizeFromEnd(matrix, 1), similarity != 0, matrix.typed_data(), left->typed_data(),
                        right->typed_data());
  return Run(pool, shape, &batch);
}

ffi::Error RunCheck(ffi::Buffer<ffi::DataType::PRED> failing, ffi::Buffer<ffi::DataType::S32> got,
                    ffi::ResultBuffer<ffi::DataType::PRED> failed, std::string_view text) {
  const auto dimensions = failing.dimensions();
  const std::vector<int64_t> shape(dimensions.begin(), dimensions.end());
  if (!HasShape(got, shape) || !HasShape(*failed, shape)) return Misfit();
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

// XLA catches nothing.
template <auto kRun>
struct Catching;
template <typename... Operands, ffi::Error (*kRun)(Operands...)>
struct Catching<kRun> {
  static ffi::Error Run(Operands... operands) {
    try {
      return kRun(std::move(operands)...);
    } catch (const std::bad_alloc&) {
      return OutOfMemory();
    }
  }
};

template <ffi::DataType kType, ffi::DataType kComplexType, typename T>
struct Handlers {
#define TFQZ_HANDLER(op, Op) XLA_FFI_DEFINE_HANDLER(op, (Catching<Run##Op<kType, kComplexType, T>>::Run), (Bind##Op<kType, kComplexType>()))
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
