// MPT (MosaicML llm-foundry v0.1.1): the decoder-only language model with ALiBi, optional clipping
// and norming of queries and keys, and one matrix for embedding and output. Options and weights
// carry llm-foundry's names (also those of the published Hugging Face checkpoints).
//
// Left out: `attn_impl`, a choice of kernels there, all one here; norm_type "rmsnorm", which in
// v0.1.1 multiplies by the root mean square instead of dividing by it. Added: rotary positions
// under the names of later versions, linear attention (Katharopoulos et al. 2020), whose cache is a
// state of constant size, and what other decoders have in place of MPT's parts: GPT-2, GPT-Neo and
// Llama are this network with other MptParts.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "qkv/base/options.h"
#include "qkv/nn/feed_forward.h"
#include "qkv/nn/mpt_attention.h"
#include "qkv/nn/norm_block.h"
#include "qkv/nn/residual.h"
#include "qkv/nn/state_dict.h"
#include "qkv/ops/loss.h"
#include "qkv/tensor/segments.h"

namespace qkv {

/// A packed batch of token sequences.
struct MptBatch {
  std::vector<std::int32_t> ids;  // [T]
  Segments segments;
  std::vector<std::uint8_t> prefix = {};       // [T], with prefix_lm: 1 where all may look
  std::vector<std::int32_t> sequence_id = {};  // [T], with attn_uses_sequence_id

  /// What attention looks at.
  MptRows rows() const { return {segments, prefix, sequence_id}; }
};

struct MptBlock {
  NormBlock norm_1, norm_2;
  MptAttention attn;
  FeedForwardBlock ffn;

  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("norm_1", m.norm_1);
    visit("attn", m.attn);
    visit("norm_2", m.norm_2);
    visit("ffn", m.ffn);
  }
};

/// What a decoder may have that MPT has not; the defaults are MPT's.
struct MptParts {
  NormKind norm = NormKind::layer;
  double norm_eps = 1e-5;
  std::int64_t head_dim = 0;   // D; 0: d_model / n_heads
  std::int64_t ffn_width = 0;  // F; 0: expansion_ratio · d_model
  Activation ffn_act = Activation::gelu;
  bool ffn_gated = false;  // W_down(act(W_gate x) ⊙ W_up x)
  BiasOf qkv_bias = BiasOf::model, out_bias = BiasOf::model, ffn_bias = BiasOf::model;
  bool untied = false;           // an output matrix of its own
  bool scores_by_layer = false;  // scores of layer l, from 0, over l + 1
  /// How many tokens each layer's tokens look back at, themselves included, 0: all; empty: all.
  std::vector<std::int64_t> windows = {};
  RotaryOptions rotary = {};  // but the base, which is rope_theta

  template <class Self, class Visit>
  static void each(Self& p, Visit&& visit) {
    visit({"norm"}, p.norm);
    visit({"norm_eps"}, p.norm_eps);
    visit({"head_dim"}, p.head_dim);
    visit({"ffn_width"}, p.ffn_width);
    visit({"ffn_act"}, p.ffn_act);
    visit({"ffn_gated"}, p.ffn_gated);
    visit({"qkv_bias"}, p.qkv_bias);
    visit({"out_bias"}, p.out_bias);
    visit({"ffn_bias"}, p.ffn_bias);
    visit({"untied"}, p.untied);
    visit({"scores_by_layer"}, p.scores_by_layer);
    visit({"windows"}, p.windows);
    visit({"rope_dims"}, p.rotary.dims);
    visit({"rope_interleaved"}, p.rotary.interleaved);
    visit({"rope_scale"}, p.rotary.scale);
    visit({"rope_slow_factor"}, p.rotary.bands.factor);
    visit({"rope_slow_below"}, p.rotary.bands.low);
    visit({"rope_same_above"}, p.rotary.bands.high);
    visit({"rope_original"}, p.rotary.bands.original);
  }
  /// Of what a configuration file says; Mpt::Config::check() sees the rest.
  void check() const;
};

struct Mpt {
  using AttnConfig = MptAttnConfig;
  struct Config {
    std::int64_t d_model = 2048;
    std::int64_t n_heads = 16;
    std::int64_t n_layers = 24;
    std::int64_t expansion_ratio = 4;
    std::int64_t max_seq_len = 2048;  // rows of the position table; without one no limit
    std::int64_t vocab_size = 50368;
    double resid_pdrop = 0.0;
    double emb_pdrop = 0.0;
    bool learned_pos_emb = true;
    AttnConfig attn_config = {};
    double logit_scale = 1.0;
    bool logit_scale_inv_sqrt_d_model = false;  // 1/√d_model in place of logit_scale
    bool no_bias = false;                       // nowhere, not even in the norms
    double embedding_fraction = 1.0;            // share of the gradient that embeddings receive
    /// The norms run in the autocast type there; all is fp32 here, where both are the same.
    bool low_precision_layernorm = true;
    MptParts parts = {};

    /// Those of attn_config stand in one list with the rest. What follows from others (attn_type,
    /// logit_scale by name) is left to the configuration file.
    template <class Self, class Visit>
    static void each(Self& c, Visit&& visit) {
      auto& a = c.attn_config;
      visit({"d_model", "Width of the model", side_bounds(), "width"}, c.d_model);
      visit({"n_heads", "Attention heads", side_bounds(), "heads"}, c.n_heads);
      visit({"n_layers", "Layers", side_bounds(), "layers"}, c.n_layers);
      visit({"expansion_ratio", "Width of the feed-forward blocks over --width", between(1, 1024),
             "expansion"},
            c.expansion_ratio);
      visit({"max_seq_len"}, c.max_seq_len);
      visit({"vocab_size"}, c.vocab_size);
      visit({"resid_pdrop", "On embeddings and between layers", share(), "dropout"}, c.resid_pdrop);
      visit({"emb_pdrop", "On embeddings and between layers", share(), "dropout"}, c.emb_pdrop);
      visit({"learned_pos_emb"}, c.learned_pos_emb);
      visit({"no_bias"}, c.no_bias);
      visit({"embedding_fraction",
             "Share of the gradient that embeddings get",
             {.least = 0, .most = 1, .open_least = true}},
            c.embedding_fraction);
      visit({"low_precision_layernorm"}, c.low_precision_layernorm);
      visit({"kv_n_heads", "Heads of keys and values; 1: multi-query (0: as many as --heads)",
             between(0, 1 << 20), "kv-heads"},
            a.kv_n_heads);
      visit({"attn_pdrop", "On attention weights", share(), "attention-dropout"}, a.attn_pdrop);
      visit({"qk_ln", "LayerNorm on queries and keys", {}, "qk-norm"}, a.qk_ln);
      visit({"clip_qkv", "Queries, keys and values within this bound (0: none)", non_negative()},
            a.clip_qkv);
      visit({"softmax_scale", "Factor of the scores (0: one over the root of a head's width)",
             non_negative()},
            a.softmax_scale);
      visit({"prefix_lm",
             "What is given sees all of itself, also ahead: up to half of a training window, the "
             "prompt of generate",
             {},
             "prefix"},
            a.prefix_lm);
      visit({"attn_uses_sequence_id"}, a.attn_uses_sequence_id);
      visit({"alibi"}, a.alibi);
      visit({"alibi_bias_max", "ALiBi: the largest exponent of a slope", positive(), "alibi-max"},
            a.alibi_bias_max);
      visit({"rope"}, a.rope);
      visit({"rope_theta", "Rotary positions: the base of the wave lengths", positive()},
            a.rope_theta);
      visit({"linear"}, a.linear);
    }
    /// That of a block's attention.
    MptAttention::Config attention(std::int64_t layer = 0) const;
    std::int64_t ffn_width() const {
      return parts.ffn_width > 0 ? parts.ffn_width : expansion_ratio * d_model;
    }
    /// Throws with the option's name when a value makes no model.
    void check() const;
    /// How many numbers a model has, without making it.
    std::int64_t parameters() const;
  };
  Config config;
  Tensor wte;  // [V C], the output matrix too unless there is one
  Tensor wpe;  // [S C] or undefined
  std::vector<MptBlock> blocks;
  NormBlock norm_f;
  Tensor lm_head;  // [V C] or undefined

  /// Kaiming-normal matrices (q, k and v each by themselves), those that end a branch divided by
  /// √(2·n_layers); biases 0.
  static Mpt make(Initialiser init, const Config& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("wte", m.wte);
    visit("wpe", m.wpe);
    visit("blocks", m.blocks);
    visit("norm_f", m.norm_f);
    visit("lm_head", m.lm_head);
  }
  /// [V C]
  const Tensor& output_matrix() const { return lm_head.defined() ? lm_head : wte; }

  /// Who sees whom: the sequence, causal or prefix, and the same sequence_id.
  Mask mask(const MptBatch& batch) const;
  /// -> hidden states [T C] behind the last norm.
  Tensor operator()(const MptBatch& batch) const;
  /// Each token predicts the next of its sequence; the last predicts none.
  CrossEntropyResult loss(const MptBatch& batch, const CrossEntropyOptions& options = {}) const;
  /// The same with a target for each token, options.ignore for none.
  CrossEntropyResult loss(const MptBatch& batch, std::span<const std::int32_t> targets,
                          const CrossEntropyOptions& options) const;
  /// Hidden states as the output matrix reads them: times logit_scale.
  Tensor scaled(const Tensor& hidden) const;
  /// Hidden states [T C] -> [T V]; not differentiable.
  Tensor logits(const Tensor& hidden) const;

  /// The hidden states of more tokens, batch.segments of them for every sequence of the cache (none
  /// allowed), as the whole would give them. Where there is a prefix, all sequences that get tokens
  /// must be at their beginning; sequence_id is for packed training and refused.
  Tensor extend(MptCache& cache, const MptBatch& batch) const;

 private:
  Tensor embedded(const MptBatch& batch, std::span<const std::int32_t> positions) const;
};

/// Weights under llm-foundry's names, sharing the model's numbers.
StateEntries state_entries(const Mpt& model);
/// Weights as "transformer.blocks.0.attn.Wqkv.weight" [3C C] and so on.
StateDict state_dict(const Mpt& model);
/// Strict, see write_state().
void load_state_dict(Mpt& model, const StateDict& state);

}  // namespace qkv
