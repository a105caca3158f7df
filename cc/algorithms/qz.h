// The QZ decomposition of one pencil: A = Q S Z^H, B = Q T Z^H, Q and Z unitary, S and T upper triangular (for real dtypes S is quasi
// upper triangular), in the canonical form of canonical.h. Up to some size by qz_iteration.h, then by LAPACK's drivers. No TensorFlow
// header comes in here.
#ifndef TFQZ_QZ_H_
#define TFQZ_QZ_H_

#include <complex>
#include <memory>

#include "pencil/factors.h"
#include "pencil/fork.h"
#include "pencil/lapack.h"
#include "pencil/matrix.h"

namespace tfqz {

struct Simd;
template <typename T>
class QzIteration;

// Powers of two, by which S and T are to be multiplied.
struct PencilScale {
  double s = 1, t = 1;
};

// Puts factors in canonical form and writes them out, times `scale`, with their alpha and beta. Q may be absent, and Q and Z where nothing
// but the eigenvalues is wanted. False if S, T, alpha or beta isn't finite.
template <typename T>
bool finish(Matrix<T> S, Matrix<T> T_, Matrix<T> Q, Matrix<T> Z, const Factors<T>& factors, PencilScale scale = {});

// Holds the workspace for pencils of one size; use one per thread, for as many pencils as there are. One that std::shared_ptr owns can be
// interrupted; after that it is of no use.
template <typename T>
class QzSolver : public std::enable_shared_from_this<QzSolver<T>> {
 public:
  // Throws std::bad_alloc. `n` >= 1. Without `simd`, LAPACK does it all. `fork`: for two things at once.
  QzSolver(int n, const Simd* simd, const Fork& fork);
  ~QzSolver();

  // `a` and `b` are row-major and finite. Where info is not 0 the contents of `factors` mean nothing.
  Outcome operator()(const T* a, const T* b, const Factors<T>& factors);

 private:
  Outcome decompose(const T* a, const T* b, Parts parts);
  void read_near_one(const T* a, const T* b);
  bool iterate(Parts parts);
  Outcome call_driver(bool blocked, Parts parts, LapackInt lwork);
  bool all_finite_of(Parts parts) const;
  bool drop_below_diagonal();
  void drop_negligible_betas(const T* a, const T* b);

  int n_;
  Matrices<T> matrices_;
  Matrix<T> S_, T_, Q_, Z_;
  PencilScale scale_;
  std::unique_ptr<Real<T>[]> real_work_;  // alphar and alphai of real dtypes, rwork of complex ones
  std::unique_ptr<T[]> vectors_;          // beta, and alpha of complex dtypes
  std::unique_ptr<T[]> work_;
  LapackInt lwork_;
  std::unique_ptr<QzIteration<T>> iteration_;  // none: LAPACK's driver
};

}  // namespace tfqz

#endif  // TFQZ_QZ_H_
