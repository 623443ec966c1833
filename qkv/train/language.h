// Training a language model on text: presets, the task for train(), and judging text under a model
// (loss, perplexity, bits a character).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/data/text_stream.h"
#include "qkv/systems/language_model.h"
#include "qkv/systems/score_text.h"
#include "qkv/train/loop.h"

namespace qkv {

/// transformer: MPT with softmax; linear: MPT with linear attention; rnn: GRU or LSTM.
enum class LanguageKind : std::uint8_t { transformer, linear, rnn };

/// Sizes and the recipe that goes with them.
struct LanguagePreset {
  std::string_view name;
  LanguageKind kind = LanguageKind::transformer;
  Mpt::Config mpt;
  RnnLanguage::Config rnn;
  TrainOptions train;
  TokeniserOptions tokeniser;
  std::int64_t context = 256;  // tokens of a window
  std::int64_t batch_tokens = 4096;
  double smoothing = 0.0;
};

/// char-tiny | char-small | words | base; throws with this list otherwise. For another kind the
/// sizes and the recipe are other ones under the same names.
LanguagePreset language_preset(std::string_view name,
                               LanguageKind kind = LanguageKind::transformer);
std::span<const std::string_view> language_preset_names();

struct LanguageTraining {
  const TextStream& train;
  const TextStream& valid;
  CrossEntropyOptions loss;
  std::int64_t context = 256;
  std::int64_t batch_tokens = 4096;
  std::uint64_t seed = 1;
};

/// The task of train() for `model`; both must outlive it. `directory` is where the best model goes:
/// the one with the lowest validation loss over windows of `context` tokens.
TrainTask language_task(LanguageModel& model, const LanguageTraining& training,
                        const std::filesystem::path& directory);

}  // namespace qkv
