#include <algorithm>
#include <cmath>
#include <vector>

#include "qkv/base/parallel.h"
#include "qkv/kernels/attention/attend.h"

namespace qkv::kernels {

void attend_cached(const AttendCached& a) {
  const std::int64_t group = a.kv_heads > 0 ? a.heads / a.kv_heads : 1;
  parallel_for(a.rows, 1, [&](std::int64_t first, std::int64_t last) {
    std::vector<float> p;
    for (std::int64_t b = first; b < last; ++b) {
      const std::int32_t* table = a.table + b * a.table_stride;
      const std::int64_t n = a.lengths[b];
      p.resize(static_cast<std::size_t>(n));
      for (std::int64_t h = 0; h < a.heads; ++h) {
        const std::int64_t row = b * a.heads + h, g = h / group;
        float top = -INFINITY;
        for (std::int64_t j = 0; j < n; ++j) {
          const float* k = a.k + (table[j] * a.kv_heads + g) * a.dim;
          float s = 0;
          for (std::int64_t d = 0; d < a.dim; ++d) s += a.q[row * a.dim + d] * k[d];
          p[static_cast<std::size_t>(j)] = s * static_cast<float>(a.scale);
          top = std::max(top, p[static_cast<std::size_t>(j)]);
        }
        float sum = 0;
        for (float& s : p) sum += s = std::exp(s - top);
        float* out = a.out + row * a.value_dim;
        std::fill_n(out, a.value_dim, 0.0f);
        for (std::int64_t j = 0; j < n; ++j) {
          const float w = p[static_cast<std::size_t>(j)] / sum;
          const float* v = a.v + (table[j] * a.kv_heads + g) * a.value_dim;
          for (std::int64_t e = 0; e < a.value_dim; ++e) out[e] += w * v[e];
          if (a.weights) a.weights[row * a.table_stride + j] = w;
        }
        if (a.weights) {
          std::fill(a.weights + row * a.table_stride + n, a.weights + (row + 1) * a.table_stride,
                    0.0f);
        }
      }
    }
  });
}

}  // namespace qkv::kernels
