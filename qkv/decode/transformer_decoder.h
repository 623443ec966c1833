// The Transformer one token a step. Keys and values of what was written stay in a cache; beams
// share their common history in it, so that reordering copies a table of row numbers and nothing
// else. The layers are those of training (qkv/models/transformer.h); only their attention is handed
// in.
#pragma once

#include <cstdint>
#include <memory>

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

class TransformerDecoder final : public StepModel {
 public:
  /// The model (f32) must outlive it and keep its weights. Throws when the layer or head is not
  /// there; of a model with one layer, layer −2 is that one.
  explicit TransformerDecoder(const Transformer& model,
                              const TransformerDecoderOptions& options = {});

  std::int64_t vocabulary() const override { return head_.vocabulary(); }
  std::int64_t max_source() const override {
    return model_.config.max_length - (ends_sources() ? 1 : 0);
  }
  bool ends_sources() const override { return options_.source_eos >= 0; }
  std::int64_t max_target() const override { return model_.config.max_length - 1; }
  std::unique_ptr<StepState> start(std::span<const Tokens* const> sources,
                                   bool with_attention) const override;

  const Transformer& model() const { return model_; }
  const VocabularyHead& head() const { return head_; }
  const TransformerDecoderOptions& options() const { return options_; }

 private:
  const Transformer& model_;
  TransformerDecoderOptions options_;  // layer resolved: from the front
  VocabularyHead head_;
};

}  // namespace qkv
