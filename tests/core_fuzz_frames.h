// Rectangular pencils: their compression, complements, whole factors and gradients; singular value decompositions.
#ifndef TFQZ_CORE_FUZZ_FRAMES_H_
#define TFQZ_CORE_FUZZ_FRAMES_H_

#include "algorithms/batches.h"
#include "algorithms/frames.h"
#include "algorithms/whole_gradients.h"
#include "core_fuzz.h"
#include "core_fuzz_gradient.h"
#include "pencil/fork.h"

namespace {

template <typename T>
void fuzz_svd(int m, int n, int count, const std::vector<T>& b) {
  const int p = std::min(m, n);
  std::vector<T> u(static_cast<std::size_t>(count) * m * p), v(static_cast<std::size_t>(count) * n * p);
  std::vector<Real<T>> s(static_cast<std::size_t>(count) * p);
  if (!run(tfqz::SvdBatch<T>(m, n, b.data(), u.data(), s.data(), v.data(), false), count).empty()) return;
  for (int k = 0; k < count; ++k) {
    const View U(m, p, &u[static_cast<std::size_t>(k) * m * p]), V(n, p, &v[static_cast<std::size_t>(k) * n * p]);
    View S(p, p);
    for (int i = 0; i < p; ++i) S(i, i) = s[k * p + i];
    require_orthonormal<T>(U, "U has orthonormal columns");
    require_orthonormal<T>(V, "V has orthonormal columns");
    require_product<T>(View(m, n, &b[static_cast<std::size_t>(k) * m * n]), U, S, V, "B = U S V^H");
  }
}

template <typename T>
void fuzz_frames(Bytes& bytes) {
  const int p = any_size(bytes), d = 1 + bytes.below(9), l = p + d, count = 1 + bytes.below(p <= 8 ? 20 : 4), options = bytes.byte();
  const bool tall = options & 1, fill = options & 2;
  const int m = tall ? l : p, n = tall ? p : l;
  const auto of = [&](int rows, int columns) { return std::vector<T>(static_cast<std::size_t>(count) * rows * columns); };
  const auto matrix = [&](int rows, int columns) { return matrices<T>(bytes, count, rows, columns, any_numbers(bytes)); };
  const auto a = matrix(m, n), b = matrix(m, n);
  if ((options & 4) != 0) fuzz_svd(m, n, count, b);
  auto x = of(l, p), beside = of(l, d), a_inner = of(p, p), b_inner = of(p, p);
  std::vector<std::int32_t> ranks(count), rows(static_cast<std::size_t>(count) * d);
  const int rank = (options & 8) != 0 ? bytes.below(p + 1) : -1;
  const std::string failure = run(tfqz::CompressBatch<T>(m, n, count, rank, tall, a.data(), b.data(), {}, {},
                                                         {x.data(), ranks.data(), a_inner.data(), b_inner.data()}, fill),
                                  count);
  require(!failure.empty() || fill || (finite(a) && finite(b)), "what isn't finite is refused");
  if (!failure.empty() || !finite(x)) return;
  run(tfqz::ComplementBatch<T>(l, p, count, x.data(), beside.data(), rows.data()), count);
  for (int k = 0; k < count; ++k) {
    require(ranks[k] >= 0 && ranks[k] <= p, "ranks are between 0 and min(m, n)");
    View whole(l, l);
    for (int i = 0; i < l; ++i) {
      for (int j = 0; j < l; ++j) whole(i, j) = LongComplex(j < p ? x[(k * l + i) * p + j] : beside[(k * l + i) * d + j - p]);
    }
    require_orthonormal<T>(whole, "the frame and its complement are unitary");
  }
  Results<T> inner(p, count);
  const auto& f = inner.factors;
  if (!run(tfqz::QzBatch<T>(p, count, a_inner.data(), b_inner.data(), {}, {}, f, false), count).empty()) return;
  auto s = of(m, n), t = of(m, n), q = of(m, m), z = of(n, n), a_bar = of(m, n), b_bar = of(m, n);
  run(tfqz::ExtendBatch<T>(m, n, tall, a.data(), {}, x.data(), beside.data(), {f.s, f.t, f.q, f.z},
                           {s.data(), t.data(), q.data(), z.data(), nullptr, nullptr}),
      count);
  const auto at = [](int rows, int columns, const std::vector<T>& all, int k) {
    return View(rows, columns, &all[static_cast<std::size_t>(k) * rows * columns]);
  };
  for (int k = 0; k < count; ++k) {
    const View Q = at(m, m, q, k), Z = at(n, n, z, k);
    require_orthonormal<T>(Q, "Q is unitary");
    require_orthonormal<T>(Z, "Z is unitary");
    // What is beyond the range is Infinity, of which whoever calls this makes a failure.
    if (finite(a) && finite(s)) require_product<T>(at(m, n, a, k), Q, at(m, n, s, k), Z, "A = Q S Z^H");
    // With a given rank T is that of a B of this rank.
    if (rank < 0) require_product<T>(at(m, n, b, k), Q, at(m, n, t, k), Z, "B = Q T Z^H");
  }
  const auto s_bar = matrix(m, n), t_bar = matrix(m, n), q_bar = matrix(m, m), z_bar = matrix(n, n);
  const auto differentiate = [&](auto number, const auto& s, const auto& t, const auto& q, const auto& z, const auto& s_bar,
                                 const auto& t_bar, const auto& q_bar, const auto& z_bar, auto* a_bar, auto* b_bar) {
    using Number = decltype(number);
    run(tfqz::WholeGradientBatch<Number>(m, n, count, {s.data(), t.data(), q.data(), z.data()},
                                         {s_bar.data(), t_bar.data(), q_bar.data(), z_bar.data(), nullptr, nullptr}, rows.data(),
                                         {a_bar->data(), b_bar->data()}, tfqz::one_after_the_other()),
        count);
  };
  differentiate(T(), s, t, q, z, s_bar, t_bar, q_bar, z_bar, &a_bar, &b_bar);
  const auto plain = [](const auto& entries) { return moderate(entries, 1e4); };
  if (!plain(a) || !plain(b) || !plain(s_bar) || !plain(t_bar) || !plain(q_bar) || !plain(z_bar)) return;
  if (finite(a_bar) && finite(b_bar)) return;
  auto wide_a_bar = wide(a_bar), wide_b_bar = wide(b_bar);
  differentiate(Wide<T>(), wide(s), wide(t), wide(q), wide(z), wide(s_bar), wide(t_bar), wide(q_bar), wide(z_bar), &wide_a_bar,
                &wide_b_bar);
  const bool shown = std::is_same_v<Real<T>, float> && (is_beyond_range<T>(wide_a_bar) || is_beyond_range<T>(wide_b_bar));
  require(shown || grows_beyond_range(inner, count), "gradients are finite");
}

}  // namespace

#endif  // TFQZ_CORE_FUZZ_FRAMES_H_
