// Training a translator from sentence pairs: presets, the task for train(), validation by loss and
// by decoding with BLEU.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/data/batching.h"
#include "qkv/data/pairs.h"
#include "qkv/decode/batch_translator.h"
#include "qkv/decode/transformer_decoder.h"
#include "qkv/ops/loss.h"
#include "qkv/systems/translation_model.h"
#include "qkv/train/loop.h"

namespace qkv {

/// Sizes and the recipe that goes with them (docs/models.md).
struct TranslationPreset {
  std::string_view name;
  Architecture architecture = Architecture::transformer;
  Transformer::Config model;
  RnnTranslator::Config rnn;
  TrainOptions train;
  TokeniserOptions tokeniser;
  bool joint = true;  // one tokeniser trained on both sides
  std::int64_t batch_tokens = 4096;
  double smoothing = 0.1;
  std::int64_t max_length = 0;  // longer pairs are dropped; 0: none are
};

/// tiny | small | base | page; throws with this list otherwise. For Architecture::rnn the sizes and
/// the recipe are other ones under the same names.
TranslationPreset translation_preset(std::string_view name,
                                     Architecture architecture = Architecture::transformer);
std::span<const std::string_view> translation_preset_names();

/// Packs pairs [index …] with bos and eos.
TranslationBatch pack(const TokenPairs& pairs, std::span<const std::int64_t> index,
                      std::int32_t bos, std::int32_t eos);

struct TranslationTraining {
  const TokenPairs& train;
  const TokenPairs& valid;
  std::vector<std::string> valid_references;  // one a valid pair, as BLEU shall see them
  CrossEntropyOptions loss;
  BatchOptions batches;
  /// Validation decodes at most this many pairs; 0: none (then the score is −loss).
  std::int64_t decode_pairs = 0;
  std::string bleu_tokeniser = "13a";
  bool bleu_lower = false;
};

/// The task of train() for `model`; both must outlive it. `directory` is where the best model goes.
TrainTask translation_task(TranslationModel& model, const TranslationTraining& training,
                           const std::filesystem::path& directory);

/// bos and eos of the model; pad, bos and unk are never produced.
void set_special_tokens(const TranslationModel& model, SearchOptions& options);

/// The model one token a step, for search; of the options a recurrent network takes source_eos
/// alone. The model must outlive it.
std::unique_ptr<StepModel> decoder_of(const TranslationModel& model,
                                      const TransformerDecoderOptions& options);

/// The best translation of each source as text.
std::vector<std::string> translate_tokens(const TranslationModel& model,
                                          std::span<const Tokens> sources,
                                          BatchTranslatorOptions options);

/// Mean loss of pairs under the model, without noise.
BatchLoss evaluate_loss(const TranslationModel& model, const TokenPairs& pairs,
                        const CrossEntropyOptions& options, std::int64_t max_tokens,
                        std::int32_t bos, std::int32_t eos);

/// Peak bytes that a training run will need, by part; stated before the start.
struct MemoryEstimate {
  std::int64_t parameters = 0;   // weights, gradients, moments, averages
  std::int64_t activations = 0;  // of one batch, with the gradients that live beside them
  std::int64_t loss = 0;         // logits block and vocabulary gradients
  std::int64_t program = 0;      // code, libraries, text and its tokens
  std::int64_t total() const { return parameters + activations + loss + program; }
};
MemoryEstimate training_memory(const TranslationModel& model, const TrainOptions& options,
                               std::int64_t batch_tokens, std::int64_t pairs);

}  // namespace qkv
