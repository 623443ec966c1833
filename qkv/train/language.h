// Training a language model on text: the recipe with its presets, its windows, and validation by
// loss, perplexity and bits a character.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/data/hold_out.h"
#include "qkv/data/text_stream.h"
#include "qkv/models/language_words.h"
#include "qkv/systems/language_model.h"
#include "qkv/systems/score_text.h"
#include "qkv/train/fine_tuning.h"
#include "qkv/train/run.h"

namespace qkv {

/// transformer: MPT with softmax; linear: MPT with linear attention; rnn: GRU or LSTM.
enum class LanguageKind : std::uint8_t { transformer, linear, rnn };
constexpr std::array<std::string_view, 3> spelling(LanguageKind) {
  return {"transformer", "linear", "rnn"};
}

/// Everything that makes a language model besides the text (docs/models.md).
struct LanguageRecipe : LanguageDesign {
  std::string init;  // directory of a language model to go on from: its tokeniser, network, weights
  FineTuning tuning;  // of what it brings
  TrainOptions train;
  std::int64_t batch_tokens = 4096;
  double smoothing = 0.0;

  template <class Self, class Visit>
  static void each(Self& r, Visit&& visit) {
    LanguageDesign::each(r, visit);
    visit(changeable({"batch_tokens", "Tokens of a batch", between(1, 1e9)}), r.batch_tokens);
    visit({"smoothing", "Label smoothing", share()}, r.smoothing);
  }
  /// Throws Error for what cannot be, before any text is read.
  void check() const;
};
/// char-tiny | char-small | words | base; throws UsageError with this list otherwise. For another
/// kind the sizes and the recipe are other ones under the same names.
LanguageRecipe language_recipe(std::string_view preset,
                               LanguageKind kind = LanguageKind::transformer);
std::span<const std::string_view> language_preset_names();
/// To go on from a language model: small steps of AdamW that fall to nothing, few passes; context
/// 0, which is the model's, but at most 256.
LanguageRecipe tuned_language_recipe(std::string init);

using LanguageTexts = Split<std::vector<std::string>>;  // lines
/// One or several files each; without validation files the last tenth of the training lines.
LanguageTexts read_language_texts(const std::vector<std::string>& train,
                                  const std::vector<std::string>& valid);

/// The whole run; `run` says where and whether it goes on. Throws UsageError and Error before the
/// first step for what cannot be.
TrainReport train_language(const LanguageRecipe& recipe, const LanguageTexts& texts,
                           TrainingRun& run, const TrainWatch& watch);

struct LanguageTraining {
  const TextStream& train;
  const TextStream& valid;
  CrossEntropyOptions loss;
  std::int64_t context = 256;
  std::int64_t batch_tokens = 4096;
  std::uint64_t seed = 1;
};

/// The task of train() for `model`; both must outlive it. The best model is the one with the lowest
/// validation loss over windows of `context` tokens.
TrainTask language_task(LanguageModel& model, const LanguageTraining& training);

}  // namespace qkv
