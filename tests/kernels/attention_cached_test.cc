// Decoding rows against the definition over a plan, and their bits among neighbours.
#include <cstring>
#include <string>

#include "kernels/attention_cases.h"
#include <gtest/gtest.h>

#include "qkv/base/parallel.h"

namespace qkv {
namespace {

using testing::Heads;

struct Decoding {
  Heads n;
  std::vector<float> q, k, v, out, weights;
  std::vector<std::int32_t> table, lengths;
  std::int64_t stride = 0;

  Decoding(Heads h, std::vector<std::int32_t> row_lengths, std::int64_t storage, std::uint64_t seed)
      : n(h), lengths(std::move(row_lengths)) {
    Philox random(seed);
    const auto rows = static_cast<std::int64_t>(lengths.size());
    for (std::int32_t length : lengths) stride = std::max<std::int64_t>(stride, length + 3);
    const auto fill = [&](std::vector<float>& x, std::int64_t count) {
      x.resize(static_cast<std::size_t>(count));
      for (float& value : x) value = static_cast<float>(random.normal());
    };
    fill(q, rows * n.heads * n.dim);
    fill(k, storage * n.kv_heads * n.dim);
    fill(v, storage * n.kv_heads * n.value_dim);
    table.assign(static_cast<std::size_t>(rows * stride), -1'000'000);  // unused: never read
    for (std::int64_t b = 0; b < rows; ++b) {
      for (std::int32_t j = 0; j < lengths[static_cast<std::size_t>(b)]; ++j) {
        table[static_cast<std::size_t>(b * stride + j)] =
            static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(storage)));
      }
    }
  }

  void run(std::int64_t first, std::int64_t rows) {
    const float nan = std::numeric_limits<float>::signaling_NaN();
    out.assign(static_cast<std::size_t>(rows * n.heads * n.value_dim), nan);
    weights.assign(static_cast<std::size_t>(rows * n.heads * stride), nan);
    kernels::AttendCached a{};
    a.rows = rows;
    a.heads = n.heads;
    a.kv_heads = n.kv_heads;
    a.dim = n.dim;
    a.value_dim = n.value_dim;
    a.q = q.data() + first * n.heads * n.dim;
    a.k = k.data();
    a.v = v.data();
    a.table = table.data() + first * stride;
    a.table_stride = stride;
    a.lengths = lengths.data() + first;
    a.scale = 0.3;
    a.out = out.data();
    a.weights = weights.data();
    kernels::attend_cached(a);
  }
};

TEST(AttendCached, EqualsTheFormulaAtEveryWidthAndLength) {
  for (const Heads n : {Heads{1, 1, 1, 1}, Heads{2, 1, 3, 5}, Heads{4, 2, 15, 17},
                        Heads{2, 2, 16, 16}, Heads{4, 4, 32, 32}, Heads{3, 1, 33, 31},
                        Heads{2, 2, 64, 64}, Heads{2, 1, 65, 129}, Heads{1, 1, 128, 48}}) {
    SCOPED_TRACE("D " + std::to_string(n.dim));
    Decoding x(n, {0, 1, 2, 3, 4, 5, 15, 16, 17, 31, 33, 60, 64, 65, 200}, 40, 3);
    const auto rows = static_cast<std::int64_t>(x.lengths.size());
    x.run(0, rows);
    for (std::int64_t b = 0; b < rows; ++b) {
      const std::int64_t length = x.lengths[static_cast<std::size_t>(b)];
      for (std::int64_t h = 0; h < n.heads; ++h) {
        const std::int64_t g = h / (n.heads / n.kv_heads), row = b * n.heads + h;
        std::vector<double> p(static_cast<std::size_t>(length));
        const auto storage = [&](std::int64_t j) {
          return x.table[static_cast<std::size_t>(b * x.stride + j)] * n.kv_heads + g;
        };
        double sum = 0;
        for (std::int64_t j = 0; j < length; ++j) {
          double s = 0;
          for (std::int64_t d = 0; d < n.dim; ++d) {
            s += static_cast<double>(x.q[static_cast<std::size_t>(row * n.dim + d)]) *
                 static_cast<double>(x.k[static_cast<std::size_t>(storage(j) * n.dim + d)]);
          }
          sum += p[static_cast<std::size_t>(j)] = std::exp(0.3 * s);
        }
        for (std::int64_t e = 0; e < n.value_dim; ++e) {
          double want = 0;
          for (std::int64_t j = 0; j < length; ++j) {
            want +=
                p[static_cast<std::size_t>(j)] / sum *
                static_cast<double>(x.v[static_cast<std::size_t>(storage(j) * n.value_dim + e)]);
          }
          ASSERT_NEAR(x.out[static_cast<std::size_t>(row * n.value_dim + e)], want, 5e-6);
        }
        for (std::int64_t j = 0; j < x.stride; ++j) {
          const double want = j < length ? p[static_cast<std::size_t>(j)] / sum : 0.0;
          ASSERT_NEAR(x.weights[static_cast<std::size_t>(row * x.stride + j)], want, 5e-6);
        }
      }
    }
  }
}

TEST(AttendCached, SameBitsForAnyNeighboursAndThreads) {
  std::vector<std::int32_t> lengths;
  for (std::int32_t b = 0; b < 50; ++b) lengths.push_back((b * 7) % 61);
  Decoding x({4, 2, 32, 32}, lengths, 100, 9);
  const int before = threads();
  set_threads(1);
  x.run(0, 50);
  const auto all = x.out;
  set_threads(2);
  x.run(0, 50);
  EXPECT_EQ(std::memcmp(all.data(), x.out.data(), all.size() * sizeof(float)), 0);
  for (std::int64_t b = 0; b < 50; ++b) {
    x.run(b, 1);
    EXPECT_EQ(std::memcmp(all.data() + b * 128, x.out.data(), 128 * sizeof(float)), 0) << b;
  }
  set_threads(before);
}

}  // namespace
}  // namespace qkv
