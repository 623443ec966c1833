// Language models step by step, many texts at once. A recurrent or linear-attention model carries a
// state of constant size; one with softmax keeps keys and values, whose number can be bounded. The
// models (f32) must outlive their decoders and keep their weights.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "qkv/decode/step_model.h"
#include "qkv/decode/vocabulary_head.h"
#include "qkv/models/mpt.h"
#include "qkv/models/rnn_language.h"

namespace qkv {

struct LanguageDecoderOptions {
  /// > 0 bounds how many tokens back softmax attention looks: when the cache of a text is full, the
  /// last half of it is read again into an empty one, so a token costs at most twice what it costs
  /// with a full cache. 0: the model's max_seq_len where it has learned positions, otherwise no
  /// bound. Models that keep a state need none and take none.
  std::int64_t context = 0;
  /// Precision and window of keys and values; models that keep a state have none and throw.
  CacheOptions cache = {};
};

/// To a model with prefix_lm what is read first, the prompt or half of a full context, is the
/// prefix.
class MptDecoder final : public StepModel {
 public:
  explicit MptDecoder(const Mpt& model, const LanguageDecoderOptions& options = {});

  std::int64_t vocabulary() const override { return head_.vocabulary(); }
  bool reads_sources() const override { return false; }
  std::int64_t max_source() const override { return 0; }
  std::int64_t max_target() const override { return kUnlimited; }
  std::unique_ptr<StepState> start(std::span<const Tokens* const> sources,
                                   bool with_attention) const override;

  const Mpt& model() const { return model_; }
  const VocabularyHead& head() const { return head_; }
  const LanguageDecoderOptions& options() const { return options_; }

 private:
  const Mpt& model_;
  LanguageDecoderOptions options_;  // context resolved: 0 is no bound
  VocabularyHead head_;
};

class RnnLanguageDecoder final : public StepModel {
 public:
  explicit RnnLanguageDecoder(const RnnLanguage& model, const LanguageDecoderOptions& options = {});

  std::int64_t vocabulary() const override { return head_.vocabulary(); }
  bool reads_sources() const override { return false; }
  std::int64_t max_source() const override { return 0; }
  std::int64_t max_target() const override { return kUnlimited; }
  std::unique_ptr<StepState> start(std::span<const Tokens* const> sources,
                                   bool with_attention) const override;

  const RnnLanguage& model() const { return model_; }
  const VocabularyHead& head() const { return head_; }

 private:
  const RnnLanguage& model_;
  VocabularyHead head_;
};

}  // namespace qkv
