// The decomposition of pencils in lanes, from row-major arrays to row-major arrays.
#if defined(TFQZ_LOCKSTEP_PENCILS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TFQZ_LOCKSTEP_PENCILS_INL_H_
#undef TFQZ_LOCKSTEP_PENCILS_INL_H_
#else
#define TFQZ_LOCKSTEP_PENCILS_INL_H_
#endif

#include <memory>

#include "vectors/lanes_factors-inl.h"
#include "vectors/lanes_iteration-inl.h"
#include "vectors/lanes_reduction-inl.h"
#include "vectors/lockstep.h"

HWY_BEFORE_NAMESPACE();
namespace tfqz {
namespace HWY_NAMESPACE {

template <typename T>
class Lockstep : public LockstepQz<T> {
 public:
  explicit Lockstep(int n) : n_(n), space_(n) {}

  std::uint64_t operator()(const T* const* a, const T* const* b, const Factors<T>* factors, int count) override {
    const Decomposed done = decompose(a, b, count, wanted(factors[0]));
    // Where an eigenvalue is 0/0 small ones of LAPACK's may still be something, and the phases of S and T are Q's.
    return space_.write(done.group, done.of_a, done.of_b, done.failed | undetermined(done.group), factors, count);
  }

 private:
  using R = Real<T>;

  // Generalized Schur forms, but for the canonical form, of A / of_a and B / of_b.
  struct Decomposed {
    Group<T> group;
    Lanes<R> of_a, of_b;
    Mask<R> failed;
  };

  Decomposed decompose(const T* const* a, const T* const* b, int count, Parts parts) const {
    const Group<T> group = space_.cleared(parts);
    const Lanes<R> of_a = space_.pack(a, count, group.S), of_b = space_.pack(b, count, group.T_);
    for (LanesMatrix<T> X : {group.QH, group.ZT}) {
      for (int i = 0; i < n_ && X.present(); ++i) X.set(i, i, number<T>(1));
    }
    const Active<R> active = find_active(group);
    triangularize(group, space_.vectors());
    reduce_to_hessenberg(group);
    Windows<T> windows(n_);
    const Lanes<R> zero = zero_beta(group, active);
    while (step(group, zero, &windows)) {
    }
    if constexpr (!kComplex<T>) standardize_blocks(group);
    drop_negligible_betas(group, active, zero);
    drop_underflowing(group, of_a, of_b);
    return {group, of_a, of_b, windows.failed};
  }

  const int n_;
  const LanesFactors<T> space_;
};

template <typename T>
std::unique_ptr<LockstepQz<T>> make(int n) {
  return std::make_unique<Lockstep<T>>(n);
}

}  // namespace HWY_NAMESPACE
}  // namespace tfqz
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace tfqz {

template <typename T>
std::unique_ptr<LockstepQz<T>> make_lockstep(const Simd& simd, int n) {
#if HWY_TARGETS & HWY_AVX3
  if (simd.bytes >= 64) return N_AVX3::make<T>(n);
#endif
#if HWY_TARGETS & HWY_AVX2
  if (simd.bytes >= 32) return N_AVX2::make<T>(n);
#endif
  return HWY_STATIC_NAMESPACE::make<T>(n);
}

}  // namespace tfqz

#endif  // HWY_ONCE
#endif  // per-target include guard
