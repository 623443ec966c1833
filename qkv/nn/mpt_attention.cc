#include "qkv/nn/mpt_attention.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "qkv/base/error.h"

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

Mask prefix_keys(const Segments& segments, std::span<const std::uint8_t> flags) {
  const auto flag = [flags](std::int64_t t) { return flags[static_cast<std::size_t>(t)] != 0; };
  auto all = runs(segments, [&](std::int64_t a, std::int64_t b) { return flag(a) == flag(b); });
  all.erase(
      std::remove_if(all.begin(), all.end(), [&](const Interval& run) { return !flag(run.begin); }),
      all.end());
  return Mask::of("prefix", [all](const MaskRow& row, Intervals& keys) {
    append_own(
        row, all, [](const Interval&) { return true; }, keys);
  });
}

Mask same_id(const Segments& segments, std::span<const std::int32_t> given) {
  const std::vector<std::int32_t> ids(given.begin(), given.end());  // the mask outlives the span
  const auto same = [ids](std::int64_t a, std::int64_t b) {
    return ids[static_cast<std::size_t>(a)] == ids[static_cast<std::size_t>(b)];
  };
  const auto all = runs(segments, same);
  return Mask::of("same sequence_id", [all, same](const MaskRow& row, Intervals& keys) {
    append_own(
        row, all, [&](const Interval& run) { return same(run.begin, row.query); }, keys);
  });
}

}  // namespace

std::vector<std::int32_t> MptRows::positions() const {
  std::vector<std::int32_t> positions;
  for (std::int64_t b = 0; b < segments.count(); ++b) {
    for (std::int64_t p = 0; p < segments.length(b); ++p) {
      positions.push_back(static_cast<std::int32_t>(p));
    }
  }
  return positions;
}

void MptRows::check(const Tensor& x) const {
  if (x.dim(0) != segments.total()) {
    fail<ShapeError>("mpt: {} rows in segments of {}", x.dim(0), segments.total());
  }
}

void draw_kaiming(Initialiser& init, Linear& linear, double factor) {
  const auto fan_in = static_cast<double>(linear.weight.dim(0));
  linear.weight = init.normal(linear.weight.shape(), factor * std::sqrt(2.0 / fan_in));
}

namespace {

void check_parts(const MptAttention::Config& c) {
  const MptAttnParts& p = c.parts;
  if (p.window < 0) fail("mpt: a window is {}", p.window);
  if (p.window > 0 && (c.attn_config.prefix_lm || c.attn_config.linear)) {
    fail("mpt: prefix_lm and linear attention look at all that came before; windows do not");
  }
  if (!(p.score_divisor > 0.0)) fail("mpt: scores are divided by {}", p.score_divisor);
  if (p.score_divisor != 1.0 && c.attn_config.linear) {
    fail("mpt: linear attention has no scores that could be divided");
  }
  if (p.rotary.dims < 0 || p.rotary.dims % 2 != 0 || p.rotary.dims > c.head_dim()) {
    fail("mpt: {} dimensions of heads of width {} cannot be turned", p.rotary.dims, c.head_dim());
  }
  const RotaryBands& b = p.rotary.bands;
  for (const double number : {p.rotary.scale, b.factor, b.low, b.high, b.original}) {
    if (!(number > 0.0)) fail("mpt: a number of the rotary positions is {}", number);
  }
  if (!(b.low < b.high)) fail("mpt: rotary bands from {} to {}", b.low, b.high);
}

/// 0: one over the root of a head's width.
double score_scale(const MptAttention::Config& c) {
  const double given = c.attn_config.softmax_scale;
  if (c.parts.score_divisor == 1.0) return given;
  return (given > 0.0 ? given : 1.0 / std::sqrt(static_cast<double>(c.head_dim()))) /
         c.parts.score_divisor;
}

}  // namespace

void MptAttention::Config::check() const {
  const MptAttnConfig& a = attn_config;
  if (d_model <= 0) fail("mpt: d_model is {}, must be positive", d_model);
  if (n_heads <= 0) fail("mpt: n_heads is {}, must be positive", n_heads);
  if (parts.head_dim < 0) fail("mpt: head_dim is {}", parts.head_dim);
  if (parts.head_dim == 0 && d_model % n_heads != 0) {
    fail("mpt: d_model {} is no multiple of n_heads {}", d_model, n_heads);
  }
  if (a.kv_n_heads < 0 || (a.kv_n_heads > 0 && n_heads % a.kv_n_heads != 0)) {
    fail("mpt: n_heads {} is no multiple of kv_n_heads {}", n_heads, a.kv_n_heads);
  }
  if (!(a.attn_pdrop >= 0.0 && a.attn_pdrop < 1.0)) {
    fail("mpt: dropout {} is not in [0, 1)", a.attn_pdrop);
  }
  if (!(a.clip_qkv >= 0.0)) fail("mpt: clip_qkv is {}", a.clip_qkv);
  if (a.rope && head_dim() % 2 != 0) {
    fail("mpt: attn_config.rope wants heads of even width, not {}", head_dim());
  }
  if (!(a.rope_theta > 0.0)) fail("mpt: rope_theta is {}", a.rope_theta);
  if (a.linear && (a.alibi || a.prefix_lm || a.attn_uses_sequence_id || a.softmax_scale != 0.0 ||
                   a.attn_pdrop != 0.0)) {
    fail(
        "mpt: linear attention has no weights that alibi, prefix_lm, attn_uses_sequence_id, "
        "softmax_scale or attn_pdrop could act on");
  }
  check_parts(*this);
}

std::int64_t MptAttention::Config::kv_heads() const {
  return attn_config.kv_n_heads > 0 ? attn_config.kv_n_heads : n_heads;
}

MultiHead::Config MptAttention::Config::multi_head() const {
  const MptAttnConfig& c = attn_config;
  MultiHead::Config a;
  a.width = d_model;
  a.heads = n_heads;
  a.kv_heads = c.kv_n_heads;
  a.head_dim = parts.head_dim;
  a.bias = !no_bias;
  a.dropout = c.attn_pdrop;
  a.clip = c.clip_qkv;
  a.head_norm = c.qk_ln ? HeadNorm::layer : HeadNorm::none;
  a.score = ScaledDot{score_scale(*this)};
  if (c.linear) a.score = FeatureProduct{};
  if (c.rope) {
    a.rotary = parts.rotary;
    a.rotary->base = c.rope_theta;
  }
  if (c.alibi) a.biases.push_back(Alibi{.bias_max = c.alibi_bias_max});
  return a;
}

Mask MptAttention::Config::mask(const MptRows& rows) const {
  const auto check = [&](const char* option, bool on, const char* name, std::size_t size) {
    if (!on && size > 0) fail("mpt: {} is given, but {} is off", name, option);
    if (on && static_cast<std::int64_t>(size) != rows.segments.total()) {
      fail<ShapeError>("mpt: {} wants {} for {} tokens, not {}", option, name,
                       rows.segments.total(), size);
    }
  };
  const MptAttnConfig& a = attn_config;
  check("prefix_lm", a.prefix_lm, "prefix", rows.prefix.size());
  check("attn_uses_sequence_id", a.attn_uses_sequence_id, "sequence_id", rows.sequence_id.size());
  Mask mask = segments(rows.segments) &
              (a.prefix_lm ? causal() | prefix_keys(rows.segments, rows.prefix) : causal());
  return a.attn_uses_sequence_id ? mask & same_id(rows.segments, rows.sequence_id) : mask;
}

MptAttention MptAttention::shaped(Initialiser& init, const Config& c) {
  c.check();
  MptAttention m{c, MultiHead::make(init, c.multi_head())};
  const auto set_bias = [&](BiasOf part, Linear& linear) {
    const bool wanted = has_bias(part, c.no_bias);
    if (wanted == linear.bias.defined()) return;
    linear.bias = wanted ? init.zeros({linear.weight.dim(1)}) : Tensor();
  };
  for (Linear* linear : {&m.heads.q, &m.heads.k, &m.heads.v}) set_bias(c.parts.qkv_bias, *linear);
  set_bias(c.parts.out_bias, m.heads.o);
  return m;
}

MptAttention MptAttention::make(Initialiser& init, const Config& c) {
  MptAttention m = shaped(init, c);
  for (Linear* linear : {&m.heads.q, &m.heads.k, &m.heads.v, &m.heads.o}) {
    draw_kaiming(init, *linear);
  }
  return m;
}

Tensor MptAttention::operator()(const Tensor& x, const MptRows& rows) const {
  rows.check(x);
  return (*this)(x, config.mask(rows), rows.positions());
}

Tensor MptAttention::operator()(const Tensor& x, const Mask& seen,
                                std::span<const std::int32_t> positions) const {
  const MultiHead::Positions at = turned(positions);
  if (!config.attn_config.linear) return heads(x, x, in_window(seen), at);
  // Values first: gradients add up in the opposite order, and trained models have its bits.
  const Tensor v = heads.values(x), k = heads.keys(x, at);
  return heads.joined(attend(heads.queries(x, at), k, v, heads.how(seen)));
}

}  // namespace qkv
