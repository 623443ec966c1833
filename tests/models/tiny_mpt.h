// What the tests of MPT share.
#pragma once

#include <cstdint>
#include <vector>

#include "qkv/base/random.h"
#include "qkv/models/mpt.h"

namespace qkv::testing {

inline Mpt::Config tiny_mpt(const Mpt::AttnConfig& attention = {.alibi = true}) {
  return {.d_model = 16,
          .n_heads = 2,
          .n_layers = 2,
          .max_seq_len = 32,
          .vocab_size = 64,
          .learned_pos_emb = !attention.alibi,
          .attn_config = attention,
          .no_bias = true};
}

inline MptBatch batch_of(const std::vector<std::int64_t>& lengths, std::uint64_t seed = 1) {
  MptBatch batch{.segments = Segments(lengths)};
  Philox random(seed);
  for (std::int64_t t = 0; t < batch.segments.total(); ++t) {
    batch.ids.push_back(static_cast<std::int32_t>(random.uniform(0, 64)));
  }
  return batch;
}

}  // namespace qkv::testing
