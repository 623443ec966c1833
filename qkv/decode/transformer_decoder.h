// The Transformer one token a step. Keys and values of what was written stay in a cache; beams
// share their common history in it, so that reordering copies a table of row numbers and nothing
// else. The layers are those of training (qkv/models/transformer.h, sound_network.h); only their
// attention is handed in.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "qkv/attention/cache.h"
#include "qkv/decode/step_model.h"
#include "qkv/decode/vocabulary_head.h"
#include "qkv/models/transformer.h"

namespace qkv {

struct TransformerDecoderOptions {
  std::int32_t source_eos = 2;  // put at the end of every source; −1: nothing is
  // Which cross-attention StepState::attention shows. Negative layers count from the end: the last
  // but one aligns best in trained Transformers (Garg et al. 2019). Head −1: the mean of all heads.
  std::int64_t attention_layer = -2;
  std::int64_t attention_head = -1;
  CacheOptions cache = {};  // precision of all keys and values, window of the target's own
};

/// The layers of a decoder with what goes in. All must outlive the TransformerDecoder.
struct DecoderStack {
  std::span<const DecoderLayer> layers;
  const LayerNorm* norm = nullptr;  // at the end; its weight may be undefined
  NormPlacement placement = NormPlacement::post;
  std::int64_t max_source = 0, max_target = 0;  // as StepModel counts
  /// Ids at their places in the target -> rows [N C].
  std::function<Tensor(std::span<const std::int32_t>, std::span<const std::int32_t>)> embed;
  /// Sources as the decoder was handed them, with their ends -> what cross-attention reads.
  std::function<Tensor(std::span<const std::int32_t>, const Segments&)> memory;
};

class TransformerDecoder final : public StepModel {
 public:
  /// The model (f32) must outlive it and keep its weights. Throws when the layer or head is not
  /// there; of a model with one layer, layer −2 is that one.
  explicit TransformerDecoder(const Transformer& model,
                              const TransformerDecoderOptions& options = {});
  /// Any decoder of such layers, likewise.
  TransformerDecoder(DecoderStack stack, VocabularyHead head,
                     const TransformerDecoderOptions& options);

  std::int64_t vocabulary() const override { return head_.vocabulary(); }
  std::int64_t max_source() const override { return stack_.max_source; }
  bool ends_sources() const override { return options_.source_eos >= 0; }
  std::int64_t max_target() const override { return stack_.max_target; }
  std::unique_ptr<StepState> start(std::span<const Tokens* const> sources,
                                   bool with_attention) const override;

  const DecoderStack& stack() const { return stack_; }
  const VocabularyHead& head() const { return head_; }
  const TransformerDecoderOptions& options() const { return options_; }

 private:
  DecoderStack stack_;
  TransformerDecoderOptions options_;  // layer resolved: from the front
  VocabularyHead head_;
};

}  // namespace qkv
