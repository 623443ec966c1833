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

NormBlock norm_of(Initialiser& init, const Mpt::Config& c) {
  return make_norm(init, c.parts.norm, c.d_model, c.parts.norm_eps, !c.no_bias);
}

FeedForwardBlock make_feed_forward(Initialiser& init, const Mpt::Config& c) {
  const MptParts& p = c.parts;
  const bool bias = has_bias(p.ffn_bias, c.no_bias);
  if (p.ffn_gated) {
    return {GatedFeedForward::make(init, c.d_model, c.ffn_width(), p.ffn_act, 0.0, bias)};
  }
  return {FeedForward::make(init, c.d_model, c.ffn_width(), p.ffn_act, 0.0, bias)};
}

std::vector<Linear*> into(FeedForwardBlock& block) {
  if (auto* gated = std::get_if<GatedFeedForward>(&block.kind)) return {&gated->gate, &gated->up};
  return {&std::get<FeedForward>(block.kind).inner};
}
Linear* out_of(FeedForwardBlock& block) {
  if (auto* gated = std::get_if<GatedFeedForward>(&block.kind)) return &gated->down;
  return &std::get<FeedForward>(block.kind).outer;
}

MptBlock make_block(Initialiser& init, const Mpt::Config& c, std::int64_t layer) {
  MptBlock block;
  block.norm_1 = norm_of(init, c);
  block.attn = MptAttention::shaped(init, c.attention(layer));
  block.norm_2 = norm_of(init, c);
  block.ffn = make_feed_forward(init, c);
  const double branch_end = 1.0 / std::sqrt(2.0 * static_cast<double>(c.n_layers));
  MultiHead& heads = block.attn.heads;
  for (Linear* linear : {&heads.q, &heads.k, &heads.v}) draw_kaiming(init, *linear);
  for (Linear* linear : into(block.ffn)) draw_kaiming(init, *linear);
  for (Linear* linear : {&heads.o, out_of(block.ffn)}) draw_kaiming(init, *linear, branch_end);
  return block;
}

}  // namespace

void MptParts::check() const {
  if (ffn_width < 0) fail("mpt: ffn_width is {}", ffn_width);
  if (!(norm_eps >= 0.0 && norm_eps < 1.0)) fail("mpt: norm_eps is {}", norm_eps);
}

MptAttention::Config Mpt::Config::attention(std::int64_t layer) const {
  MptAttention::Config c{d_model, n_heads, attn_config, no_bias};
  c.parts = {.head_dim = parts.head_dim,
             .qkv_bias = parts.qkv_bias,
             .out_bias = parts.out_bias,
             .rotary = parts.rotary};
  if (layer < std::ssize(parts.windows)) c.parts.window = parts.windows[std::size_t(layer)];
  if (parts.scores_by_layer) c.parts.score_divisor = static_cast<double>(layer + 1);
  return c;
}

void Mpt::Config::check() const {
  const auto positive = [](const char* name, std::int64_t value) {
    if (value <= 0) fail("mpt: {} is {}, must be positive", name, value);
  };
  parts.check();
  attention().check();
  const std::int64_t windows = std::ssize(parts.windows);
  if (windows > 0 && windows != n_layers) {
    fail("mpt: {} windows for {} layers", windows, n_layers);
  }
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
  const std::int64_t d = d_model, f = ffn_width(), into = parts.ffn_gated ? 2 : 1;
  const std::int64_t norm = no_bias || parts.norm == NormKind::rms ? d : 2 * d;
  const std::int64_t dim = attention().head_dim();
  const std::int64_t inner = dim * n_heads, kv = dim * attention().kv_heads();
  std::int64_t block = d * (inner + 2 * kv) + inner * d + (into + 1) * d * f + 2 * norm;
  if (has_bias(parts.qkv_bias, no_bias)) block += inner + 2 * kv;
  if (has_bias(parts.out_bias, no_bias)) block += d;
  if (has_bias(parts.ffn_bias, no_bias)) block += into * f + d;
  if (attn_config.qk_ln) block += (inner + kv) * (no_bias ? 1 : 2);
  return vocab_size * d * (parts.untied ? 2 : 1) + (learned_pos_emb ? max_seq_len * d : 0) +
         n_layers * block + norm;
}

Mpt Mpt::make(Initialiser init, const Config& c) {
  c.check();
  Mpt m;
  m.config = c;
  const double deviation = std::sqrt(2.0 / static_cast<double>(c.d_model));
  m.wte = init.normal({c.vocab_size, c.d_model}, deviation);
  if (c.learned_pos_emb) m.wpe = init.normal({c.max_seq_len, c.d_model}, deviation);
  for (std::int64_t i = 0; i < c.n_layers; ++i) m.blocks.push_back(make_block(init, c, i));
  m.norm_f = norm_of(init, c);
  if (c.parts.untied) m.lm_head = init.normal({c.vocab_size, c.d_model}, deviation);
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
  return cross_entropy(scaled((*this)(batch)), output_matrix(), VocabularyMatrix::table, {},
                       targets, options);
}

Tensor Mpt::logits(const Tensor& hidden) const {
  return qkv::logits(scaled(hidden), output_matrix(), VocabularyMatrix::table, {});
}

}  // namespace qkv
