// One machine code of a function for AVX-512, AVX2 and any other processor each, chosen when the library is loaded.
#ifndef TFQZ_VECTOR_WIDTHS_H_
#define TFQZ_VECTOR_WIDTHS_H_

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define TFQZ_FOR_EACH_VECTOR_WIDTH __attribute__((flatten, target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TFQZ_FOR_EACH_VECTOR_WIDTH
#endif

#endif  // TFQZ_VECTOR_WIDTHS_H_
