// What an MPT's tokens see: the past of their own sequence, at once or step by step.
#include "models/tiny_mpt.h"
#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/models/mpt.h"

namespace qkv {
namespace {

using testing::batch_of;
using testing::distance;
using testing::tiny_mpt;

MptBatch part(const MptBatch& batch, std::int64_t begin, std::int64_t end) {
  return {.ids = {batch.ids.begin() + begin, batch.ids.begin() + end},
          .segments = Segments::one(end - begin)};
}

/// All that changes what a token sees or how.
std::vector<Mpt::Config> variants() {
  std::vector<Mpt::Config> all = {tiny_mpt(), tiny_mpt(Mpt::AttnConfig{})};
  all.push_back(tiny_mpt({.kv_n_heads = 1, .qk_ln = true, .clip_qkv = 1.5, .alibi = true}));
  all.push_back(tiny_mpt({.softmax_scale = 0.2, .alibi = true, .alibi_bias_max = 16}));
  all.back().no_bias = false;
  all.back().learned_pos_emb = true;
  all.push_back(tiny_mpt({.rope = true}));
  all.back().learned_pos_emb = false;
  all.push_back(tiny_mpt({.kv_n_heads = 1, .qk_ln = true, .rope = true, .linear = true}));
  all.back().learned_pos_emb = false;
  all.push_back(tiny_mpt({.clip_qkv = 1.5, .linear = true}));
  return all;
}

TEST(Mpt, TokensDoNotSeeTheFutureNorOtherSequences) {
  for (const Mpt::Config& c : variants()) {
    const Mpt m = Mpt::make(1, c);
    MptBatch batch = batch_of({9, 6});
    const Tensor before = m(batch);
    batch.ids[4] = (batch.ids[4] + 1) % 64;
    const Tensor after = m(batch);
    for (std::int64_t t = 0; t < 15; ++t) {
      const bool touched = t >= 4 && t < 9;
      EXPECT_EQ(distance(before.rows(t, t + 1), after.rows(t, t + 1)) > 0, touched) << t;
    }
    EXPECT_EQ(distance(m(part(batch, 9, 15)), after.rows(9, 15)), 0.0);
  }
}

TEST(Mpt, CachedDecodingIsFullDecoding) {
  for (const Mpt::Config& c : variants()) {
    const Mpt m = Mpt::make(1, c);
    const MptBatch batch = batch_of({12, 12});
    const Tensor whole = m(batch);
    MptCache cache(2);
    const auto feed = [&](std::int64_t begin, std::int64_t end) {
      MptBatch step{.segments = Segments({end - begin, end - begin})};
      for (const std::int64_t first : {0, 12}) {
        step.ids.insert(step.ids.end(), batch.ids.begin() + first + begin,
                        batch.ids.begin() + first + end);
      }
      const Tensor y = m.extend(cache, step);
      for (const std::int64_t b : {0, 1}) {
        EXPECT_LT(distance(y.rows(b * (end - begin), (b + 1) * (end - begin)),
                           whole.rows(12 * b + begin, 12 * b + end)),
                  1e-5);
      }
      EXPECT_EQ(cache.length(1), end);
    };
    feed(0, 5);  // the prompt, a few at once, then one by one
    feed(5, 7);
    for (std::int64_t t = 7; t < 12; ++t) feed(t, t + 1);
  }
}

TEST(Mpt, APrefixIsSeenByAllAndKeptInTheCache) {
  const Mpt m = Mpt::make(1, tiny_mpt({.prefix_lm = true, .alibi = true}));
  MptBatch batch = batch_of({9});
  batch.prefix = {1, 1, 1, 1, 0, 0, 0, 0, 0};
  const Tensor whole = m(batch);
  MptBatch prompt = part(batch, 0, 4);
  prompt.prefix = {1, 1, 1, 1};
  MptCache cache(1);
  EXPECT_LT(distance(m.extend(cache, prompt), whole.rows(0, 4)), 1e-5);
  EXPECT_LT(distance(m.extend(cache, part(batch, 4, 9)), whole.rows(4, 9)), 1e-5);
  EXPECT_THROW((void)m.extend(cache, prompt), Error);  // too late for a prefix
  MptBatch causal_only = batch;
  causal_only.prefix.assign(9, 0);
  EXPECT_GT(distance(m(causal_only).rows(0, 1), whole.rows(0, 1)), 1e-3);
}

}  // namespace
}  // namespace qkv
