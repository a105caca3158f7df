// Gradients, and the equations that they solve.
#ifndef TFQZ_CORE_FUZZ_GRADIENT_H_
#define TFQZ_CORE_FUZZ_GRADIENT_H_

#include "algorithms/batches.h"
#include "core_fuzz.h"
#include "pencil/fork.h"

namespace {

// Those of triangular.h, forward or adjoint: what the left-hand sides are of (X, V) or (E, F).
struct Sides {
  View first, second;
};
inline Sides left_hand_sides(bool is_adjoint, const View& S, const View& T_, const View& X, const View& Y) {
  if (!is_adjoint) return {X * S - S * Y, X * T_ - T_ * Y};
  const View zeros(S.rows, S.columns), minus = zeros - Y;
  return {X * adjoint(S) - minus * adjoint(T_), adjoint(T_) * minus - adjoint(S) * X};
}
inline View strictly_lower(View X) {
  for (int i = 0; i < X.rows; ++i) {
    for (int j = i; j < X.columns; ++j) X(i, j) = 0;
  }
  return X;
}

// The distance of eigenvalues i and j, as 1: orthogonal, 0: equal.
inline Long distance(const View& S, const View& T_, int i, int j) {
  const Long lengths = std::hypot(std::abs(S(i, i)), std::abs(T_(i, i))) * std::hypot(std::abs(S(j, j)), std::abs(T_(j, j)));
  return lengths > 0 ? std::abs(product(S(i, i), T_(j, j)) - product(S(j, j), T_(i, i))) / lengths : 0;
}

// The smallest of them; 0 where one is 0/0 up to rounding.
template <typename T>
Long separation(const View& S, const View& T_) {
  Long least = 1;
  const Long of_s = norm(S), of_t = norm(T_), zero = Long(4) * S.rows * std::numeric_limits<Real<T>>::epsilon();
  const auto over = [](Long size, Long norm) { return norm > 0 ? size / norm : 0; };
  for (int i = 0; i < S.rows; ++i) {
    if (std::hypot(over(std::abs(S(i, i)), of_s), over(std::abs(T_(i, i)), of_t)) <= zero) return 0;
    for (int j = 0; j < i; ++j) least = std::min(least, distance(S, T_, i, j));
  }
  return least;
}

// Whether so many eigenvalues are nearly equal that solutions of the equations, which each of them may divide by these distances once more,
// can leave the range of T.
template <typename T>
bool grows_beyond_range(const Results<T>& factors, int count) {
  const int n = factors.n;
  const std::size_t size = static_cast<std::size_t>(n) * n;
  for (int k = 0; k < count; ++k) {
    const View S(n, n, &factors.s[k * size]), T_(n, n, &factors.t[k * size]);
    for (int i = 0; i < n; ++i) {
      Long growth = 0;
      for (int j = 0; j < n; ++j) {
        const Long at_least = std::max(distance(S, T_, i, j), Long(std::numeric_limits<Real<T>>::epsilon()));
        if (i != j && at_least < 0.001) growth -= std::log(at_least);
      }
      if (growth > std::log(Long(std::numeric_limits<Real<T>>::max())) / 2) return true;
    }
  }
  return false;
}

// Backward stable: residuals are as small as rounding of the unknowns makes them.
template <typename T>
void require_triangular_solution(bool is_adjoint, const View& S, const View& T_, const View& P, const View& R, const View& X,
                                 const View& Y) {
  const int n = S.rows;
  for (int i = 0; i < n; ++i) {
    for (int j = i; j < n; ++j) require(X(i, j) == LongComplex(0) && Y(i, j) == LongComplex(0), "unknowns are strictly lower triangular");
  }
  const Long distance = separation<T>(S, T_), unknowns = std::max(norm(X), norm(Y));
  if (distance < 0.01 || unknowns > std::sqrt(std::numeric_limits<Real<T>>::max())) return;
  const Sides left = left_hand_sides(is_adjoint, S, T_, X, Y);
  const Long error = std::max(norm(strictly_lower(left.first - P)), norm(strictly_lower(left.second - R)));
  const Long sizes = unknowns * (norm(S) + norm(T_)) + norm(P) + norm(R);
  require_below(error, rounding<T>(n) * sizes, "triangular equations hold");
}

// The largest |(E, F)| for right-hand sides of length 1 (in Frobenius norms, or a little more), of the adjoint equations; infinite if
// they are singular. By elimination: these are few.
inline Long growth(const View& S, const View& T_) {
  const int n = S.rows, pairs = n * (n - 1) / 2, size = 2 * pairs;
  View system(size, 2 * size);
  int column = 0;
  for (int which = 0; which < 2; ++which) {
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j < i; ++j, ++column) {
        View E(n, n), F(n, n);
        (which == 0 ? E : F)(i, j) = 1;
        const Sides left = left_hand_sides(/*is_adjoint=*/true, S, T_, E, F);
        int row = 0;
        for (const View* side : {&left.first, &left.second}) {
          for (int k = 0; k < n; ++k) {
            for (int l = 0; l < k; ++l, ++row) system(row, column) = (*side)(k, l);
          }
        }
        system(column, size + column) = 1;
      }
    }
  }
  Long squares = 0;
  for (int k = 0; k < size; ++k) {
    int pivot = k;
    for (int i = k; i < size; ++i) {
      if (std::abs(system(i, k)) > std::abs(system(pivot, k))) pivot = i;
    }
    if (system(pivot, k) == LongComplex(0)) return std::numeric_limits<Long>::infinity();
    const LongComplex inverse = LongComplex(1) / system(pivot, k);
    for (int j = 0; j < 2 * size; ++j) {
      std::swap(system(pivot, j), system(k, j));
      system(k, j) = product(system(k, j), inverse);
    }
    for (int i = 0; i < size; ++i) {
      const LongComplex factor = system(i, k);
      for (int j = 0; j < 2 * size && i != k; ++j) system(i, j) -= product(factor, system(k, j));
    }
  }
  for (int i = 0; i < size; ++i) {
    for (int j = size; j < 2 * size; ++j) squares += std::norm(system(i, j));
  }
  return std::sqrt(squares);
}

// The same of the equations for phases, which are those of t_jj, or of s_jj where that is 0. Signs have none.
template <typename T>
Long growth_of_phases(const View& S, const View& T_) {
  Long most = 0;
  for (int j = 0; j < S.rows && !std::is_same_v<T, Real<T>>; ++j) {
    const Long of_t = std::abs(T_(j, j)), size = of_t > 0 ? of_t : std::abs(S(j, j));
    if (size > 0) most = std::max(most, 1 / size);
  }
  return most;
}

// Cotangents that are those of a linear function of Q S Z^H and Q T Z^H, which are A and B: Re <C, A> + Re <D, B>.
template <typename T>
Results<T> cotangents_of_products(const Results<T>& factors, const std::vector<T>& c, const std::vector<T>& d, int count) {
  const int n = factors.n;
  const std::size_t size = static_cast<std::size_t>(n) * n;
  Results<T> bars(n, count);
  for (int k = 0; k < count; ++k) {
    const auto of = [&](const std::vector<T>& all) { return View(n, n, &all[k * size]); };
    const auto put = [&](const View& X, std::vector<T>* to) {
      for (std::size_t i = 0; i < size; ++i) {
        if constexpr (std::is_same_v<T, Real<T>>) {
          (*to)[k * size + i] = static_cast<T>(X.entries[i].real());
        } else {
          (*to)[k * size + i] = T(X.entries[i]);
        }
      }
    };
    const View S = of(factors.s), T_ = of(factors.t), Q = of(factors.q), Z = of(factors.z), C = of(c), D = of(d), zeros(n, n);
    put(adjoint(Q) * C * Z, &bars.s), put(adjoint(Q) * D * Z, &bars.t);
    put(C * Z * adjoint(S) - (zeros - D * Z * adjoint(T_)), &bars.q);
    put(adjoint(C) * Q * S - (zeros - adjoint(D) * Q * T_), &bars.z);
  }
  return bars;
}

// In double precision, and whether what was computed so is beyond the range of T, or near: as gradients of long nilpotent chains are.
template <typename T>
using Wide = std::conditional_t<std::is_same_v<T, Real<T>>, double, std::complex<double>>;
template <typename T>
std::vector<Wide<T>> wide(const std::vector<T>& x) {
  return std::vector<Wide<T>>(x.begin(), x.end());
}
template <typename T>
bool is_beyond_range(const std::vector<Wide<T>>& x) {
  const double near = std::sqrt(double{std::numeric_limits<Real<T>>::max()});
  return std::any_of(x.begin(), x.end(), [near](const Wide<T>& entry) { return !(std::abs(entry) < near); });
}

// Whether gradients of these factors are.
template <typename T>
bool beyond_range(const Results<T>& factors, const Results<T>& bars, int count, bool apart, bool eigenvalues) {
  const auto s = wide(factors.s), t = wide(factors.t), q = wide(factors.q), z = wide(factors.z);
  const auto sb = wide(bars.s), tb = wide(bars.t), qb = wide(bars.q), zb = wide(bars.z), beta = wide(bars.beta);
  const std::vector<std::complex<double>> alpha(bars.alpha.begin(), bars.alpha.end());
  std::vector<Wide<T>> a_bar(s.size()), b_bar(s.size());
  run(tfqz::QzGradientBatch<Wide<T>>(
          factors.n, count, apart, {s.data(), t.data(), q.data(), z.data()},
          {sb.data(), tb.data(), qb.data(), zb.data(), eigenvalues ? alpha.data() : nullptr, eigenvalues ? beta.data() : nullptr},
          {a_bar.data(), b_bar.data()}, tfqz::one_after_the_other()),
      count);
  return is_beyond_range<T>(a_bar) || is_beyond_range<T>(b_bar);
}

template <typename T>
void fuzz_gradient(Bytes& bytes) {
  const int n = any_size(bytes), count = any_count(bytes, n), options = bytes.byte();
  const std::size_t size = static_cast<std::size_t>(n) * n;
  const auto matrix = [&](Numbers numbers) { return matrices<T>(bytes, count, n, n, numbers); };
  const auto a = matrix(any_numbers(bytes)), b = matrix(any_numbers(bytes));
  Results<T> factors(n, count), bars(n, count);
  const auto& f = factors.factors;
  if (!run(tfqz::QzBatch<T>(n, count, a.data(), b.data(), {}, {}, f, false), count).empty()) return;
  const bool eigenvalues = (options & 1) != 0, apart = (options & 2) != 0,
             products = (options & 12) == 0 && n <= 5 && !eigenvalues && !apart;
  const auto c = matrix(any_numbers(bytes)), d = matrix(any_numbers(bytes));
  if (products) {
    bars = cotangents_of_products(factors, c, d, count);
  } else {
    bars.s = c, bars.t = d, bars.q = matrix(any_numbers(bytes)), bars.z = matrix(any_numbers(bytes));
    const Numbers numbers = any_numbers(bytes);
    for (auto& x : bars.alpha) x = number<std::complex<Real<T>>>(bytes, numbers);
    for (auto& x : bars.beta) x = number<T>(bytes, numbers);
  }
  std::vector<T> a_bar(a.size()), b_bar(a.size());
  const auto differentiate = [&] {
    run(tfqz::QzGradientBatch<T>(n, count, apart, {f.s, f.t, f.q, f.z},
                                 {bars.s.data(), bars.t.data(), bars.q.data(), bars.z.data(), eigenvalues ? bars.alpha.data() : nullptr,
                                  eigenvalues ? bars.beta.data() : nullptr},
                                 {a_bar.data(), b_bar.data()}, tfqz::one_after_the_other()),
        count);
  };
  differentiate();
  const auto plain = [](const auto& x) { return moderate(x, 1e4); };
  if (!plain(a) || !plain(b) || !plain(bars.s) || !plain(bars.t) || !plain(bars.q) || !plain(bars.z)) return;
  if (eigenvalues && (!plain(bars.alpha) || !plain(bars.beta))) return;
  if (!finite(a_bar) || !finite(b_bar)) {
    const bool shown = std::is_same_v<Real<T>, float> && beyond_range(factors, bars, count, apart, eigenvalues);
    require(shown || grows_beyond_range(factors, count), "gradients are finite");
    return;
  }
  for (int k = 0; k < count && products && plain(c) && plain(d); ++k) {
    const auto of = [&](const std::vector<T>& all) { return View(n, n, &all[k * size]); };
    const View S = of(factors.s), T_ = of(factors.t), C = of(c), D = of(d);
    bool blocks = false;
    for (int i = 1; i < n; ++i) blocks = blocks || S(i, i - 1) != LongComplex(0);
    if (blocks) continue;
    // What rounding leaves in the equations grows as their solutions do.
    const Long sizes = norm(C) * norm(S) + norm(D) * norm(T_);
    const Long bound = 10 * rounding<T>(n) * (norm(C) + norm(D) + (growth(S, T_) + growth_of_phases<T>(S, T_)) * sizes);
    require_below(norm(of(a_bar) - C), bound, "the gradient of Re <C, Q S Z^H> is C");
    require_below(norm(of(b_bar) - D), bound, "the gradient of Re <D, Q T Z^H> is D");
  }
}

}  // namespace

#endif  // TFQZ_CORE_FUZZ_GRADIENT_H_
