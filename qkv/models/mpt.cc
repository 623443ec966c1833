#include "qkv/models/mpt.h"

#include <cmath>

#include "qkv/attention/observer.h"
#include "qkv/base/error.h"
#include "qkv/ops/embedding.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

/// x, with this share of its gradient.
Tensor scale_gradient(const Tensor& x, double share) {
  Tensor y = x.reshaped(x.shape());
  record(y, {&x}, [x, share](const Tensor& dy) { accumulate(x, scale(dy, share)); });
  return y;
}

MptBlock make_block(Initialiser& init, const Mpt::Config& c) {
  MptBlock block;
  block.norm_1 = LayerNorm::make(init, c.d_model, 1e-5, !c.no_bias);
  block.attn = {c.attention(), MultiHead::make(init, c.attention().multi_head())};
  block.norm_2 = LayerNorm::make(init, c.d_model, 1e-5, !c.no_bias);
  block.ffn = FeedForward::make(init, c.d_model, c.expansion_ratio * c.d_model, Activation::gelu,
                                0.0, !c.no_bias);
  const double branch_end = 1.0 / std::sqrt(2.0 * static_cast<double>(c.n_layers));
  MultiHead& heads = block.attn.heads;
  for (Linear* linear : {&heads.q, &heads.k, &heads.v, &block.ffn.inner}) {
    draw_kaiming(init, *linear);
  }
  for (Linear* linear : {&heads.o, &block.ffn.outer}) draw_kaiming(init, *linear, branch_end);
  return block;
}

}  // namespace

void Mpt::Config::check() const {
  const auto positive = [](const char* name, std::int64_t value) {
    if (value <= 0) fail("mpt: {} is {}, must be positive", name, value);
  };
  attention().check();
  positive("expansion_ratio", expansion_ratio);
  positive("max_seq_len", max_seq_len);
  positive("vocab_size", vocab_size);
  if (n_layers < 0) fail("mpt: n_layers is {}", n_layers);
  for (double p : {resid_pdrop, emb_pdrop}) {
    if (!(p >= 0.0 && p < 1.0)) fail("mpt: dropout {} is not in [0, 1)", p);
  }
  if (!(embedding_fraction > 0.0 && embedding_fraction <= 1.0)) {
    fail("mpt: embedding_fraction {} is not in (0, 1]", embedding_fraction);
  }
  if (!learned_pos_emb && !attn_config.alibi && !attn_config.rope) {
    fail(
        "mpt: without positions; switch on learned_pos_emb, attn_config.alibi or attn_config.rope");
  }
}

std::int64_t Mpt::Config::parameters() const {
  const std::int64_t d = d_model, f = expansion_ratio * d, norm = no_bias ? d : 2 * d;
  const std::int64_t kv = d / n_heads * attention().kv_heads();
  std::int64_t block = d * (d + 2 * kv) + d * d + 2 * d * f + 2 * norm;
  if (!no_bias) block += (d + 2 * kv) + d + f + d;
  if (attn_config.qk_ln) block += (d + kv) * (no_bias ? 1 : 2);
  return vocab_size * d + (learned_pos_emb ? max_seq_len * d : 0) + n_layers * block + norm;
}

Mpt Mpt::make(Initialiser init, const Config& c) {
  c.check();
  Mpt m;
  m.config = c;
  const double deviation = std::sqrt(2.0 / static_cast<double>(c.d_model));
  m.wte = init.normal({c.vocab_size, c.d_model}, deviation);
  if (c.learned_pos_emb) m.wpe = init.normal({c.max_seq_len, c.d_model}, deviation);
  for (std::int64_t i = 0; i < c.n_layers; ++i) m.blocks.push_back(make_block(init, c));
  m.norm_f = LayerNorm::make(init, c.d_model, 1e-5, !c.no_bias);
  return m;
}

Mask Mpt::mask(const MptBatch& batch) const { return config.attention().mask(batch.rows()); }

Tensor Mpt::embedded(const MptBatch& batch, std::span<const std::int32_t> positions) const {
  if (static_cast<std::int64_t>(batch.ids.size()) != batch.segments.total()) {
    fail<ShapeError>("mpt: {} ids in segments of {}", batch.ids.size(), batch.segments.total());
  }
  const bool whole = config.embedding_fraction == 1.0;
  const TableOptions options{.dropout = whole ? config.emb_pdrop : 0.0};
  const Tensor x = wpe.defined() ? embed(batch.ids, wte, options, wpe, positions)
                                 : embed(batch.ids, wte, options);
  return whole ? x : dropout(scale_gradient(x, config.embedding_fraction), config.emb_pdrop);
}

Tensor Mpt::operator()(const MptBatch& batch) const {
  const Mask seen = mask(batch);
  const auto positions = batch.rows().positions();
  ResidualStream stream(embedded(batch, positions), NormPlacement::pre, config.resid_pdrop);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const MptBlock& block = blocks[i];
    const ModuleScope outer("blocks", static_cast<std::int64_t>(i)), at("attn");
    stream.sub_layer(block.norm_1, [&](const Tensor& x) { return block.attn(x, seen, positions); });
    stream.sub_layer(block.norm_2, block.ffn);
  }
  return stream.finish(norm_f);
}

Tensor Mpt::extend(MptCache& cache, const MptBatch& batch) const {
  const NoRecording off;
  const MptRows rows = batch.rows();
  const auto positions = cache.positions(rows.segments);
  const Tensor start = embedded(batch, positions);  // checks the batch before the cache grows
  cache.begin_step(config.attention(), config.n_layers, rows);
  ResidualStream stream(start, NormPlacement::pre, 0.0);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const auto layer = static_cast<std::int64_t>(i);
    const ModuleScope outer("blocks", layer), at("attn");
    stream.sub_layer(blocks[i].norm_1, [&](const Tensor& x) {
      return blocks[i].attn.extend(cache, layer, x, rows, positions);
    });
    stream.sub_layer(blocks[i].norm_2, blocks[i].ffn);
  }
  cache.end_step(rows.segments);
  return stream.finish(norm_f);
}

Tensor Mpt::scaled(const Tensor& hidden) const {
  const double factor = config.logit_scale_inv_sqrt_d_model
                            ? 1.0 / std::sqrt(static_cast<double>(config.d_model))
                            : config.logit_scale;
  return factor == 1.0 ? hidden : scale(hidden, factor);
}

CrossEntropyResult Mpt::loss(const MptBatch& batch, const CrossEntropyOptions& options) const {
  std::vector<std::int32_t> next(batch.ids.size(), options.ignore);
  for (std::int64_t b = 0; b < batch.segments.count(); ++b) {
    for (std::int64_t t = batch.segments.begin(b); t + 1 < batch.segments.end(b); ++t) {
      next[static_cast<std::size_t>(t)] = batch.ids[static_cast<std::size_t>(t) + 1];
    }
  }
  return loss(batch, next, options);
}

CrossEntropyResult Mpt::loss(const MptBatch& batch, std::span<const std::int32_t> targets,
                             const CrossEntropyOptions& options) const {
  return cross_entropy(scaled((*this)(batch)), wte, VocabularyMatrix::table, {}, targets, options);
}

Tensor Mpt::logits(const Tensor& hidden) const {
  return qkv::logits(scaled(hidden), wte, VocabularyMatrix::table, {});
}

}  // namespace qkv
