// What a coverage-guided fuzzer calls (libFuzzer; `make fuzz-core`), and a main that reads files instead: TARGET FILE... The bytes say a
// dtype, sizes, options and entries, also NaN, infinities, denormals and what overflows. Nothing may be read or written outside of arrays,
// finite inputs have finite results with small residuals, or the batch says which element failed.
#include "core_fuzz.h"

#include "algorithms/batches.h"
#include "algorithms/choose_simd.h"
#include "algorithms/triangular_batches.h"
#include "core_fuzz_frames.h"
#include "core_fuzz_gradient.h"
#include "pencil/fork.h"
#include "vectors/qz_iteration.h"

namespace {

// The pattern of S and T, positive diagonals, unitary Q and Z, and the pencil that they are factors of.
template <typename T>
void require_factors(int n, const T* a, const T* b, const Results<T>& results, int k) {
  const std::size_t at = static_cast<std::size_t>(k) * n * n;
  const T *s = &results.s[at], *t = &results.t[at];
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < i; ++j) {
      const bool block = std::is_same_v<T, Real<T>> && j + 1 == i;
      require(block || s[i * n + j] == T(0), "S is upper triangular");
      require(t[i * n + j] == T(0), "T is upper triangular");
      if (!block || s[i * n + j] == T(0)) continue;
      require(i + 1 >= n || s[(i + 1) * n + i] == T(0), "blocks have two rows");
      require(t[j * n + i] == T(0), "T is diagonal in blocks");
    }
    require(std::imag(t[i * n + i]) == 0 && std::real(t[i * n + i]) >= 0, "T's diagonal is not negative");
  }
  const View Q(n, n, &results.q[at]), Z(n, n, &results.z[at]);
  require_orthonormal<T>(Q, "Q is unitary");
  require_orthonormal<T>(Z, "Z is unitary");
  require_product<T>(View(n, n, a), Q, View(n, n, s), Z, "A = Q S Z^H");
  require_product<T>(View(n, n, b), Q, View(n, n, t), Z, "B = Q T Z^H");
  require(finite(&results.alpha[static_cast<std::size_t>(k) * n], n) && finite(&results.beta[static_cast<std::size_t>(k) * n], n),
          "alpha and beta are finite");
}

template <typename T>
void fuzz_qz(Bytes& bytes) {
  const int n = any_size(bytes), count = any_count(bytes, n), options = bytes.byte(), chosen = bytes.byte() % count;
  const std::size_t size = static_cast<std::size_t>(n) * n;
  const auto a = matrices<T>(bytes, count, n, n, any_numbers(bytes)), b = matrices<T>(bytes, count, n, n, any_numbers(bytes));
  const bool fill = options & 1;
  Results<T> all(n, count);
  const auto decompose = [&](int elements, const T* of_a, const T* of_b, const tfqz::Factors<T>& factors) {
    return run(tfqz::QzBatch<T>(n, elements, of_a, of_b, {}, {}, factors, fill), elements);
  };
  const std::string failure = decompose(count, a.data(), b.data(), all.factors);
  const bool fits = finite(a) && finite(b);
  require(fill ? failure.empty() : fits || !failure.empty(), "what isn't finite is refused");
  for (int k = 0; k < count && failure.empty(); ++k) {
    const T *of_a = &a[k * size], *of_b = &b[k * size];
    const bool filled = std::isnan(std::real(all.s[k * size]));
    require(fill || !filled, "a failure is reported");
    if (!filled) require_factors(n, of_a, of_b, all, k);
    if (filled && moderate(std::vector<T>(of_a, of_a + size), 1e10) && moderate(std::vector<T>(of_b, of_b + size), 1e10))
      fail("moderate numbers have factors");
  }
  if (!failure.empty() || !fits) return;
  // Without Q, and eigenvalues alone.
  Results<T> fewer(n, count);
  if ((options & 2) != 0) {
    fewer.factors.q = nullptr;
    if ((options & 4) != 0) fewer.factors.s = fewer.factors.t = fewer.factors.z = nullptr;
    require(!decompose(count, a.data(), b.data(), fewer.factors).empty() || fill || (finite(fewer.alpha) && finite(fewer.beta)),
            "eigenvalues alone are finite");
    return;
  }
  // One by itself, and times powers of two.
  if (n > tfqz::kLargestAlike || std::isnan(std::real(all.s[chosen * size]))) return;
  Results<T> one(n, 1);
  std::vector<T> a_one(a.begin() + chosen * size, a.begin() + (chosen + 1) * size),
      b_one(b.begin() + chosen * size, b.begin() + (chosen + 1) * size);
  require(decompose(1, a_one.data(), b_one.data(), one.factors).empty() && one.same(0, all, chosen), "alone as in the batch");
  if (std::is_same_v<Real<T>, float> || !moderate(a_one, 1e30) || !moderate(b_one, 1e30)) return;
  const Real<T> of_a = std::ldexp(Real<T>(1), options - 128), of_b = std::ldexp(Real<T>(1), 96 - options);
  for (std::size_t i = 0; i < size; ++i) a_one[i] *= of_a, b_one[i] *= of_b;
  Results<T> scaled(n, 1);
  require(decompose(1, a_one.data(), b_one.data(), scaled.factors).empty(), "powers of two change nothing");
  for (std::size_t i = 0; i < size; ++i) one.s[i] *= of_a, one.t[i] *= of_b;
  for (int j = 0; j < n; ++j) one.alpha[j] *= of_a, one.beta[j] *= of_b;
  const auto normal = [](const auto& x) { return moderate(x, 1e250); };
  if (normal(one.s) && normal(one.t) && normal(one.q) && normal(one.z))
    require(scaled.same(0, one, 0), "powers of two come out as they went in");
}

// Of factors of a pencil; or of anything, for the sanitizers.
template <typename T>
void fuzz_reorder(Bytes& bytes) {
  const int n = any_size(bytes), count = any_count(bytes, n), options = bytes.byte();
  const std::size_t size = static_cast<std::size_t>(n) * n;
  auto a = matrices<T>(bytes, count, n, n, any_numbers(bytes)), b = matrices<T>(bytes, count, n, n, any_numbers(bytes));
  Results<T> found(n, count), reordered(n, count);
  const bool anything = options % 4 == 0;
  if (anything) {
    found.s = a, found.t = b;
    found.q = matrices<T>(bytes, count, n, n, any_numbers(bytes)), found.z = matrices<T>(bytes, count, n, n, any_numbers(bytes));
  } else if (!run(tfqz::QzBatch<T>(n, count, a.data(), b.data(), {}, {}, found.factors, false), count).empty()) {
    return;
  }
  std::vector<std::int32_t> labels(static_cast<std::size_t>(count) * n);
  for (std::int32_t& label : labels) label = (options & 8) != 0 ? bytes.below(2) : bytes.byte() - 128;
  const std::string failure = run(tfqz::ReorderBatch<T>(n, count, {found.s.data(), found.t.data(), found.q.data(), found.z.data()},
                                                        labels.data(), reordered.factors, (options & 16) != 0),
                                  count);
  for (int k = 0; k < count && !anything && failure.empty(); ++k) {
    if (std::isnan(std::real(reordered.s[k * size])) && (options & 16) != 0) continue;
    require_factors(n, &a[k * size], &b[k * size], reordered, k);
  }
}

template <typename T>
void fuzz_schur(Bytes& bytes) {
  const int n = any_size(bytes), count = any_count(bytes, n);
  const std::size_t size = static_cast<std::size_t>(n) * n;
  const auto a = matrices<T>(bytes, count, n, n, any_numbers(bytes));
  std::vector<T> t(a.size()), z(a.size());
  const std::string failure = run(tfqz::SchurBatch<T>(n, a.data(), {t.data(), z.data()}, false), count);
  require(finite(a) || !failure.empty(), "what isn't finite is refused");
  for (int k = 0; k < count && failure.empty(); ++k) {
    const View Z(n, n, &z[k * size]);
    require_orthonormal<T>(Z, "Z is unitary");
    require_product<T>(View(n, n, &a[k * size]), Z, View(n, n, &t[k * size]), Z, "A = Z T Z^H");
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j < i; ++j) {
        require((std::is_same_v<T, Real<T>> && j + 1 == i) || t[k * size + i * n + j] == T(0), "T is upper triangular");
      }
    }
  }
}

// The iteration of one pencil in vectors, which otherwise LAPACK may stand in for.
template <typename T>
void fuzz_iteration(Bytes& bytes) {
  const int n = any_size(bytes);
  const auto& simds = tfqz::compiled_simds();
  const tfqz::Simd& simd = simds[bytes.byte() % simds.size()];
  if (!simd.available()) return;
  const auto a = matrices<T>(bytes, 1, n, n, any_numbers(bytes));
  auto b = matrices<T>(bytes, 1, n, n, any_numbers(bytes));
  const tfqz::Matrices<T> space(n, 4);
  const auto S = space[0], T_ = space[1], Q = space[2], Z = space[3];
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) {
      if (i > j) b[i * n + j] = T(0);
      S(i, j) = a[i * n + j], T_(i, j) = b[i * n + j], Q(i, j) = Z(i, j) = T(i == j ? 1 : 0);
    }
  }
  tfqz::normalize(S), tfqz::normalize(T_);
  std::vector<T> s(a.size()), t(s), q(s), z(s);
  tfqz::write(S, s.data()), tfqz::write(T_, t.data());
  const View A(n, n, s.data()), B(n, n, t.data());
  const bool converged = (*tfqz::make_iteration<T>(simd, n, tfqz::one_after_the_other()))(S, T_, Q, Z, 0, n - 1);
  if (!converged && moderate(a, 1e3) && moderate(b, 1e3)) fail("moderate numbers converge");
  if (!converged || !finite(a) || !finite(b)) return;  // nobody calls it with what isn't finite
  tfqz::write(S, s.data()), tfqz::write(T_, t.data()), tfqz::write(Q, q.data()), tfqz::write(Z, z.data());
  require_orthonormal<T>(View(n, n, q.data()), "Q is unitary");
  require_orthonormal<T>(View(n, n, z.data()), "Z is unitary");
  require_product<T>(A, View(n, n, q.data()), View(n, n, s.data()), View(n, n, z.data()), "A = Q S Z^H");
  require_product<T>(B, View(n, n, q.data()), View(n, n, t.data()), View(n, n, z.data()), "B = Q T Z^H");
}

// The equations that gradients solve, of triangular forms of any kind.
template <typename T>
void fuzz_triangular(Bytes& bytes) {
  const int n = any_size(bytes), count = any_count(bytes, n), options = bytes.byte();
  const bool is_adjoint = options & 1, ordinary = options & 2;
  auto s = matrices<T>(bytes, count, n, n, any_numbers(bytes)), t = matrices<T>(bytes, count, n, n, any_numbers(bytes));
  const auto p = matrices<T>(bytes, count, n, n, any_numbers(bytes)), r = matrices<T>(bytes, count, n, n, any_numbers(bytes));
  const std::size_t size = static_cast<std::size_t>(n) * n;
  for (std::size_t i = 0; i < s.size() && (options & 4) == 0; ++i) {  // else anything, for the sanitizers
    const std::size_t row = i % size / n, column = i % n;
    if (row > column) s[i] = t[i] = T(0);
    if (ordinary) t[i] = T(row == column ? 1 : 0);
  }
  std::vector<T> x(s.size()), y(s.size());
  run(tfqz::TriangularBatch<T>(n, is_adjoint, ordinary, s.data(), t.data(), {p.data(), r.data()}, {x.data(), y.data()}), count);
  if ((options & 4) != 0 || !moderate(s, 1e4) || !moderate(t, 1e4) || !moderate(p, 1e4) || !moderate(r, 1e4)) return;
  for (int k = 0; k < count; ++k) {
    const auto of = [&](const std::vector<T>& all) { return View(n, n, &all[k * size]); };
    require_triangular_solution<T>(is_adjoint, of(s), of(t), of(p), of(r), of(x), of(y));
  }
}

#define TFQZ_TARGET(name)                                                                                                   \
  {                                                                                                                         \
    #name, { fuzz_##name<float>, fuzz_##name<double>, fuzz_##name<std::complex<float>>, fuzz_##name<std::complex<double>> } \
  }
const struct Target {
  const char* name;
  void (*of_dtype[4])(Bytes&);
} targets[] = {TFQZ_TARGET(qz),       TFQZ_TARGET(reorder),    TFQZ_TARGET(schur), TFQZ_TARGET(iteration),
               TFQZ_TARGET(gradient), TFQZ_TARGET(triangular), TFQZ_TARGET(frames)};
#undef TFQZ_TARGET

const Target* target = nullptr;

// The widths of vectors that the machine has, and LAPACK alone.
const std::vector<std::string>& widths() {
  static const auto* const names = [] {
    auto* found = new std::vector<std::string>;
    for (const tfqz::Simd& simd : tfqz::compiled_simds()) {
      if (simd.available()) found->push_back(simd.name);
    }
    found->push_back("none");
    return found;
  }();
  return *names;
}

void choose_target(const char* name) {
  for (const Target& one : targets) {
    if (std::string(one.name) == name) target = &one;
  }
  if (target == nullptr) fail(std::string("no target is called ") + name);
  for (const std::string& name : widths()) {
    setenv("TFQZ_SIMD", name.c_str(), 1);
    std::string problem;
    tfqz::choose_simd(&problem);
    if (!problem.empty()) fail(problem);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  const int dtype = bytes.below(4);
  setenv("TFQZ_SIMD", widths()[bytes.byte() % widths().size()].c_str(), 1);
  target->of_dtype[dtype](bytes);
  return 0;
}

#ifdef TFQZ_LIBFUZZER

// TFQZ_TARGET in the environment: which one.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* name = std::getenv("TFQZ_TARGET");
  choose_target(name == nullptr ? "" : name);
  return 0;
}

#else

int main(int count, char** arguments) {
  choose_target(arguments[1]);
  for (int i = 2; i < count; ++i) {
    std::FILE* const file = std::fopen(arguments[i], "rb");
    if (file == nullptr) fail(std::string("no file ") + arguments[i]);
    std::vector<std::uint8_t> data(1 << 16);
    data.resize(std::fread(data.data(), 1, data.size(), file));
    std::fclose(file);
    std::fprintf(stderr, "%s\n", arguments[i]);
    LLVMFuzzerTestOneInput(data.data(), data.size());
  }
  std::printf("%s: %d inputs\n", arguments[1], count - 2);
}

#endif
