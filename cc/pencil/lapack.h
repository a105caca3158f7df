// LAPACK's routines as the package scipy-openblas32 exports them: 32-bit integers, prefix `scipy_`, Fortran's hidden string
// lengths at the end. One overload set, so that a template over the dtype reads like the mathematics.
#ifndef TFQZ_LAPACK_H_
#define TFQZ_LAPACK_H_

#include <complex>
#include <cstddef>

namespace tfqz {

using LapackInt = int;

template <typename T>
struct RealOf {
  using type = T;
};
template <typename R>
struct RealOf<std::complex<R>> {
  using type = R;
};
template <typename T>
using Real = typename RealOf<T>::type;

template <typename R>
R conjugate(R x) {
  return x;
}
template <typename R>
std::complex<R> conjugate(std::complex<R> x) {
  return std::conj(x);
}

enum class ComputeVectors : char { kYes = 'V', kNo = 'N' };
enum class SortEigenvalues : char { kYes = 'S', kNo = 'N' };

// What LAPACK said: `info` = 0 is success. kNotFinite and kNotUnitary, which no routine returns: what it computed isn't.
struct Outcome {
  static constexpr LapackInt kNotFinite = -0x7fffffff, kNotUnitary = kNotFinite + 1;

  const char* routine;
  LapackInt info;
};

extern "C" void scipy_openblas_set_num_threads(int count);

// xGGES and xGGES3 have the same arguments; real and complex ones differ in how alpha is returned.
#define TFQZ_DECLARE_REAL(routine, Real)                                                                                                \
  extern "C" void routine(const char* jobvsl, const char* jobvsr, const char* sort, void* selctg, const LapackInt* n, Real* a,          \
                          const LapackInt* lda, Real* b, const LapackInt* ldb, LapackInt* sdim, Real* alphar, Real* alphai, Real* beta, \
                          Real* vsl, const LapackInt* ldvsl, Real* vsr, const LapackInt* ldvsr, Real* work, const LapackInt* lwork,     \
                          LapackInt* bwork, LapackInt* info, std::size_t, std::size_t, std::size_t)
#define TFQZ_DECLARE_COMPLEX(routine, Real)                                                                                               \
  extern "C" void routine(const char* jobvsl, const char* jobvsr, const char* sort, void* selctg, const LapackInt* n,                     \
                          std::complex<Real>* a, const LapackInt* lda, std::complex<Real>* b, const LapackInt* ldb, LapackInt* sdim,      \
                          std::complex<Real>* alpha, std::complex<Real>* beta, std::complex<Real>* vsl, const LapackInt* ldvsl,           \
                          std::complex<Real>* vsr, const LapackInt* ldvsr, std::complex<Real>* work, const LapackInt* lwork, Real* rwork, \
                          LapackInt* bwork, LapackInt* info, std::size_t, std::size_t, std::size_t)
TFQZ_DECLARE_REAL(scipy_sgges_, float);
TFQZ_DECLARE_REAL(scipy_dgges_, double);
TFQZ_DECLARE_REAL(scipy_sgges3_, float);
TFQZ_DECLARE_REAL(scipy_dgges3_, double);
TFQZ_DECLARE_COMPLEX(scipy_cgges_, float);
TFQZ_DECLARE_COMPLEX(scipy_zgges_, double);
TFQZ_DECLARE_COMPLEX(scipy_cgges3_, float);
TFQZ_DECLARE_COMPLEX(scipy_zgges3_, double);
#undef TFQZ_DECLARE_REAL
#undef TFQZ_DECLARE_COMPLEX

// xGEES: the ordinary Schur form, of the same two kinds.
#define TFQZ_DECLARE_REAL(routine, Real)                                                                                            \
  extern "C" void routine(const char* jobvs, const char* sort, void* select, const LapackInt* n, Real* a, const LapackInt* lda,     \
                          LapackInt* sdim, Real* wr, Real* wi, Real* vs, const LapackInt* ldvs, Real* work, const LapackInt* lwork, \
                          LapackInt* bwork, LapackInt* info, std::size_t, std::size_t)
#define TFQZ_DECLARE_COMPLEX(routine, Real)                                                                                              \
  extern "C" void routine(const char* jobvs, const char* sort, void* select, const LapackInt* n, std::complex<Real>* a,                  \
                          const LapackInt* lda, LapackInt* sdim, std::complex<Real>* w, std::complex<Real>* vs, const LapackInt* ldvs,   \
                          std::complex<Real>* work, const LapackInt* lwork, Real* rwork, LapackInt* bwork, LapackInt* info, std::size_t, \
                          std::size_t)
TFQZ_DECLARE_REAL(scipy_sgees_, float);
TFQZ_DECLARE_REAL(scipy_dgees_, double);
TFQZ_DECLARE_COMPLEX(scipy_cgees_, float);
TFQZ_DECLARE_COMPLEX(scipy_zgees_, double);
#undef TFQZ_DECLARE_REAL
#undef TFQZ_DECLARE_COMPLEX

// xTGEXC moves a diagonal block of a generalized Schur form up or down; only real ones take a workspace.
#define TFQZ_DECLARE_TGEXC(routine, T, ...)                                                                                               \
  extern "C" void routine(const LapackInt* wantq, const LapackInt* wantz, const LapackInt* n, T* a, const LapackInt* lda, T* b,           \
                          const LapackInt* ldb, T* q, const LapackInt* ldq, T* z, const LapackInt* ldz, LapackInt* ifst, LapackInt* ilst, \
                          __VA_ARGS__ LapackInt* info)
#define TFQZ_WORK(T) T *work, const LapackInt *lwork,
TFQZ_DECLARE_TGEXC(scipy_stgexc_, float, TFQZ_WORK(float));
TFQZ_DECLARE_TGEXC(scipy_dtgexc_, double, TFQZ_WORK(double));
TFQZ_DECLARE_TGEXC(scipy_ctgexc_, std::complex<float>, );
TFQZ_DECLARE_TGEXC(scipy_ztgexc_, std::complex<double>, );
#undef TFQZ_WORK
#undef TFQZ_DECLARE_TGEXC

// xGGBAL permutes a pencil to make it more nearly triangular, xGGBAK takes the permutation back; xGEQRF, xORMQR (or xUNMQR) and xORGQR
// (or xUNGQR) are Householder's QR decomposition; xTRTRI inverts a triangle.
#define TFQZ_DECLARE_QR(letter, orthogonal, T)                                                                                             \
  extern "C" void scipy_##letter##ggbal_(const char* job, const LapackInt* n, T* a, const LapackInt* lda, T* b, const LapackInt* ldb,      \
                                         LapackInt* ilo, LapackInt* ihi, Real<T>* lscale, Real<T>* rscale, Real<T>* work, LapackInt* info, \
                                         std::size_t);                                                                                     \
  extern "C" void scipy_##letter##ggbak_(const char* job, const char* side, const LapackInt* n, const LapackInt* ilo,                      \
                                         const LapackInt* ihi, const Real<T>* lscale, const Real<T>* rscale, const LapackInt* m, T* v,     \
                                         const LapackInt* ldv, LapackInt* info, std::size_t, std::size_t);                                 \
  extern "C" void scipy_##letter##geqrf_(const LapackInt* m, const LapackInt* n, T* a, const LapackInt* lda, T* tau, T* work,              \
                                         const LapackInt* lwork, LapackInt* info);                                                         \
  extern "C" void scipy_##letter##orthogonal##mqr_(                                                                                        \
      const char* side, const char* trans, const LapackInt* m, const LapackInt* n, const LapackInt* k, const T* a, const LapackInt* lda,   \
      const T* tau, T* c, const LapackInt* ldc, T* work, const LapackInt* lwork, LapackInt* info, std::size_t, std::size_t);               \
  extern "C" void scipy_##letter##orthogonal##gqr_(const LapackInt* m, const LapackInt* n, const LapackInt* k, T* a, const LapackInt* lda, \
                                                   const T* tau, T* work, const LapackInt* lwork, LapackInt* info);                        \
  extern "C" void scipy_##letter##trtri_(const char* uplo, const char* diag, const LapackInt* n, T* a, const LapackInt* lda,               \
                                         LapackInt* info, std::size_t, std::size_t)
TFQZ_DECLARE_QR(s, or, float);
TFQZ_DECLARE_QR(d, or, double);
TFQZ_DECLARE_QR(c, un, std::complex<float>);
TFQZ_DECLARE_QR(z, un, std::complex<double>);
#undef TFQZ_DECLARE_QR

// What has a real workspace for complex dtypes alone: xGEQP3 is QR with pivoting, xGESDD and xGESVD are singular value decompositions.
#define TFQZ_NO_WORK(T)
#define TFQZ_REAL_WORK(T) Real<T>*rwork,
#define TFQZ_DECLARE_SVD(letter, T, RWORK)                                                                                                 \
  extern "C" void scipy_##letter##geqp3_(const LapackInt* m, const LapackInt* n, T* a, const LapackInt* lda, LapackInt* jpvt, T* tau,      \
                                         T* work, const LapackInt* lwork, RWORK(T) LapackInt* info);                                       \
  extern "C" void scipy_##letter##gesdd_(const char* jobz, const LapackInt* m, const LapackInt* n, T* a, const LapackInt* lda, Real<T>* s, \
                                         T* u, const LapackInt* ldu, T* vt, const LapackInt* ldvt, T* work, const LapackInt* lwork,        \
                                         RWORK(T) LapackInt* iwork, LapackInt* info, std::size_t);                                         \
  extern "C" void scipy_##letter##gesvd_(const char* jobu, const char* jobvt, const LapackInt* m, const LapackInt* n, T* a,                \
                                         const LapackInt* lda, Real<T>* s, T* u, const LapackInt* ldu, T* vt, const LapackInt* ldvt,       \
                                         T* work, const LapackInt* lwork, RWORK(T) LapackInt* info, std::size_t, std::size_t)
TFQZ_DECLARE_SVD(s, float, TFQZ_NO_WORK);
TFQZ_DECLARE_SVD(d, double, TFQZ_NO_WORK);
TFQZ_DECLARE_SVD(c, std::complex<float>, TFQZ_REAL_WORK);
TFQZ_DECLARE_SVD(z, std::complex<double>, TFQZ_REAL_WORK);
#undef TFQZ_DECLARE_SVD
#undef TFQZ_REAL_WORK
#undef TFQZ_NO_WORK

#define TFQZ_DECLARE_GEMM(routine, T)                                                                                              \
  extern "C" void routine(const char* transa, const char* transb, const LapackInt* m, const LapackInt* n, const LapackInt* k,      \
                          const T* alpha, const T* a, const LapackInt* lda, const T* b, const LapackInt* ldb, const T* beta, T* c, \
                          const LapackInt* ldc, std::size_t, std::size_t)
TFQZ_DECLARE_GEMM(scipy_sgemm_, float);
TFQZ_DECLARE_GEMM(scipy_dgemm_, double);
TFQZ_DECLARE_GEMM(scipy_cgemm_, std::complex<float>);
TFQZ_DECLARE_GEMM(scipy_zgemm_, std::complex<double>);
#undef TFQZ_DECLARE_GEMM

// A A^H, one triangle of it.
#define TFQZ_DECLARE_HERK(routine, T)                                                                                                    \
  extern "C" void routine(const char* uplo, const char* trans, const LapackInt* n, const LapackInt* k, const Real<T>* alpha, const T* a, \
                          const LapackInt* lda, const Real<T>* beta, T* c, const LapackInt* ldc, std::size_t, std::size_t)
TFQZ_DECLARE_HERK(scipy_ssyrk_, float);
TFQZ_DECLARE_HERK(scipy_dsyrk_, double);
TFQZ_DECLARE_HERK(scipy_cherk_, std::complex<float>);
TFQZ_DECLARE_HERK(scipy_zherk_, std::complex<double>);
#undef TFQZ_DECLARE_HERK

// What differs between the dtypes: the routines and their names.
template <typename T>
struct Lapack;
#define TFQZ_LAPACK(T, letter, orthogonal, herk_, transposed)       \
  template <>                                                       \
  struct Lapack<T> {                                                \
    static constexpr auto gges = scipy_##letter##gges_;             \
    static constexpr auto gges3 = scipy_##letter##gges3_;           \
    static constexpr auto tgexc = scipy_##letter##tgexc_;           \
    static constexpr auto gees = scipy_##letter##gees_;             \
    static constexpr auto gemm = scipy_##letter##gemm_;             \
    static constexpr auto herk = scipy_##letter##herk_##_;          \
    static constexpr auto ggbal = scipy_##letter##ggbal_;           \
    static constexpr auto ggbak = scipy_##letter##ggbak_;           \
    static constexpr auto geqrf = scipy_##letter##geqrf_;           \
    static constexpr auto ormqr = scipy_##letter##orthogonal##mqr_; \
    static constexpr auto orgqr = scipy_##letter##orthogonal##gqr_; \
    static constexpr auto trtri = scipy_##letter##trtri_;           \
    static constexpr auto geqp3 = scipy_##letter##geqp3_;           \
    static constexpr auto gesdd = scipy_##letter##gesdd_;           \
    static constexpr auto gesvd = scipy_##letter##gesvd_;           \
    static constexpr const char* adjoint = transposed;              \
    static constexpr const char* gges_name = #letter "gges";        \
    static constexpr const char* gges3_name = #letter "gges3";      \
    static constexpr const char* tgexc_name = #letter "tgexc";      \
    static constexpr const char* gees_name = #letter "gees";        \
    static constexpr const char* gesdd_name = #letter "gesdd";      \
  }
TFQZ_LAPACK(float, s, or, syrk, "T");
TFQZ_LAPACK(double, d, or, syrk, "T");
TFQZ_LAPACK(std::complex<float>, c, un, herk, "C");
TFQZ_LAPACK(std::complex<double>, z, un, herk, "C");
#undef TFQZ_LAPACK

}  // namespace tfqz

#endif  // TFQZ_LAPACK_H_
