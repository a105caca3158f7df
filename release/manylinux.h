// Included before all else where a wheel is built (release/wheel.py), so that what is compiled by a newer GCC with a newer glibc runs on
// systems of manylinux_2_27: of functions that got a new version the old one is taken, and what is new stands here.
#ifndef TFQZ_MANYLINUX_H_
#define TFQZ_MANYLINUX_H_

#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <new>
#include <sstream>

#if defined(__x86_64__)
// 2.29 and 2.35 have them without what sets errno, and more exact hypotenuses.
__asm__(".symver pow,pow@GLIBC_2.2.5");
__asm__(".symver log2,log2@GLIBC_2.2.5");
__asm__(".symver hypot,hypot@GLIBC_2.2.5");
__asm__(".symver hypotf,hypotf@GLIBC_2.2.5");
#endif

// By their names for the linker, since what is declared in std can't be hidden, and nobody else should find these.
#define TFQZ_NEWER(declaration, name)                                    \
  declaration __asm__(name) __attribute__((weak, visibility("hidden"))); \
  declaration

extern "C" {

// glibc 2.32: whether shared_ptr may count without atomic instructions. It may not.
extern char __libc_single_threaded __attribute__((weak, visibility("hidden")));
char __libc_single_threaded = 0;

// GCC 11.
TFQZ_NEWER(void tfqz_throw_bad_array_new_length(), "_ZSt28__throw_bad_array_new_lengthv") { throw std::bad_alloc(); }

// GCC 12, where it is no longer inline.
TFQZ_NEWER(void tfqz_wait(std::condition_variable* condition, std::unique_lock<std::mutex>* lock),
           "_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE") {
  pthread_cond_wait(condition->native_handle(), lock->mutex()->native_handle());
}

// GCC 9: std::stringstream's constructor without arguments.
TFQZ_NEWER(void tfqz_stringstream(void* stream), "_ZNSt7__cxx1118basic_stringstreamIcSt11char_traitsIcESaIcEEC1Ev") {
  new (stream) std::stringstream(std::ios_base::in | std::ios_base::out);
}

// GCC 11, where what copies and forgets an exception_ptr is inline, and calls these. As functions they are older.
void tfqz_copy_exception(void* copy, const void* pointer) __asm__("_ZNSt15__exception_ptr13exception_ptrC1ERKS0_");
void tfqz_forget_exception(void* pointer) __asm__("_ZNSt15__exception_ptr13exception_ptrD1Ev");
TFQZ_NEWER(void tfqz_count_exception(const void* pointer), "_ZNSt15__exception_ptr13exception_ptr9_M_addrefEv") {
  void* copy;  // never forgotten: it is counted as `pointer`'s own
  tfqz_copy_exception(&copy, pointer);
}
TFQZ_NEWER(void tfqz_release_exception(void* pointer), "_ZNSt15__exception_ptr13exception_ptr10_M_releaseEv") {
  tfqz_forget_exception(pointer);
}

}  // extern "C"

#undef TFQZ_NEWER

#endif  // TFQZ_MANYLINUX_H_
