// The widths of vectors that this library has code for: the one list of them.
//
// Vectors of 16 bytes are on any machine. x86 has 32 (AVX2 with FMA) and 64 (AVX-512) besides; which of them a machine has is asked when
// the library is first used (simd.h).
//
//  - Pencils in lockstep, a lane each (lockstep_*.cc), take all three: twice the lanes are twice the pencils.
//  - The gradient in lockstep and the iteration of one pencil leave 64 out: the former was no faster with it, for its operands come from
//    memory; the latter has too few independent operations between its dependent ones, and g++ spills registers. Machines with AVX-512 run
//    their 32 byte code.
//  - Code without explicit vectors (triangular_substitution.cc, eigenvectors.cc, exchange.cc) is compiled for all three by the compiler,
//    except by clang, which has no `flatten` beside `target_clones`, and under AddressSanitizer and ThreadSanitizer, which are not
//    initialised when the loader chooses.
#ifndef TFQZ_VECTORS_WIDTHS_H_
#define TFQZ_VECTORS_WIDTHS_H_

// Of Highway's targets those that a file leaves out: its HWY_DISABLED_TARGETS.
#define TFQZ_WIDTHS_TO_64_BYTES (~(HWY_SSE2 | HWY_AVX2 | HWY_AVX3 | HWY_NEON | HWY_NEON_WITHOUT_AES))
#define TFQZ_WIDTHS_TO_32_BYTES (~(HWY_SSE2 | HWY_AVX2 | HWY_NEON | HWY_NEON_WITHOUT_AES))

// In what has to be the same to the last bit in vectors of 32 and of 64 bytes, and whichever way a branch went before: products and sums
// become one operation where the text says so and nowhere else. By itself g++ fuses those that stand in one basic block. Before everything
// that is included, so that all of it is compiled alike and can be inlined.
#if defined(__GNUC__) && !defined(__clang__)
#define TFQZ_FUSE_NOTHING _Pragma("GCC optimize(\"fp-contract=off\")")
#else
#define TFQZ_FUSE_NOTHING
#endif

// Assertions call functions that are in no library of TensorFlow's.
#define HWY_IS_DEBUG_BUILD 0
#define HWY_COMPILE_ALL_ATTAINABLE

// One machine code of a function for each width, chosen when the library is loaded.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define TFQZ_FOR_EACH_VECTOR_WIDTH __attribute__((flatten, target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TFQZ_FOR_EACH_VECTOR_WIDTH
#endif

#endif  // TFQZ_VECTORS_WIDTHS_H_
