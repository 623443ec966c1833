// Cached attention against the double definition, its storage types and its bits.
#include <cstring>
#include <string>

#include "kernels/attention_cases.h"
#include "kernels/fixtures.h"
#include <gtest/gtest.h>

#include "qkv/kernels/attention/cached.h"

namespace qkv::kernels {
namespace {

using qkv::testing::Heads;

constexpr std::int64_t kUnseen = 0;  // a stored token full of NaN

/// One side's stored rows, all NaN at first, and the numbers that were put there.
struct Side {
  StoredRows rows;
  std::vector<double> exact;  // [rows dim]
  Side(CacheType type, std::int64_t dim, std::int64_t count)
      : exact(static_cast<std::size_t>(count * dim)),
        memory_(static_cast<std::size_t>(count * stored_width(dim)) * 4 + 64, 0xff),
        scales_(static_cast<std::size_t>(count), std::nanf("")) {
    void* data = memory_.data();
    std::size_t space = memory_.size();
    rows = {type, dim, std::align(64, 1, data, space), scales_.data()};
  }
  void put(std::int64_t row, const std::vector<float>& x) {
    store_row(rows, row, x.data());
    std::copy(x.begin(), x.end(), exact.begin() + row * rows.dim);
  }

 private:
  std::vector<std::uint8_t> memory_;
  std::vector<float> scales_;
};

struct Options {
  CacheType type = CacheType::f32;
  std::vector<std::int64_t> counts;  // query rows of each hypothesis; empty: one each
  bool causal = true;
  double soft_cap = 0.0;
  std::int64_t window = 0;
  bool slopes = false, sinks = false;
};

/// Hypotheses whose keys are drawn from a common storage; only rows that somebody sees hold
/// numbers.
struct Decoding {
  Heads n;
  Options options;
  std::vector<std::int32_t> lengths, table;
  std::vector<std::int64_t> first{0};
  std::int64_t stride = 0;
  Side k, v;
  std::vector<float> q, slopes, sinks, out, weights;

  Decoding(Heads h, std::vector<std::int32_t> keys, Options how = {}, std::uint64_t seed = 3,
           std::int64_t tokens = 90)
      : n(h),
        options(std::move(how)),
        lengths(std::move(keys)),
        k(options.type, n.dim, (tokens + kCachePage) * n.kv_heads),
        v(options.type, n.value_dim, (tokens + kCachePage) * n.kv_heads) {
    Philox random(seed);
    const auto draw = [&](std::int64_t count) {
      std::vector<float> x(static_cast<std::size_t>(count));
      for (float& value : x) value = static_cast<float>(random.normal());
      return x;
    };
    for (std::int64_t token = kUnseen + 1; token < tokens; ++token) {
      for (std::int64_t g = 0; g < n.kv_heads; ++g) {
        const std::int64_t row = stored_row(token, n.kv_heads) + g * kCachePage;
        k.put(row, draw(n.dim));
        v.put(row, draw(n.value_dim));
      }
    }
    for (std::int32_t length : lengths) stride = std::max<std::int64_t>(stride, length + 3);
    table.assign(lengths.size() * static_cast<std::size_t>(stride), -1'000'000);  // never read
    for (std::size_t b = 0; b < lengths.size(); ++b) {
      first.push_back(first.back() + (options.counts.empty() ? 1 : options.counts[b]));
      const std::int64_t count = options.causal ? first[b + 1] - first[b] : 1;
      for (std::int32_t j = 0; j < lengths[b]; ++j) {
        const bool behind = options.window > 0 && j < lengths[b] - count + 1 - options.window;
        const auto token = 1 + random.below(static_cast<std::uint64_t>(tokens - 1));
        table[b * static_cast<std::size_t>(stride) + static_cast<std::size_t>(j)] =
            static_cast<std::int32_t>(
                stored_row(behind ? kUnseen : static_cast<std::int64_t>(token), n.kv_heads));
      }
    }
    q = draw(first.back() * n.heads * n.dim);
    slopes = draw(n.heads);
    for (float& x : slopes) x = 0.05f * std::abs(x);
    sinks = draw(n.heads);
  }

  template <class T>
  AttendCached<T> call(std::int64_t b, std::int64_t rows, const T* queries, std::vector<T>& to,
                       std::vector<T>* seen) const {
    const std::int64_t total = first[static_cast<std::size_t>(b + rows)];
    to.assign(static_cast<std::size_t>(total * n.heads * n.value_dim), T(-7));
    if (seen) seen->assign(static_cast<std::size_t>(total * n.heads * stride), T(-7));
    AttendCached<T> a{};
    a.rows = rows;
    a.heads = n.heads;
    a.kv_heads = n.kv_heads;
    a.q = queries;
    a.first = first.data() + b;
    a.causal = options.causal;
    a.k = k.rows;
    a.v = v.rows;
    a.table = table.data() + b * stride;
    a.table_stride = stride;
    a.lengths = lengths.data() + b;
    a.scale = 0.3;
    a.soft_cap = options.soft_cap;
    a.window = options.window;
    a.slopes = options.slopes ? slopes.data() : nullptr;
    a.sinks = options.sinks ? sinks.data() : nullptr;
    a.out = to.data();
    a.weights = seen ? seen->data() : nullptr;
    return a;
  }
  void run(std::int64_t b, std::int64_t rows, bool with_weights = false) {
    attend_cached(call(b, rows, q.data(), out, with_weights ? &weights : nullptr));
  }
  void run() { run(0, static_cast<std::int64_t>(lengths.size())); }

  void expect_definition(double tolerance) {
    const auto rows = static_cast<std::int64_t>(lengths.size());
    const std::vector<double> wide(q.begin(), q.end());
    std::vector<double> want, want_weights;
    definition::attend_cached(call(0, rows, wide.data(), want, &want_weights));
    run(0, rows, true);
    EXPECT_TRUE(close(out, want, tolerance));
    EXPECT_TRUE(close(weights, want_weights, tolerance));
    const std::vector<float> with = out;
    run();
    EXPECT_TRUE(same_bits(with, out)) << "asking for the weights changes the result";
  }
  /// The results of query row `row` of hypothesis b in the last run.
  std::vector<float> result(std::int64_t row) const {
    const std::int64_t width = n.heads * n.value_dim;
    return {out.begin() + row * width, out.begin() + (row + 1) * width};
  }
};

const std::vector<std::int32_t> kLengths = {0,  1,  2,   3,   4,   5,   15,  16, 17,
                                            31, 60, 255, 256, 257, 300, 511, 513};
const std::vector<CacheType> kTypes = {CacheType::f32, CacheType::bf16, CacheType::int8};

TEST(AttendCached, EqualsTheDefinitionAtEveryWidthAndLength) {
  on_every_target([] {
    for (const Heads n :
         {Heads{1, 1, 1, 1}, Heads{2, 1, 3, 5}, Heads{4, 2, 7, 17}, Heads{2, 2, 16, 16},
          Heads{5, 1, 17, 64}, Heads{3, 3, 31, 1}, Heads{3, 1, 33, 31}, Heads{8, 2, 64, 64},
          Heads{6, 2, 65, 129}, Heads{1, 1, 128, 48}, Heads{7, 1, 129, 128}}) {
      for (const CacheType type : kTypes) {
        SCOPED_TRACE("D " + std::to_string(n.dim) + " type " +
                     std::to_string(static_cast<int>(type)));
        Decoding(n, kLengths, {.type = type}).expect_definition(1e-5);
      }
    }
  });
}

TEST(AttendCached, SeveralNewTokensSeeEachOtherCausally) {
  // Ragged counts, more new tokens than keys, chunk boundaries −1, 0, +1, above 64 rows a key head.
  const std::vector<std::int32_t> keys = {3, 0, 5, 20, 255, 256, 257, 258, 400};
  const std::vector<std::int64_t> counts = {5, 2, 0, 7, 2, 3, 4, 1, 40};
  for (const CacheType type : kTypes) {
    Decoding({4, 2, 17, 33}, keys, {.type = type, .counts = counts}).expect_definition(1e-5);
  }
  Decoding({4, 2, 17, 33}, keys, {.counts = counts, .window = 9}).expect_definition(1e-5);
  Decoding({4, 2, 17, 33}, keys, {.counts = counts, .causal = false}).expect_definition(1e-5);
}

TEST(AttendCached, EveryOptionFollowsTheDefinition) {
  on_every_target([] {
    for (const std::int64_t window : {0, 1, 5, 100, 256, 300}) {
      for (int bits = 0; bits < 8; ++bits) {
        Options options;
        options.counts = {1, 2, 5, 1, 3, 1};
        options.window = window;
        options.soft_cap = bits & 1 ? 1.5 : 0.0;
        options.slopes = (bits & 2) != 0;
        options.sinks = (bits & 4) != 0;
        options.type = bits % 3 == 0 ? CacheType::int8 : CacheType::f32;
        SCOPED_TRACE("window " + std::to_string(window) + " options " + std::to_string(bits));
        Decoding({4, 2, 20, 24}, {0, 3, 40, 256, 300, 520}, options).expect_definition(1e-5);
      }
    }
  });
}

TEST(AttendCached, SameBitsForAnyNeighboursAndThreads) {
  std::vector<std::int32_t> lengths;
  for (std::int32_t b = 0; b < 40; ++b) lengths.push_back((b * 97) % 611);
  for (const Heads n : {Heads{8, 2, 32, 32}, Heads{3, 3, 64, 65}}) {
    Decoding x(n, lengths, {}, 9);
    const std::vector<float> all = for_any_threads([&] {
      x.run();
      return x.out;
    });
    const std::int64_t width = n.heads * n.value_dim;
    for (std::int64_t b = 0; b < 40; ++b) {
      x.run(b, 1);  // written at its place in the whole
      EXPECT_EQ(std::memcmp(all.data() + b * width, x.out.data() + b * width,
                            static_cast<std::size_t>(width) * sizeof(float)),
                0)
          << b;
    }
  }
}

TEST(AttendCached, ARowAmongNewTokensHasTheBitsItHasAlone) {
  for (const std::int64_t count : {2, 5, 40}) {  // 40·3 rows: chunks are not tasks of their own
    for (const std::int64_t window : {0, 70}) {
      for (const CacheType type : kTypes) {
        Options options;
        options.type = type;
        options.window = window;
        options.counts = {count};
        options.slopes = true;
        Decoding x({6, 2, 48, 32}, {530}, options);
        x.run();
        const Decoding together = x;
        const std::int64_t per_row = x.n.heads * x.n.dim;
        for (std::int64_t t = 0; t < count; ++t) {
          x.first = {0, 1};
          x.lengths = {static_cast<std::int32_t>(530 - count + t + 1)};
          std::copy_n(together.q.begin() + t * per_row, per_row, x.q.begin());
          x.run();
          ASSERT_TRUE(same_bits(x.result(0), together.result(t)))
              << "row " << t << " of " << count << ", window " << window;
        }
      }
    }
  }
}

TEST(AttendCached, NanReachesOnlyRowsThatSeeIt) {
  for (const std::int64_t heads : {1, 4}) {
    Decoding x({heads, 1, 16, 16}, {300}, {.counts = {3}, .window = 280});
    const std::vector<float> nan(16, std::nanf(""));
    const auto poison = [&](std::size_t key) {
      x.table[key] = static_cast<std::int32_t>(stored_row(kUnseen, 1));
    };
    poison(299);  // the last new token: seen by itself alone
    x.run();
    const auto bad = [&](std::int64_t row) {
      std::int64_t count = 0;
      for (const float value : x.result(row)) count += std::isnan(value);
      return count;
    };
    EXPECT_EQ(bad(0), 0);
    EXPECT_EQ(bad(1), 0);
    EXPECT_EQ(bad(2), heads * 16);
    x.table[299] = x.table[298];
    poison(18);  // row 0 sees [18, 298)
    x.run();
    EXPECT_EQ(bad(0), heads * 16);
    EXPECT_EQ(bad(1), 0);
    EXPECT_EQ(bad(2), 0);
  }
}

TEST(AttendCached, ExtremeScoresStayFinite) {
  // A maximum in the last chunk far above the others, and one in the first.
  for (const std::int64_t large : {0, 599}) {
    Decoding x({1, 1, 16, 16}, {600});
    const std::int64_t row = 80;
    x.k.put(row, std::vector<float>(16, 300.0f));
    x.v.put(row, std::vector<float>(16, 5.0f));
    for (float& value : x.q) value = 200.0f;
    for (std::int32_t& at : x.table) at = at == row ? row + 1 : at;
    x.table[static_cast<std::size_t>(large)] = row;
    x.run();
    for (const float value : x.out) EXPECT_FLOAT_EQ(value, 5.0f);
  }
}

TEST(AttendCached, StorageErrorsStayBelowTheirBound) {
  for (const CacheType type : {CacheType::bf16, CacheType::int8}) {
    Decoding x({4, 2, 40, 24}, {1, 17, 100, 300}, {.type = type});
    Decoding exact({4, 2, 40, 24}, {1, 17, 100, 300});  // the same numbers in f32
    ASSERT_EQ(x.k.exact, exact.k.exact);
    const std::vector<double> wide(x.q.begin(), x.q.end());
    std::vector<double> want, p;
    definition::attend_cached(exact.call(0, 4, wide.data(), want, &p));
    x.run();
    const auto error = [&](const Side& side, std::int64_t row, std::int64_t i) {
      const double* r = side.exact.data() + row * side.rows.dim;
      if (type == CacheType::bf16) return std::ldexp(std::abs(r[i]), -8);
      double most = 0;
      for (std::int64_t e = 0; e < side.rows.dim; ++e) most = std::max(most, std::abs(r[e]));
      return most / 254 * (1 + std::ldexp(1.0, -13));
    };
    bool moved = false;
    for (std::int64_t b = 0; b < 4; ++b) {
      for (std::int64_t h = 0; h < 4; ++h) {
        const std::int64_t at = b * 4 + h;
        const std::int32_t length = x.lengths[static_cast<std::size_t>(b)];
        const auto stored = [&](std::int64_t j) {
          return x.table[static_cast<std::size_t>(b * x.stride + j)] + h / 2 * kCachePage;
        };
        double most = 0;
        for (std::int64_t j = 0; j < length; ++j) {
          double d = 0;
          for (std::int64_t i = 0; i < 40; ++i) {
            const double e = error(x.k, stored(j), i);
            EXPECT_LE(std::abs(stored_element(x.k.rows, stored(j), i) -
                               x.k.exact[static_cast<std::size_t>(stored(j) * 40 + i)]),
                      e);
            d += 0.3 * std::abs(wide[static_cast<std::size_t>(at * 40 + i)]) * e;
          }
          most = std::max(most, d);
        }
        for (std::int64_t e = 0; e < 24; ++e) {
          double bound = 1e-5;  // of the fp32 sums
          for (std::int64_t j = 0; j < length; ++j) {
            const double weight = p[static_cast<std::size_t>(at * x.stride + j)];
            const double v = x.v.exact[static_cast<std::size_t>(stored(j) * 24 + e)];
            const double ev = error(x.v, stored(j), e);
            bound += weight * (std::expm1(2 * most) * (std::abs(v) + ev) + ev);
          }
          const auto i = static_cast<std::size_t>(at * 24 + e);
          EXPECT_LE(std::abs(static_cast<double>(x.out[i]) - want[i]), bound);
          moved = moved || std::abs(static_cast<double>(x.out[i]) - want[i]) > 1e-4;
        }
      }
    }
    EXPECT_TRUE(moved) << "nothing was rounded";
  }
}

TEST(StoreRow, Bf16RoundsToNearestEvenAndKeepsNan) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  // 1 + 2⁻⁸ lies half-way between 1 and 1 + 2⁻⁷; 1 + 3·2⁻⁸ between 1 + 2⁻⁷ and 1 + 2⁻⁶.
  const std::vector<float> x = {1.00390625f, 1.01171875f, 1.00390637f, -0.0f,
                                inf,         -inf,        3.4e38f,     1e-45f};
  Side side(CacheType::bf16, 9, 1);
  std::vector<float> row = x;
  row.push_back(nan);
  side.put(0, row);
  const std::vector<double> want = {1.0,      1.015625,  1.0078125, -0.0,
                                    HUGE_VAL, -HUGE_VAL, HUGE_VAL,  0.0};
  for (std::size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(stored_element(side.rows, 0, static_cast<std::int64_t>(i)), want[i]) << i;
  }
  EXPECT_TRUE(std::isnan(stored_element(side.rows, 0, 8)));
}

TEST(StoreRow, Int8KeepsTheScaleAndPoisonsWhatIsNotFinite) {
  Side side(CacheType::int8, 3, 4);
  side.put(0, {0.0f, 0.0f, 0.0f});
  side.put(1, {1.0f, -2.0f, 0.5f});
  side.put(2, {1.0f, std::nanf(""), 0.0f});
  side.put(3, {1.0f, std::numeric_limits<float>::infinity(), 0.0f});
  EXPECT_EQ(stored_element(side.rows, 0, 1), 0.0);
  EXPECT_FLOAT_EQ(static_cast<float>(stored_element(side.rows, 1, 1)), -2.0f);
  for (const std::int64_t row : {2, 3}) {
    for (std::int64_t i = 0; i < 3; ++i) {
      EXPECT_TRUE(std::isnan(stored_element(side.rows, row, i)));
    }
  }
}

TEST(StoredRow, IsFoundAgain) {
  for (const std::int64_t heads : {1, 2, 8}) {
    for (std::int64_t token = 0; token < 100; ++token) {
      EXPECT_EQ(stored_token(stored_row(token, heads), heads), token);
    }
  }
}

}  // namespace
}  // namespace qkv::kernels
