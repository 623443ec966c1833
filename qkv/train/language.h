// Training a language model on text: the recipe with its presets, what it reads, its windows, and
// validation by loss, perplexity and bits a character.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "qkv/data/text_stream.h"
#include "qkv/systems/language_model.h"
#include "qkv/systems/score_text.h"
#include "qkv/train/run.h"

namespace qkv {

/// transformer: MPT with softmax; linear: MPT with linear attention; rnn: GRU or LSTM.
enum class LanguageKind : std::uint8_t { transformer, linear, rnn };
constexpr std::array<std::string_view, 3> spelling(LanguageKind) {
  return {"transformer", "linear", "rnn"};
}

/// How an MPT knows a token's place.
enum class LanguagePositions : std::uint8_t { alibi, learned, rotary };
constexpr std::array<std::string_view, 3> spelling(LanguagePositions) {
  return {"alibi", "learned", "rotary"};
}

/// What people say of an MPT in other words than its configuration's.
struct MptWords {
  LanguagePositions positions = LanguagePositions::alibi;
  std::string logit_scale = "1";
  bool bias = false;

  template <class Self, class Visit>
  static void each(Self& w, Visit&& visit) {
    visit({"positions", "How a token knows its place"}, w.positions);
    visit({"logit_scale", "A number or inv_sqrt_d_model"}, w.logit_scale);
    visit({"bias", "Biases in products and norms"}, w.bias);
  }
  /// Throws UsageError for a logit_scale that is neither.
  void apply(Mpt::Config& config) const;
};
/// The same of a recurrent network.
struct RnnLanguageWords {
  bool untied = false;

  template <class Self, class Visit>
  static void each(Self& w, Visit&& visit) {
    visit({"untied", "An output matrix of its own"}, w.untied);
  }
  void apply(RnnLanguage::Config& config) const { config.tie_output = !untied; }
};
/// As the configuration has it.
MptWords words_of(const Mpt::Config& config);
RnnLanguageWords words_of(const RnnLanguage::Config& config);

/// Everything that makes a language model besides the text (docs/models.md).
struct LanguageRecipe {
  std::string preset;
  /// In the order of LanguageArchitecture. An MPT's max_seq_len follows from `context`.
  std::variant<Mpt::Config, RnnLanguage::Config> network;
  TrainOptions train;

  TokeniserOptions tokeniser;
  bool by_line = false;        // every line is a text of its own
  std::int64_t context = 256;  // tokens of a window
  std::int64_t batch_tokens = 4096;
  double smoothing = 0.0;

  template <class Self, class Visit>
  static void each(Self& r, Visit&& visit) {
    visit({"tokeniser", "How text becomes tokens; space: words as they stand"}, r.tokeniser.kind);
    visit({"vocabulary", "Largest number of tokens (0: no limit for words and characters)",
           between(0, 1 << 24)},
          r.tokeniser.vocabulary_size);
    visit({"min_count", "Rarer words and characters are unknown", between(1, 1e9)},
          r.tokeniser.min_count);
    visit({"lower", "Lower-case the text"}, r.tokeniser.normalise.lower);
    visit({"nfkc", "Unicode normalisation NFKC"}, r.tokeniser.normalise.nfkc);
    visit({"by_line", "Every line is a text of its own"}, r.by_line);
    visit({"context", "Tokens of a training window", between(1, 1 << 24)}, r.context);
    visit(changeable({"batch_tokens", "Tokens of a batch", between(1, 1e9)}), r.batch_tokens);
    visit({"smoothing", "Label smoothing", share()}, r.smoothing);
  }
  LanguageArchitecture architecture() const {
    return static_cast<LanguageArchitecture>(network.index());
  }
  /// Throws Error for what cannot be, before any text is read.
  void check() const;
};

/// char-tiny | char-small | words | base; throws UsageError with this list otherwise. For another
/// kind the sizes and the recipe are other ones under the same names.
LanguageRecipe language_recipe(std::string_view preset,
                               LanguageKind kind = LanguageKind::transformer);
std::span<const std::string_view> language_preset_names();

struct LanguageTexts {
  std::vector<std::string> train, valid;  // lines
};
/// One or several files each; without validation files the last tenth of the training lines.
LanguageTexts read_language_texts(const std::vector<std::string>& train,
                                  const std::vector<std::string>& valid);

/// A tokeniser learnt from the lines, and a network with fresh weights.
LanguageModel make_language_model(const LanguageRecipe& recipe, std::span<const std::string> lines);

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

/// The task of train() for `model`; both must outlive it. `directory` is where the best model goes:
/// the one with the lowest validation loss over windows of `context` tokens.
TrainTask language_task(LanguageModel& model, const LanguageTraining& training,
                        const std::filesystem::path& directory);

}  // namespace qkv
