#include "qkv/kernels/gemm.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <oneapi/dnnl/dnnl.h>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/base/signal_stack.h"

namespace qkv::kernels {
namespace {

/// oneDNN believes the number of threads that OpenMP names, not the one that comes, and leaves out
/// what the missing ones should have computed. So it never gets more than one: while this lives,
/// the calling thread names one. (Inside a parallel region that got a single thread OpenMP names
/// the full number, too.)
class OneThread {
 public:
  OneThread() : outer_(omp_get_max_threads()) {
    if (outer_ != 1) omp_set_num_threads(1);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;
  ~OneThread() {
    if (outer_ != 1) omp_set_num_threads(outer_);
  }

 private:
  int outer_;
};

/// A product of float matrices; `transposed` reads a as [k m].
struct Product {
  bool transposed;
  std::int64_t m, n, k;
  const float* a;
  std::int64_t lda;
  const float* b;
  std::int64_t ldb;
  float beta;
  float* c;
  std::int64_t ldc;
};

/// Rows [row, row + rows), columns [column, column + columns) of the result, on this thread.
void sgemm_piece(const Product& p, std::int64_t row, std::int64_t rows, std::int64_t column,
                 std::int64_t columns) {
  static thread_local const SignalStack signals_elsewhere;
  const OneThread alone;
  const float* a = p.a + row * (p.transposed ? 1 : p.lda);
  const dnnl_status_t status =
      dnnl_sgemm(p.transposed ? 'T' : 'N', 'N', rows, columns, p.k, 1.0f, a, p.lda, p.b + column,
                 p.ldb, p.beta, p.c + row * p.ldc + column, p.ldc);
  if (status != dnnl_success) {
    fail("gemm: oneDNN refused m={} n={} k={} (status {})", rows, columns, p.k,
         static_cast<int>(status));
  }
}

/// [0, size) cut into at most `count` nearly equal pieces that begin at multiples of `unit`; none
/// is of length one (but for size 1), which oneDNN computes in another order.
struct Cut {
  Cut(std::int64_t size_, std::int64_t count, std::int64_t unit) : size(size_) {
    const std::int64_t units = std::max<std::int64_t>(1, size / unit);
    step = (units + count - 1) / count * unit;
    // What is left behind the last whole unit goes with the last piece.
    pieces = std::max<std::int64_t>(1, (units * unit + step - 1) / step);
  }
  std::int64_t begin(std::int64_t i) const { return i * step; }
  std::int64_t end(std::int64_t i) const { return i + 1 == pieces ? size : (i + 1) * step; }

  std::int64_t size, step = 0, pieces = 0;
};

/// The rows and columns of oneDNN's sgemm registers (AVX-512; AVX2's 24 × 4 fit in); where columns
/// are few, parts of a register keep the pieces equal.
constexpr std::int64_t kRowUnit = 8, kColumnUnit = 48, kColumnPart = 16;
/// Multiply-adds below which waking a second thread takes longer than it saves.
constexpr double kAlone = 2e5;

/// Pieces for `team` threads, as square as may be: each packs its rows of a and columns of b, these
/// in whole registers.
std::pair<Cut, Cut> cut(const Product& p, std::int64_t team) {
  const std::int64_t unit = p.n >= 10 * kColumnUnit * team ? kColumnUnit : kColumnPart;
  Cut rows(p.m, 1, kRowUnit), columns(p.n, team, unit);
  const auto packed = [](const Cut& r, const Cut& c) {
    return r.step + (c.step + kColumnUnit - 1) / kColumnUnit * kColumnUnit;
  };
  for (std::int64_t r = 2; r <= team; ++r) {
    const Cut more_rows(p.m, r, kRowUnit), fewer_columns(p.n, team / r, unit);
    const std::int64_t pieces = more_rows.pieces * fewer_columns.pieces;
    const std::int64_t best = rows.pieces * columns.pieces;
    if (pieces > best ||
        (pieces == best && packed(more_rows, fewer_columns) < packed(rows, columns))) {
      rows = more_rows;
      columns = fewer_columns;
    }
  }
  return {rows, columns};
}

/// Any number of rows and columns but one row: in pieces, for as many threads as may help.
void sgemm(const Product& p) {
  const double work =
      static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
  const std::int64_t team = work < kAlone || omp_in_parallel() ? 1 : threads();
  if (team == 1) return sgemm_piece(p, 0, p.m, 0, p.n);
  const std::pair<Cut, Cut> pieces = cut(p, team);
  const Cut &rows = pieces.first, &columns = pieces.second;
  parallel_for(rows.pieces * columns.pieces, 1, [&](std::int64_t i, std::int64_t) {
    const std::int64_t row = rows.begin(i / columns.pieces),
                       column = columns.begin(i % columns.pieces);
    sgemm_piece(p, row, rows.end(i / columns.pieces) - row, column,
                columns.end(i % columns.pieces) - column);
  });
}

/// A lone row takes another kernel inside oneDNN, with other bits: ask for it twice.
void lone_row(const Product& p) {
  thread_local std::vector<float> two_rows;
  two_rows.resize(2 * static_cast<std::size_t>(p.n + p.k));
  float* a2 = two_rows.data();
  float* c2 = a2 + 2 * p.k;
  for (std::int64_t i : {0, 1}) {
    std::copy_n(p.a, p.k, a2 + i * p.k);
    if (p.beta != 0.0f) std::copy_n(p.c, p.n, c2 + i * p.n);
  }
  sgemm({false, 2, p.n, p.k, a2, p.k, p.b, p.ldb, p.beta, c2, p.n});
  std::copy_n(c2, p.n, p.c);
}

void clear(std::int64_t m, std::int64_t n, float beta, float* c, std::int64_t ldc) {
  if (beta != 0.0f) return;
  for (std::int64_t i = 0; i < m; ++i) std::fill_n(c + i * ldc, n, 0.0f);
}

}  // namespace

// A result's bits are those of the whole product on one thread, however it is cut: every sum is
// over all of k and in one order. The exception is what oneDNN 2.6 does with NN for k > 768 that is
// no multiple of 384 and many columns: there the order depends on the number of rows, from about
// 100 on, and tiles of 64 rows counted from the first are the definition.
void gemm_nn(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
             const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc) {
  if (m == 0 || n == 0) return;
  if (k == 0) return clear(m, n, beta, c, ldc);
  constexpr std::int64_t kTile = 64;
  const bool tiled = k > 768 && k % 384 != 0 && n > 512;
  const auto product = [&](std::int64_t first, std::int64_t last) {
    const Product p{false, last - first,    n,  k, a + first * lda, lda, b, ldb,
                    beta,  c + first * ldc, ldc};
    return p.m == 1 ? lone_row(p) : sgemm(p);
  };
  if (tiled && m > kTile) return parallel_for(m, kTile, product);
  product(0, m);
}

void gemm_tn(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
             const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc) {
  if (m == 0 || n == 0) return;
  if (k == 0) return clear(m, n, beta, c, ldc);
  sgemm({true, m, n, k, a, lda, b, ldb, beta, c, ldc});
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
