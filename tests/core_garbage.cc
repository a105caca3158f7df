// What strangers' graphs may hand to the routines that take factors: numbers of any kind in place of these, in arrays that end where they
// should. For sanitizers; what comes out means nothing. Arguments: how many rounds, and the seed.
#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <type_traits>
#include <vector>

#include "algorithms/balance.h"
#include "algorithms/batches.h"
#include "algorithms/eigenbases.h"
#include "algorithms/frames.h"
#include "algorithms/triangular_batches.h"
#include "algorithms/whole_gradients.h"

namespace {

using tfqz::Real;

std::mt19937 generator;

int below(int count) { return static_cast<int>(generator() % count); }

template <typename R>
R number(int kind) {
  static std::normal_distribution<double> normal;
  constexpr int kExponents = std::numeric_limits<R>::max_exponent;
  switch (kind) {
    case 1: return static_cast<R>(std::ldexp(normal(generator), below(2 * kExponents) - kExponents));
    case 2: return static_cast<R>(below(3) - 1);
    case 3:
      if (below(4) == 0) {
        const R special[] = {std::numeric_limits<R>::quiet_NaN(), std::numeric_limits<R>::infinity(), -std::numeric_limits<R>::infinity(),
                             std::numeric_limits<R>::max(), std::numeric_limits<R>::denorm_min()};
        return special[below(5)];
      }
      return static_cast<R>(normal(generator));
    case 4: return static_cast<R>(1e-3 * normal(generator)) * std::sqrt(std::numeric_limits<R>::max());
    default: return static_cast<R>(normal(generator));
  }
}

template <typename T>
T entry(int kind) {
  if constexpr (std::is_same_v<T, Real<T>>) {
    return number<T>(kind);
  } else {
    return T(number<Real<T>>(kind), below(3) == 0 ? Real<T>(0) : number<Real<T>>(kind));
  }
}

// `batch` matrices: of one kind of numbers or zero, with any entries, those near the diagonal, or those above it.
template <typename T>
std::vector<T> garbage(int batch, int rows, int cols) {
  const int kind = below(6);
  std::vector<T> x(static_cast<std::size_t>(batch) * rows * cols);
  const int below_diagonal = below(3) == 0 ? rows : below(3), zeros = below(3);
  for (std::size_t k = 0; k < x.size(); ++k) {
    const int i = static_cast<int>(k / cols % rows), j = static_cast<int>(k % cols);
    if (i - j <= below_diagonal && (zeros == 0 || below(zeros + 1) > 0)) x[k] = entry<T>(kind);
  }
  return x;
}

std::vector<int32_t> integers(int count) {
  std::vector<int32_t> x(count);
  for (int32_t& i : x) i = below(2) == 0 ? below(40) - 10 : static_cast<int32_t>(generator());
  return x;
}

template <typename Batch>
void run(Batch&& batch, int elements) {
  batch.run(0, elements);
  batch.failure({elements});
}

template <typename T>
void square(int n, int elements) {
  using C = std::complex<Real<T>>;
  const auto matrix = [&] { return garbage<T>(elements, n, n); };
  const std::vector<T> s = matrix(), t = matrix(), q = matrix(), z = matrix();
  const std::vector<T> s_bar = matrix(), t_bar = matrix(), q_bar = matrix(), z_bar = matrix();
  const auto alpha_bar = garbage<C>(elements, n, 1);
  const auto beta_bar = garbage<T>(elements, n, 1);
  const tfqz::ConstFactors<T> factors = {s.data(), t.data(), q.data(), z.data()};
  std::vector<T> out[4], beta(beta_bar.size());
  for (auto& x : out) x.resize(s.size());
  std::vector<C> alpha(alpha_bar.size()), left(s.size()), right(s.size());
  const tfqz::Factors<T> results = {out[0].data(), out[1].data(), out[2].data(), out[3].data(), alpha.data(), beta.data()};
  const auto labels = integers(elements * n);
  run(tfqz::ReorderBatch<T>(n, elements, factors, labels.data(), results, below(2) == 0), elements);
  run(tfqz::QzBatch<T>(n, elements, s.data(), t.data(), {}, {}, results, below(2) == 0), elements);
  run(tfqz::SchurBatch<T>(n, s.data(), {out[0].data(), out[1].data()}, below(2) == 0), elements);
  const bool eigenvalues = below(2) == 0;
  const tfqz::Cotangents<T> cotangents = {s_bar.data(),
                                          t_bar.data(),
                                          q_bar.data(),
                                          z_bar.data(),
                                          eigenvalues ? alpha_bar.data() : nullptr,
                                          eigenvalues ? beta_bar.data() : nullptr};
  run(tfqz::QzGradientBatch<T>(n, elements, below(2) == 0, factors, cotangents, {out[0].data(), out[1].data()},
                               tfqz::one_after_the_other()),
      elements);
  run(tfqz::TriangularBatch<T>(n, below(2) == 0, below(2) == 0, s.data(), t.data(), {q.data(), z.data()}, {out[0].data(), out[1].data()}),
      elements);
  run(tfqz::EigenvectorBatch<T>(n, factors, left.data(), right.data()), elements);
  if constexpr (!std::is_same_v<T, Real<T>>) {
    const tfqz::BorderedEquations<T> equations = {s.data(), t.data(), alpha_bar.data(), beta_bar.data(), q.data()};
    run(tfqz::BorderedBatch<T>(n, below(2) == 0, equations, z.data(), out[0].data()), elements);
  }
  const auto counts = integers(elements);
  std::vector<int32_t> rows(elements * n);
  run(tfqz::BasisBatch<T>(n, q.data(), counts.data(), out[0].data(), rows.data()), elements);
  const int m = 1 + below(9);
  const auto s2 = garbage<T>(elements, m, m), t2 = garbage<T>(elements, m, m), first = garbage<T>(elements, m, n),
             second = garbage<T>(elements, m, n);
  std::vector<T> x(first.size()), y(first.size());
  std::vector<int32_t> coinciding(elements);
  run(tfqz::BlockBatch<T>(n, m, below(2) == 0, below(2) == 0, {s.data(), t.data()}, {s2.data(), t2.data()}, {first.data(), second.data()},
                          {x.data(), y.data()}, coinciding.data()),
      elements);
}

template <typename T>
void rectangular(int m, int n, int elements) {
  const int p = std::min(m, n), l = std::max(m, n), d = l - p;
  const auto matrix = [&](int rows, int cols) { return garbage<T>(elements, rows, cols); };
  const auto s = matrix(m, n), t = matrix(m, n), q = matrix(m, m), z = matrix(n, n), x = matrix(l, p), beside = matrix(l, d);
  const auto s_bar = matrix(m, n), t_bar = matrix(m, n), q_bar = matrix(m, m), z_bar = matrix(n, n);
  const auto s_in = matrix(p, p), t_in = matrix(p, p), q_in = matrix(p, p), z_in = matrix(p, p);
  std::vector<T> of_s(s.size()), of_t(s.size()), of_q(q.size()), of_z(z.size());
  const auto rows = integers(elements * d);
  run(tfqz::WholeGradientBatch<T>(m, n, elements, {s.data(), t.data(), q.data(), z.data()},
                                  {s_bar.data(), t_bar.data(), q_bar.data(), z_bar.data(), nullptr, nullptr}, rows.data(),
                                  {of_s.data(), of_t.data()}, tfqz::one_after_the_other()),
      elements);
  run(tfqz::ExtendBatch<T>(m, n, m > n, s.data(), {}, x.data(), beside.data(), {s_in.data(), t_in.data(), q_in.data(), z_in.data()},
                           {of_s.data(), of_t.data(), of_q.data(), of_z.data(), nullptr, nullptr}),
      elements);
  std::vector<T> frame(x.size()), basis(beside.size()), a_inner(s_in.size()), b_inner(s_in.size());
  std::vector<int32_t> ranks(elements), chosen(rows.size());
  run(tfqz::ComplementBatch<T>(l, p, elements, x.data(), basis.data(), chosen.data()), elements);
  run(tfqz::CompressBatch<T>(m, n, elements, below(p + 2) - 1, m > n, s.data(), t.data(), {}, {},
                             {frame.data(), ranks.data(), a_inner.data(), b_inner.data()}, below(2) == 0),
      elements);
  std::vector<T> u(static_cast<std::size_t>(elements) * m * p), v(static_cast<std::size_t>(elements) * n * p);
  std::vector<Real<T>> values(elements * p);
  run(tfqz::SvdBatch<T>(m, n, s.data(), u.data(), values.data(), v.data(), below(2) == 0), elements);
  if constexpr (std::is_same_v<T, Real<T>>) {
    std::vector<int32_t> left(elements * m), right(elements * n);
    run(tfqz::BalanceBatch<T>(m, n, false, s.data(), left.data(), right.data()), elements);
    std::vector<int32_t> similar(elements * n), inverse(elements * n);
    run(tfqz::BalanceBatch<T>(n, n, true, z.data(), inverse.data(), similar.data()), elements);
  }
}

template <typename T>
void all() {
  const int largest = below(20) == 0 ? 70 : 12, n = 1 + below(largest);
  square<T>(n, 1 + below(largest > 12 ? 2 : 20));
  const int m = 1 + below(largest), k = m + 1 + below(largest);
  const int elements = 1 + below(largest > 12 ? 2 : 10);
  below(2) == 0 ? rectangular<T>(m, k, elements) : rectangular<T>(k, m, elements);
}

}  // namespace

int main(int, char** arguments) {
  const int rounds = std::atoi(arguments[1]);
  const unsigned seed = static_cast<unsigned>(std::atoi(arguments[2]));
  for (int round = 0; round < rounds; ++round) {
    generator.seed(seed + round);
    std::fprintf(stderr, "seed %u\n", seed + round);
    all<float>();
    all<double>();
    all<std::complex<float>>();
    all<std::complex<double>>();
  }
  std::printf("%d rounds\n", rounds);
}
