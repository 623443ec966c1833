// MPT with linear attention; that its cache is its whole pass is in mpt_test.cc.
#include <cmath>

#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/models/mpt.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/embedding.h"

namespace qkv {
namespace {

using testing::distance;

// Katharopoulos et al. 2020, equation 9, from the products that the block makes.
TEST(Mpt, LinearAttentionIsItsEquation) {
  const Mpt m = Mpt::make(1, {.d_model = 16,
                              .n_heads = 2,
                              .n_layers = 1,
                              .vocab_size = 64,
                              .learned_pos_emb = false,
                              .attn_config = {.rope = true, .linear = true},
                              .no_bias = true});
  const MptBatch batch{.ids = {3, 14, 15, 9, 26, 53}, .segments = Segments::one(6)};
  const MultiHead& attn = m.blocks[0].attn.heads;
  const std::vector<std::int32_t> positions = {0, 1, 2, 3, 4, 5};
  const Tensor x = embed(batch.ids, m.wte);
  const Tensor normed = m.blocks[0].norm_1(x);
  const Tensor q = attn.queries(normed, positions), k = attn.keys(normed, positions);
  const Tensor v = attn.values(normed);
  const auto phi = [](float value) {
    const auto z = static_cast<double>(value);
    return z > 0 ? z + 1 : std::exp(z);
  };
  Tensor heads = Tensor::empty(q.shape());
  for (std::int64_t i = 0; i < 6; ++i) {
    for (std::int64_t h = 0; h < 2; ++h) {
      std::vector<double> sum(8);
      double weights = 0;
      for (std::int64_t j = 0; j <= i; ++j) {
        double weight = 0;
        for (std::int64_t d = 0; d < 8; ++d) {
          weight += phi(q.data()[(i * 2 + h) * 8 + d]) * phi(k.data()[(j * 2 + h) * 8 + d]);
        }
        weights += weight;
        for (std::size_t d = 0; d < 8; ++d) {
          sum[d] += weight * double(v.data()[static_cast<std::size_t>((j * 2 + h) * 8) + d]);
        }
      }
      for (std::size_t d = 0; d < 8; ++d) {
        heads.data()[static_cast<std::size_t>((i * 2 + h) * 8) + d] =
            static_cast<float>(sum[d] / (weights + 1e-6));
      }
    }
  }
  const Tensor y = add(x, attn.joined(heads));
  const Tensor whole = m.norm_f(add(y, m.blocks[0].ffn(m.blocks[0].norm_2(y))));
  EXPECT_LT(distance(m(batch), whole), 1e-4);
}

}  // namespace
}  // namespace qkv
