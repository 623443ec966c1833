// Matrix products over raw row-major memory. Only the forms whose bits do not depend on the number
// of rows or threads are offered (docs/numerics.md): NN and TN. A product with B transposed is a
// transposed copy of B followed by NN; a lone row is computed as one of two.
//
// Signals: while oneDNN's kernels run, a thread's stack pointer may lie in the middle of the heap
// (uxlfoundation/oneDNN#4845), where a signal's frame would overwrite what lies there. A thread
// that multiplies gets an alternate signal stack for this reason; a program that installs handlers
// must do so with SA_ONSTACK, or keep signals away from threads that multiply.
#pragma once

#include <cstdint>

namespace qkv::kernels {

/// c[m n] = a[m k] · b[k n] + beta · c.  ld* are row strides; beta is 0 or 1.
void gemm_nn(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
             const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc);
/// c[m n] = a[k m]ᵀ · b[k n] + beta · c.
void gemm_tn(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
             const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc);

/// The definitions: three loops, accumulated in T.
void gemm_nn(std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda,
             const double* b, std::int64_t ldb, double beta, double* c, std::int64_t ldc);
void gemm_tn(std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda,
             const double* b, std::int64_t ldb, double beta, double* c, std::int64_t ldc);

/// out[cols rows] = in[rows cols]ᵀ, in cache-sized blocks.
template <class T>
void transpose(std::int64_t rows, std::int64_t cols, const T* in, T* out);

}  // namespace qkv::kernels
