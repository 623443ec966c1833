#include "qkv/kernels/gemm.h"

#include <algorithm>
#include <vector>

#include <oneapi/dnnl/dnnl.h>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"

namespace qkv::kernels {
namespace {

void sgemm(char ta, std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
           std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
           std::int64_t ldc) {
  const dnnl_status_t status = dnnl_sgemm(ta, 'N', m, n, k, 1.0f, a, lda, b, ldb, beta, c, ldc);
  if (status != dnnl_success) {
    fail("gemm: oneDNN refused m={} n={} k={} (status {})", m, n, k, static_cast<int>(status));
  }
}

void clear(std::int64_t m, std::int64_t n, float beta, float* c, std::int64_t ldc) {
  if (beta != 0.0f) return;
  for (std::int64_t i = 0; i < m; ++i) std::fill_n(c + i * ldc, n, 0.0f);
}

}  // namespace

void gemm_nn(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
             const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc) {
  if (m == 0 || n == 0) return;
  if (k == 0) return clear(m, n, beta, c, ldc);
  if (m > 1) return sgemm('N', m, n, k, a, lda, b, ldb, beta, c, ldc);
  // A lone row takes another kernel inside oneDNN, with other bits: ask for it twice.
  thread_local std::vector<float> two_rows;
  const auto nn = static_cast<std::size_t>(n), kk = static_cast<std::size_t>(k);
  two_rows.resize(2 * (nn + kk));
  float* a2 = two_rows.data();
  float* c2 = a2 + 2 * kk;
  std::copy_n(a, k, a2);
  std::copy_n(a, k, a2 + k);
  if (beta != 0.0f) {
    std::copy_n(c, n, c2);
    std::copy_n(c, n, c2 + n);
  }
  sgemm('N', 2, n, k, a2, k, b, ldb, beta, c2, n);
  std::copy_n(c2, n, c);
}

void gemm_tn(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
             const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc) {
  if (m == 0 || n == 0) return;
  if (k == 0) return clear(m, n, beta, c, ldc);
  sgemm('T', m, n, k, a, lda, b, ldb, beta, c, ldc);
}

void gemm_nn(std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda,
             const double* b, std::int64_t ldb, double beta, double* c, std::int64_t ldc) {
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (std::int64_t l = 0; l < k; ++l) sum += a[i * lda + l] * b[l * ldb + j];
      c[i * ldc + j] = sum + (beta == 0.0 ? 0.0 : beta * c[i * ldc + j]);
    }
  }
}

void gemm_tn(std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda,
             const double* b, std::int64_t ldb, double beta, double* c, std::int64_t ldc) {
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (std::int64_t l = 0; l < k; ++l) sum += a[l * lda + i] * b[l * ldb + j];
      c[i * ldc + j] = sum + (beta == 0.0 ? 0.0 : beta * c[i * ldc + j]);
    }
  }
}

template <class T>
void transpose(std::int64_t rows, std::int64_t cols, const T* in, T* out) {
  constexpr std::int64_t kBlock = 32;  // 32×32 floats: 4 KiB in, 4 KiB out, both in L1
  parallel_for((rows + kBlock - 1) / kBlock, 4, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r0 = first * kBlock; r0 < std::min(rows, last * kBlock); r0 += kBlock) {
      const std::int64_t height = std::min(kBlock, rows - r0);
      for (std::int64_t c0 = 0; c0 < cols; c0 += kBlock) {
        const std::int64_t width = std::min(kBlock, cols - c0);
        // By way of a small copy, in whole rows and out in whole rows: read in columns, rows that
        // are a power of two apart push each other out of the cache.
        T block[kBlock][kBlock + 1];
        for (std::int64_t r = 0; r < height; ++r) {
          std::copy_n(in + (r0 + r) * cols + c0, width, block[r]);
        }
        for (std::int64_t c = 0; c < width; ++c) {
          T* to = out + (c0 + c) * rows + r0;
          for (std::int64_t r = 0; r < height; ++r) to[r] = block[r][c];
        }
      }
    }
  });
}
template void transpose(std::int64_t, std::int64_t, const float*, float*);
template void transpose(std::int64_t, std::int64_t, const double*, double*);

}  // namespace qkv::kernels
