// Training a translator from sentence pairs: the recipe with its presets, its batches,
// validation by loss and by decoding with BLEU.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/data/batching.h"
#include "qkv/data/pairs.h"
#include "qkv/ops/loss.h"
#include "qkv/systems/translation_model.h"
#include "qkv/train/fine_tuning.h"
#include "qkv/train/run.h"

namespace qkv {

/// Everything that makes a translator besides the text (docs/models.md).
struct TranslationRecipe : TranslationDesign {
  std::string init;  // directory of a translator to go on from: its tokenisers, network, weights
  std::string source_language, target_language;  // of an `init` that knows several
  FineTuning tuning;                             // of what it brings
  TrainOptions train;
  std::int64_t max_length = 0;  // longer pairs are dropped; 0: none are
  double max_ratio = 0.0;       // pairs whose lengths differ by more are dropped; 0: none are
  std::int64_t batch_tokens = 4096;
  double smoothing = 0.1;
  Smoothing smoothing_form = Smoothing::uniform;
  std::int64_t valid_bleu = 500;  // validation decodes so many pairs (0: judged by loss)
  std::string bleu_tokeniser;     // empty: by the target's script

  template <class Self, class Visit>
  static void each(Self& r, Visit&& visit) {
    TranslationDesign::each(r, visit);
    visit({"max_length", "Drop pairs longer than this many tokens (0: keep all)",
           between(0, 1 << 20)},
          r.max_length);
    visit({"max_ratio", "Drop pairs whose lengths differ by more than this factor (0: keep all)",
           non_negative()},
          r.max_ratio);
    visit(changeable({"batch_tokens", "Tokens of either side in a batch", between(1, 1e9)}),
          r.batch_tokens);
    visit({"smoothing", "Label smoothing", share()}, r.smoothing);
    visit({"smoothing_form", "uniform: epsilon/V; off_target: epsilon/(V-1)"}, r.smoothing_form);
    visit(changeable({"valid_bleu", "Decode this many validation pairs for BLEU (0: judge by loss)",
                      between(0, 1e9)}),
          r.valid_bleu);
    visit(changeable({"bleu_tokeniser", "13a, zh, char or none; default by the target's script"}),
          r.bleu_tokeniser);
  }
  /// Throws Error for what cannot be, before any text is read.
  void check() const;
};
/// tiny | small | base | page; throws UsageError with this list otherwise. For Architecture::rnn
/// the sizes and the recipe are other ones under the same names.
TranslationRecipe translation_recipe(std::string_view preset,
                                     Architecture architecture = Architecture::transformer);
/// To go on from a translator: small steps from AdamW that fall to nothing, few passes.
TranslationRecipe tuned_translation_recipe(std::string init);

/// The whole run; `run` says where and whether it goes on. Throws UsageError and Error before the
/// first step for what cannot be.
TrainReport train_translator(const TranslationRecipe& recipe, Split<TextPairs> texts,
                             TrainingRun& run, const TrainWatch& watch);

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

/// The task of train() for `model`; both must outlive it.
TrainTask translation_task(TranslationModel& model, const TranslationTraining& training);

/// Mean loss of pairs under the model, without noise.
BatchLoss evaluate_loss(const TranslationModel& model, const TokenPairs& pairs,
                        const CrossEntropyOptions& options, std::int64_t max_tokens);

/// Peak bytes that a training run will need, by part; stated before the start.
struct MemoryEstimate {
  std::int64_t parameters = 0;   // weights, gradients, moments, averages
  std::int64_t activations = 0;  // of one batch, with the gradients that live beside them
  std::int64_t loss = 0;         // logits block and vocabulary gradients
  std::int64_t program = 0;      // code, libraries, text and its tokens
  std::int64_t total() const { return parameters + activations + loss + program; }
};
MemoryEstimate training_memory(const TranslationModel& model, const TrainOptions& options,
                               std::int64_t batch_tokens, std::int64_t pairs,
                               const Trainable& trainable = {});

}  // namespace qkv
