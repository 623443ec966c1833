// The attention of MPT (MosaicML llm-foundry v0.1.1) over packed rows, by itself: grouped heads,
// clipped and normed projections, ALiBi or rotary positions, prefixes, packed sequences that do not
// see each other, and linear attention in place of the softmax (qkv/models/mpt.h says what is added
// and left out). Options carry llm-foundry's names.
//
//   Initialiser init(1);
//   const auto attn = MptAttention::make(init, {.d_model = 64, .n_heads = 4,
//                                               .attn_config = {.alibi = true}});
//   const Tensor y = attn(x, {.segments = segments});           // all tokens at once
//   MptCache cache(segments.count());
//   const Tensor z = attn.extend(cache, next, {.segments = fresh});  // those that come after
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "qkv/attention/cache.h"
#include "qkv/attention/linear.h"
#include "qkv/nn/multi_head.h"
#include "qkv/tensor/segments.h"

namespace qkv {

struct MptAttnConfig {
  std::int64_t kv_n_heads = 0;  // 0: n_heads; 1: multi-query (attn_type multiquery_attention)
  double attn_pdrop = 0.0;
  bool qk_ln = false;                  // over the whole projection, not over each head
  double clip_qkv = 0.0;               // q, k and v within ±clip_qkv, before qk_ln; 0: not
  double softmax_scale = 0.0;          // 0: 1/√(d_model / n_heads)
  bool prefix_lm = false;              // causal, but the tokens of the prefix are seen by all
  bool attn_uses_sequence_id = false;  // tokens see those with the same sequence_id only
  bool alibi = false;
  double alibi_bias_max = 8.0;
  bool rope = false;  // queries and keys turned by their positions (rope_impl "hf": halves)
  double rope_theta = 10000.0;
  bool linear = false;  // attn_type "linear_attention": φ(q)·φ(k) in place of exp(q·k)
};

/// Whether a part has biases: as no_bias says, or of its own.
enum class BiasOf : std::uint8_t { model, no, yes };
constexpr std::array<std::string_view, 3> spelling(BiasOf) { return {"model", "no", "yes"}; }
constexpr bool has_bias(BiasOf part, bool no_bias) {
  return part == BiasOf::model ? !no_bias : part == BiasOf::yes;
}

/// What the attention of other decoders has in MPT's place; the defaults are MPT's.
struct MptAttnParts {
  std::int64_t head_dim = 0;  // D; 0: d_model / n_heads
  BiasOf qkv_bias = BiasOf::model, out_bias = BiasOf::model;
  std::int64_t window = 0;     // > 0: tokens look so many back, themselves included
  double score_divisor = 1.0;  // of scores that softmax_scale or the head's width has scaled
  RotaryOptions rotary = {};   // but the base, which is rope_theta
};

/// The rows of a packed batch, and what is known of them. The spans are only looked at.
struct MptRows {
  Segments segments;
  std::span<const std::uint8_t> prefix = {};       // [T], with prefix_lm: 1 where all may look
  std::span<const std::int32_t> sequence_id = {};  // [T], with attn_uses_sequence_id

  /// 0, 1, 2 … within each sequence: [T].
  std::vector<std::int32_t> positions() const;
  /// Throws unless x has these rows.
  void check(const Tensor& x) const;
};

class MptCache;

struct MptAttention {
  struct Config {
    std::int64_t d_model = 2048;
    std::int64_t n_heads = 16;
    MptAttnConfig attn_config = {};
    bool no_bias = false;  // nowhere, not even in the norms of qk_ln
    MptAttnParts parts = {};

    /// Throws with the option's name when a value makes no attention.
    void check() const;
    std::int64_t kv_heads() const;
    std::int64_t head_dim() const {
      return parts.head_dim > 0 ? parts.head_dim : d_model / n_heads;
    }
    MultiHead::Config multi_head() const;
    /// Who sees whom: the sequence, causal or prefix, and the same sequence_id; a window comes on
    /// top. Throws where
    /// prefix or sequence_id are given without their option, or not for each row.
    Mask mask(const MptRows& rows) const;
  };
  Config config;
  MultiHead heads;

  /// The heads as they are to be, before their weights are drawn as MPT's are.
  static MptAttention shaped(Initialiser& init, const Config& config);
  /// Kaiming-normal matrices (q, k and v each by themselves), biases 0.
  static MptAttention make(Initialiser& init, const Config& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    MultiHead::each(m.heads, visit);
  }

  /// x [T C] -> [T C].
  Tensor operator()(const Tensor& x, const MptRows& rows) const;
  /// The same for a stack of layers, which makes the mask and the positions of its rows once.
  Tensor operator()(const Tensor& x, const Mask& seen,
                    std::span<const std::int32_t> positions) const;

  /// More tokens, rows.segments of them for every sequence of the cache (none allowed), as the
  /// whole would give them: x [T C] -> [T C]. Where there is a prefix, all sequences that get
  /// tokens must be at their beginning; sequence_id is for packed training and refused. Not
  /// recorded.
  Tensor extend(MptCache& cache, const Tensor& x, const MptRows& rows) const;
  /// One layer of a step that the cache has begun, for stacks: see MptCache::begin_step().
  Tensor extend(MptCache& cache, std::int64_t layer, const Tensor& x, const MptRows& rows,
                std::span<const std::int32_t> positions) const;

 private:
  MultiHead::Positions turned(std::span<const std::int32_t> positions) const {
    return config.attn_config.rope ? positions : MultiHead::Positions();
  }
  Mask in_window(const Mask& mask) const {
    return config.parts.window > 0 ? mask & window(config.parts.window) : mask;
  }
  Tensor summed(MptCache& cache, std::int64_t layer, const Tensor& q, const Tensor& k,
                const Tensor& v, const Segments& fresh) const;
};

/// N(0, 2 / fan_in) times `factor`: how MPT draws its matrices.
void draw_kaiming(Initialiser& init, Linear& linear, double factor = 1.0);

/// Keys and values of the tokens that went in so far, of all layers, or their sums with linear
/// attention. A stack takes a step of all its layers like this:
///
///   const auto positions = cache.positions(rows.segments);
///   cache.begin_step(config, layers, rows);
///   for each layer l:  y = attention[l].extend(cache, l, x, rows, positions);
///   cache.end_step(rows.segments);
class MptCache {
 public:
  /// Precision and window are those of keys and values; sums have neither (begin_step throws).
  explicit MptCache(std::int64_t sequences = 1, const CacheOptions& options = {})
      : options_(options), lengths_(static_cast<std::size_t>(sequences)) {}
  std::int64_t rows() const { return static_cast<std::int64_t>(lengths_.size()); }
  /// Tokens of sequence b.
  std::int64_t length(std::int64_t b) const { return lengths_[static_cast<std::size_t>(b)]; }
  /// Sequence b goes on from parents[b], or from nothing when it is −1. There may be more or fewer
  /// of them than before.
  void reorder(std::span<const std::int32_t> parents);

  /// Where more tokens stand in their sequences; throws when those are not the cache's.
  std::vector<std::int32_t> positions(const Segments& fresh) const;
  /// Makes room for the rows in all layers. Throws before anything has changed.
  void begin_step(const MptAttention::Config& config, std::int64_t layers, const MptRows& rows);
  void end_step(const Segments& fresh);

 private:
  friend struct MptAttention;
  void check_count(const Segments& fresh) const;

  CacheOptions options_;
  std::vector<std::int64_t> lengths_;
  std::optional<KvCache> keys_;    // softmax
  std::vector<LinearState> sums_;  // [layers], linear attention
};

}  // namespace qkv
