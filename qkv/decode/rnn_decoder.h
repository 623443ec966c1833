// A recurrent translator one token a step: its states are carried along, keys are projected once.
// Beams are reordered by copying the rows of the states.
#pragma once

#include <cstdint>
#include <memory>

#include "qkv/decode/step_model.h"
#include "qkv/decode/vocabulary_head.h"
#include "qkv/models/rnn_translator.h"

namespace qkv {

class RnnDecoder final : public StepModel {
 public:
  /// The model (f32) must outlive it and keep its weights. `source_eos` is put at the end of every
  /// source.
  explicit RnnDecoder(const RnnTranslator& model, std::int32_t source_eos = 2);

  std::int64_t vocabulary() const override { return head_.vocabulary(); }
  std::int64_t max_source() const override { return model_.config.max_length - 1; }
  std::int64_t max_target() const override { return model_.config.max_length - 1; }
  /// Throws when attention is asked of a model that has none (RnnContext::fixed).
  std::unique_ptr<StepState> start(std::span<const Tokens* const> sources,
                                   bool with_attention) const override;

  const RnnTranslator& model() const { return model_; }
  const VocabularyHead& head() const { return head_; }
  std::int32_t source_eos() const { return source_eos_; }

 private:
  const RnnTranslator& model_;
  std::int32_t source_eos_;
  VocabularyHead head_;
};

}  // namespace qkv
