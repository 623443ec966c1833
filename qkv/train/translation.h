// Training a translator from sentence pairs: the recipe with its presets, what it reads, its
// batches, validation by loss and by decoding with BLEU.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "qkv/data/batching.h"
#include "qkv/data/pairs.h"
#include "qkv/ops/loss.h"
#include "qkv/systems/translation_model.h"
#include "qkv/train/run.h"

namespace qkv {

/// Everything that makes a translator besides the text (docs/models.md).
struct TranslationRecipe {
  std::string preset;
  /// In the order of Architecture.
  std::variant<Transformer::Config, RnnTranslator::Config> network;
  TrainOptions train;

  TokeniserOptions::Kind tokeniser = TokeniserOptions::Kind::bpe;
  std::optional<TokeniserOptions::Kind> target_tokeniser;  // another one for the target side
  std::optional<int> vocabulary;  // largest number of tokens; unset: subwords, no limit for words
  int subwords = 10000;
  int min_count = 1;
  bool separate = false;  // one vocabulary a side instead of a joint one
  bool lower = false, nfkc = false;

  std::int64_t max_length = 0;  // longer pairs are dropped; 0: none are
  double max_ratio = 0.0;       // pairs whose lengths differ by more are dropped; 0: none are
  std::int64_t batch_tokens = 4096;
  double smoothing = 0.1;
  Smoothing smoothing_form = Smoothing::uniform;
  std::int64_t valid_bleu = 500;  // validation decodes so many pairs (0: judged by loss)
  std::string bleu_tokeniser;     // empty: by the target's script

  template <class Self, class Visit>
  static void each(Self& r, Visit&& visit) {
    visit({"tokeniser", "How text becomes tokens"}, r.tokeniser);
    visit({"target_tokeniser", "Another one for the target side"}, r.target_tokeniser);
    visit({"vocabulary", "Largest number of tokens (0: no limit for words)", between(0, 1 << 24)},
          r.vocabulary);
    visit({"min_count", "Rarer words are unknown (word, character, page)", between(1, 1e9)},
          r.min_count);
    visit({"separate", "One vocabulary a side instead of a joint one"}, r.separate);
    visit({"lower", "Lower-case both sides"}, r.lower);
    visit({"nfkc", "Unicode normalisation NFKC on both sides"}, r.nfkc);
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
  Architecture architecture() const { return static_cast<Architecture>(network.index()); }
  /// One vocabulary for both sides.
  bool joint() const { return !separate && !target_tokeniser; }
  /// Throws Error for what cannot be, before any text is read.
  void check() const;
};

/// tiny | small | base | page; throws UsageError with this list otherwise. For Architecture::rnn
/// the sizes and the recipe are other ones under the same names.
TranslationRecipe translation_recipe(std::string_view preset,
                                     Architecture architecture = Architecture::transformer);

struct TranslationTexts {
  TextPairs train, valid;
};
/// One table or two files each; without validation files every 50th training pair, at most 1,000.
TranslationTexts read_translation_texts(const std::vector<std::string>& train,
                                        const std::vector<std::string>& valid);

/// Tokenisers learnt from the text, and a network with fresh weights.
TranslationModel make_translator(const TranslationRecipe& recipe, const TextPairs& text,
                                 const TrainWatch& watch = {});

/// The whole run; `run` says where and whether it goes on. Throws UsageError and Error before the
/// first step for what cannot be.
TrainReport train_translator(const TranslationRecipe& recipe, TranslationTexts texts,
                             TrainingRun& run, const TrainWatch& watch);

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
