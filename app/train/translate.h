// The settings of `qkv train translate` and what runs them; `qkv demo` uses the same.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/console.h"
#include "app/train/training.h"

#include "qkv/data/pairs.h"
#include "qkv/train/translation.h"

namespace qkv::app {

/// An unset option leaves the preset's value.
struct TrainTranslate : RunSettings {
  std::vector<std::string> train, valid;
  std::string directory;
  std::string preset = "tiny", architecture = "transformer";
  std::optional<std::int64_t> max_length;
  std::optional<double> max_ratio;
  std::string tokeniser, target_tokeniser;
  std::optional<int> vocabulary, min_count;
  bool separate = false, lower = false, nfkc = false;
  std::optional<std::int64_t> width, heads, feed_forward, layers;
  std::string norm, positions;
  std::optional<std::int64_t> embedding, window;  // these six and two: recurrent networks
  std::string cell, attention, score, local;
  bool bidirectional = false, input_feeding = false;
  std::optional<double> dropout, attention_dropout, activation_dropout;
  std::optional<std::int64_t> batch_tokens;
  std::optional<double> smoothing;
  std::string smoothing_form, bleu_tokeniser;
  std::int64_t valid_bleu = 500;
};

/// The preset with the settings laid over it; throws Error for values that make no sense.
TranslationPreset with_settings(const TrainTranslate& settings);

/// Reads the files, trains, leaves the model directory. Throws Interrupted after a saved
/// interruption.
void train_translate(const TrainTranslate& settings, Console& console);

/// The part behind the files.
struct TranslationTexts {
  TextPairs train, valid;
};
TrainReport train_on_texts(const TrainTranslate& settings, const TranslationPreset& preset,
                           TranslationTexts texts, Console& console);

}  // namespace qkv::app
