#include "qkv/models/mpt.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include "qkv/attention/observer.h"
#include "qkv/base/error.h"
#include "qkv/ops/embedding.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

/// Runs of rows for which `same` holds between neighbours, within the sequences.
std::vector<Interval> runs(const Segments& segments,
                           const std::function<bool(std::int64_t, std::int64_t)>& same) {
  std::vector<Interval> found;
  for (std::int64_t b = 0; b < segments.count(); ++b) {
    for (std::int64_t t = segments.begin(b); t < segments.end(b); ++t) {
      if (t == segments.begin(b) || !same(t - 1, t)) found.push_back({t, t});
      found.back().end = t + 1;
    }
  }
  return found;
}

/// Keys of the row's own sequence that lie in one of the sorted `intervals` that `take` accepts.
template <class Take>
void append_own(const MaskRow& row, const std::vector<Interval>& intervals, Take&& take,
                Intervals& keys) {
  auto at = std::lower_bound(
      intervals.begin(), intervals.end(), row.k_begin,
      [](const Interval& interval, std::int64_t key) { return interval.begin < key; });
  for (; at != intervals.end() && at->begin < row.k_begin + row.keys; ++at) {
    if (take(*at)) keys.push_back(*at);
  }
}

Mask prefix_keys(const Segments& segments, const std::vector<std::uint8_t>& flags) {
  const auto flag = [&flags](std::int64_t t) { return flags[static_cast<std::size_t>(t)] != 0; };
  auto all = runs(segments, [&](std::int64_t a, std::int64_t b) { return flag(a) == flag(b); });
  all.erase(
      std::remove_if(all.begin(), all.end(), [&](const Interval& run) { return !flag(run.begin); }),
      all.end());
  return Mask::of("prefix", [all](const MaskRow& row, Intervals& keys) {
    append_own(
        row, all, [](const Interval&) { return true; }, keys);
  });
}

Mask same_id(const Segments& segments, const std::vector<std::int32_t>& ids) {
  const auto id = [](const std::vector<std::int32_t>& of, std::int64_t t) {
    return of[static_cast<std::size_t>(t)];
  };
  const auto all =
      runs(segments, [&](std::int64_t a, std::int64_t b) { return id(ids, a) == id(ids, b); });
  return Mask::of("same sequence_id", [all, ids, id](const MaskRow& row, Intervals& keys) {
    append_own(
        row, all, [&](const Interval& run) { return id(ids, run.begin) == id(ids, row.query); },
        keys);
  });
}

/// x, with this share of its gradient.
Tensor scale_gradient(const Tensor& x, double share) {
  Tensor y = x.reshaped(x.shape());
  record(y, {&x}, [x, share](const Tensor& dy) { accumulate(x, scale(dy, share)); });
  return y;
}

MultiHead::Config attention_config(const Mpt::Config& c) {
  MultiHead::Config a;
  a.width = c.d_model;
  a.heads = c.n_heads;
  a.kv_heads = c.attn_config.kv_n_heads;
  a.bias = !c.no_bias;
  a.dropout = c.attn_config.attn_pdrop;
  a.clip = c.attn_config.clip_qkv;
  a.head_norm = c.attn_config.qk_ln ? HeadNorm::layer : HeadNorm::none;
  a.score = ScaledDot{c.attn_config.softmax_scale};
  if (c.attn_config.linear) a.score = FeatureProduct{};
  if (c.attn_config.rope) a.rotary = RotaryOptions{.base = c.attn_config.rope_theta};
  if (c.attn_config.alibi) a.biases.push_back(Alibi{.bias_max = c.attn_config.alibi_bias_max});
  return a;
}

MptBlock make_block(Initialiser& init, const Mpt::Config& c) {
  MptBlock block;
  block.norm_1 = LayerNorm::make(init, c.d_model, 1e-5, !c.no_bias);
  block.attn = MultiHead::make(init, attention_config(c));
  block.norm_2 = LayerNorm::make(init, c.d_model, 1e-5, !c.no_bias);
  block.ffn = FeedForward::make(init, c.d_model, c.expansion_ratio * c.d_model, Activation::gelu,
                                0.0, !c.no_bias);
  const double branch_end = 1.0 / std::sqrt(2.0 * static_cast<double>(c.n_layers));
  const auto draw = [&](Linear& linear, double factor) {
    const auto fan_in = static_cast<double>(linear.weight.dim(0));
    linear.weight = init.normal(linear.weight.shape(), factor * std::sqrt(2.0 / fan_in));
  };
  for (Linear* linear : {&block.attn.q, &block.attn.k, &block.attn.v, &block.ffn.inner}) {
    draw(*linear, 1.0);
  }
  for (Linear* linear : {&block.attn.o, &block.ffn.outer}) draw(*linear, branch_end);
  return block;
}

std::vector<std::int32_t> positions_from(const Segments& segments,
                                         const std::function<std::int64_t(std::int64_t)>& first) {
  std::vector<std::int32_t> positions;
  for (std::int64_t b = 0; b < segments.count(); ++b) {
    for (std::int64_t p = 0; p < segments.length(b); ++p) {
      positions.push_back(static_cast<std::int32_t>(first(b) + p));
    }
  }
  return positions;
}

}  // namespace

void Mpt::Config::check() const {
  const auto positive = [](const char* name, std::int64_t value) {
    if (value <= 0) fail("mpt: {} is {}, must be positive", name, value);
  };
  positive("d_model", d_model);
  positive("n_heads", n_heads);
  positive("expansion_ratio", expansion_ratio);
  positive("max_seq_len", max_seq_len);
  positive("vocab_size", vocab_size);
  if (n_layers < 0) fail("mpt: n_layers is {}", n_layers);
  if (d_model % n_heads != 0)
    fail("mpt: d_model {} is no multiple of n_heads {}", d_model, n_heads);
  const std::int64_t kv = attn_config.kv_n_heads;
  if (kv < 0 || (kv > 0 && n_heads % kv != 0)) {
    fail("mpt: n_heads {} is no multiple of kv_n_heads {}", n_heads, kv);
  }
  for (double p : {resid_pdrop, emb_pdrop, attn_config.attn_pdrop}) {
    if (!(p >= 0.0 && p < 1.0)) fail("mpt: dropout {} is not in [0, 1)", p);
  }
  if (!(embedding_fraction > 0.0 && embedding_fraction <= 1.0)) {
    fail("mpt: embedding_fraction {} is not in (0, 1]", embedding_fraction);
  }
  if (!(attn_config.clip_qkv >= 0.0)) fail("mpt: clip_qkv is {}", attn_config.clip_qkv);
  if (!learned_pos_emb && !attn_config.alibi && !attn_config.rope) {
    fail(
        "mpt: without positions; switch on learned_pos_emb, attn_config.alibi or attn_config.rope");
  }
  if (attn_config.rope && (d_model / n_heads) % 2 != 0) {
    fail("mpt: attn_config.rope wants heads of even width, not {}", d_model / n_heads);
  }
  if (!(attn_config.rope_theta > 0.0)) fail("mpt: rope_theta is {}", attn_config.rope_theta);
  if (attn_config.linear &&
      (attn_config.alibi || attn_config.prefix_lm || attn_config.attn_uses_sequence_id ||
       attn_config.softmax_scale != 0.0 || attn_config.attn_pdrop != 0.0)) {
    fail(
        "mpt: linear attention has no weights that alibi, prefix_lm, attn_uses_sequence_id, "
        "softmax_scale or attn_pdrop could act on");
  }
}

std::int64_t Mpt::Config::parameters() const {
  const std::int64_t d = d_model, f = expansion_ratio * d, norm = no_bias ? d : 2 * d;
  const std::int64_t kv = attn_config.kv_n_heads > 0 ? d / n_heads * attn_config.kv_n_heads : d;
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

Mask Mpt::mask(const MptBatch& batch) const {
  const auto check = [&](const char* option, bool on, const char* name, std::size_t size) {
    if (!on && size > 0) fail("mpt: {} is given, but {} is off", name, option);
    if (on && size != batch.ids.size()) {
      fail<ShapeError>("mpt: {} wants {} for {} tokens, not {}", option, name, batch.ids.size(),
                       size);
    }
  };
  const AttnConfig& a = config.attn_config;
  check("prefix_lm", a.prefix_lm, "prefix", batch.prefix.size());
  check("attn_uses_sequence_id", a.attn_uses_sequence_id, "sequence_id", batch.sequence_id.size());
  Mask mask = segments(batch.segments) &
              (a.prefix_lm ? causal() | prefix_keys(batch.segments, batch.prefix) : causal());
  return a.attn_uses_sequence_id ? mask & same_id(batch.segments, batch.sequence_id) : mask;
}

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
  const auto positions = positions_from(batch.segments, [](std::int64_t) { return 0; });
  const MultiHead::Positions turned =
      config.attn_config.rope ? MultiHead::Positions(positions) : MultiHead::Positions();
  ResidualStream stream(embedded(batch, positions), NormPlacement::pre, config.resid_pdrop);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const MptBlock& block = blocks[i];
    const ModuleScope outer("blocks", static_cast<std::int64_t>(i)), at("attn");
    stream.sub_layer(block.norm_1, [&](const Tensor& x) {
      if (!config.attn_config.linear) return block.attn(x, x, seen, turned);
      // Values first: gradients add up in the opposite order, and trained models have its bits.
      const Tensor v = block.attn.values(x), k = block.attn.keys(x, turned);
      return block.attn.joined(attend(block.attn.queries(x, turned), k, v, block.attn.how(seen)));
    });
    stream.sub_layer(block.norm_2, block.ffn);
  }
  return stream.finish(norm_f);
}

void MptCache::reorder(std::span<const std::int32_t> parents) {
  std::vector<std::int64_t> lengths;
  for (const std::int32_t parent : parents) {
    if (parent < -1 || parent >= rows()) fail("mpt: parent {} of {} sequences", parent, rows());
    lengths.push_back(parent < 0 ? 0 : length(parent));
  }
  if (keys_) keys_->reorder(parents);
  for (LinearState& layer : sums_) layer.reorder(parents);
  lengths_ = std::move(lengths);
}

Tensor Mpt::attend_cached(std::size_t layer, const Tensor& x, const MptBatch& batch,
                          std::span<const std::int32_t> positions, MptCache& cache) const {
  const MultiHead& attn = blocks[layer].attn;
  const Tensor q = attn.queries(x, positions), k = attn.keys(x, positions), v = attn.values(x);
  const auto l = static_cast<std::int64_t>(layer);
  cache.keys_->append(l, k, v);
  // Within a prefix tokens see what comes after them; it comes first, so nothing else is cached.
  if (!batch.prefix.empty()) return attn.joined(attend(q, k, v, attn.how(mask(batch))));
  return attn.joined(cache.keys_->attend(l, q, attn.how(causal())));
}

Tensor Mpt::attend_summed(std::size_t layer, const Tensor& x, const MptBatch& batch,
                          std::span<const std::int32_t> positions, MptCache& cache) const {
  const MultiHead& attn = blocks[layer].attn;
  const Tensor q = attn.queries(x, positions), k = attn.keys(x, positions), v = attn.values(x);
  const LinearAttention how = linear_form("mpt", attn.how(causal()));
  LinearState& sums = cache.sums_[layer];
  const Segments& fresh = batch.segments;
  if (fresh.total() == fresh.count() && fresh.longest() <= 1) {
    return attn.joined(linear_step(sums, q, k, v, how));
  }
  Tensor out = Tensor::empty(q.shape());
  const auto put = [&](std::int64_t t, const Tensor& y) {
    Tensor to = out.rows(t, t + y.dim(0));
    std::ranges::copy(y.values(), to.values().begin());
  };
  for (std::int64_t b = 0; b < fresh.count(); ++b) {
    const std::int64_t begin = fresh.begin(b), end = fresh.end(b);
    if (begin == end) continue;
    LinearState own = sums.row(b);
    if (cache.length(b) == 0 && end - begin > 1) {  // the prompt at once
      put(begin, linear_attend(q.rows(begin, end), k.rows(begin, end), v.rows(begin, end), how));
      own = linear_state(k.rows(begin, end), v.rows(begin, end), how);
    } else {
      for (std::int64_t t = begin; t < end; ++t) {
        put(t, linear_step(own, q.rows(t, t + 1), k.rows(t, t + 1), v.rows(t, t + 1), how));
      }
    }
    sums.set_row(b, own);
  }
  return attn.joined(out);
}

void Mpt::begin_step(MptCache& cache, const Segments& fresh) const {
  const auto sequences = static_cast<std::int64_t>(cache.lengths_.size());
  const std::int64_t dim = config.d_model / config.n_heads;
  const std::int64_t kv_heads =
      config.attn_config.kv_n_heads > 0 ? config.attn_config.kv_n_heads : config.n_heads;
  if (config.attn_config.linear) {
    if (cache.options_ != CacheOptions{}) {
      fail("mpt: linear attention keeps sums, no cache that has a precision or a window");
    }
    while (cache.sums_.size() < blocks.size()) {
      cache.sums_.push_back(linear_state(sequences, kv_heads, dim, dim));
    }
    return;
  }
  if (!cache.keys_) {
    cache.keys_.emplace(CacheShape{.layers = config.n_layers,
                                   .kv_heads = kv_heads,
                                   .dim = dim,
                                   .type = cache.options_.type,
                                   .window = cache.options_.window},
                        sequences);
  }
  cache.keys_->begin_step(fresh);
}

Tensor Mpt::extend(MptCache& cache, const MptBatch& batch) const {
  const NoRecording off;
  const std::int64_t count = batch.segments.count();
  if (count != static_cast<std::int64_t>(cache.lengths_.size())) {
    fail<ShapeError>("mpt: tokens of {} sequences for a cache of {}", count, cache.lengths_.size());
  }
  if (config.attn_config.attn_uses_sequence_id) {
    fail("mpt: attn_uses_sequence_id is for packed training; a cache has a row for each sequence");
  }
  if (!batch.prefix.empty()) {
    (void)mask(batch);  // checks it
    for (std::int64_t b = 0; b < count; ++b) {
      if (cache.length(b) > 0 && batch.segments.length(b) > 0) {
        fail("mpt: a prefix belongs to the first tokens");
      }
    }
  }
  const auto positions =
      positions_from(batch.segments, [&](std::int64_t b) { return cache.length(b); });
  const MultiHead::Positions turned =
      config.attn_config.rope ? MultiHead::Positions(positions) : MultiHead::Positions();
  const Tensor start = embedded(batch, positions);  // checks the batch before the cache grows
  begin_step(cache, batch.segments);
  ResidualStream stream(start, NormPlacement::pre, 0.0);
  for (std::size_t l = 0; l < blocks.size(); ++l) {
    const ModuleScope outer("blocks", static_cast<std::int64_t>(l)), at("attn");
    stream.sub_layer(blocks[l].norm_1, [&](const Tensor& x) {
      return config.attn_config.linear ? attend_summed(l, x, batch, turned, cache)
                                       : attend_cached(l, x, batch, turned, cache);
    });
    stream.sub_layer(blocks[l].norm_2, blocks[l].ffn);
  }
  for (std::int64_t b = 0; b < count; ++b) {
    cache.lengths_[static_cast<std::size_t>(b)] += batch.segments.length(b);
  }
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
