// A translator as a user holds it: text in, text out.
//
//   const auto t = qkv::Translator::load("en-de", {.threads = 2});
//   for (const auto& r : t.translate(lines, {.beam = 5})) std::puts(r.text.c_str());
//
// After load() nothing is written: any number of threads may ask one translator at once. A text's
// translation does not depend on its neighbours, not even in the last bit of its score.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/attention/cache_storage.h"
#include "qkv/systems/system.h"
#include "qkv/view/attention_maps.h"

namespace qkv {

struct TranslationModel;  // translation_model.h: what training makes
class StepModel;

enum class PenaltyForm : std::uint8_t {
  power,  ///< |Y|^a
  gnmt,   ///< ((5 + |Y|) / 6)^a (Wu et al. 2016)
};
constexpr std::array<std::string_view, 2> spelling(PenaltyForm) { return {"power", "gnmt"}; }

enum class StopRule : std::uint8_t {
  full,    ///< as soon as `beam` translations have finished
  likely,  ///< when the best living one would lose if it ended now
  exact,   ///< only when the result is certain
};
constexpr std::array<std::string_view, 3> spelling(StopRule) { return {"full", "likely", "exact"}; }

struct TranslateOptions {
  int beam = 4;  // 1: greedy
  int n_best = 1;
  double length_penalty = 1.0;
  PenaltyForm penalty_form = PenaltyForm::power;
  double coverage_penalty = 0.0;  // β of the penalty for source words that were not looked at
  StopRule stop = StopRule::full;
  std::int64_t max_length = 0;  // tokens; 0: by the source
  double max_factor = 2.0;      // tokens a source token, and ten more
  std::int64_t min_length = 0;
  bool attention = false;   // fill Candidate::attention
  std::int64_t layer = -2;  // whose cross-attention; negative: from the last
  std::int64_t head = -1;   // -1: the mean of all
  bool sample = false;      // draw the translation instead of searching for it
  double temperature = 1.0;
  std::int64_t top_k = 0;
  double top_p = 1.0;
  std::uint64_t seed = 1;
  CacheType cache = CacheType::f32;  // precision of keys and values; recurrent networks have none
  std::int64_t window = 0;           // > 0: how many of its own tokens back a translation sees
  std::int64_t batch_tokens = 4096;
  std::int64_t batch_sentences = 64;

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"beam", "Width of the beam; 1 is greedy", between(1, 1024)}, o.beam);
    visit({"n_best", "Translations a line: \"line ||| text ||| score\"", between(1, 1024)},
          o.n_best);
    visit({"length_penalty", "Exponent of the length normalisation", between(-100, 100)},
          o.length_penalty);
    visit({"penalty_form", "power: |Y|^a; gnmt: ((5 + |Y|) / 6)^a"}, o.penalty_form);
    visit({"coverage_penalty", "Weight of the penalty for source words that were not looked at",
           non_negative()},
          o.coverage_penalty);
    visit({"stop", "full: after `beam` finished ones; likely; exact"}, o.stop);
    visit({"max_length", "Most tokens of a translation (0: by the source)", between(0, 1e9)},
          o.max_length);
    visit({"max_factor", "Most tokens a source token", non_negative()}, o.max_factor);
    visit({"min_length", "Fewest tokens of a translation", between(0, 1e9)}, o.min_length);
    visit({"layer", "Whose cross-attention; negative: from the last", between(-1e6, 1e6)}, o.layer);
    visit({"head", "Which head; -1: their mean", between(-1, 1e6)}, o.head);
    visit({"sample", "Draw translations instead of searching for the best"}, o.sample);
    visit({"temperature", "With --sample: below 1 likelier tokens gain; 0: always the likeliest",
           non_negative()},
          o.temperature);
    visit(
        {"top_k", "With --sample: draw from the k likeliest tokens (0: from all)", between(0, 1e9)},
        o.top_k);
    visit({"top_p",
           "With --sample: draw from the likeliest tokens that reach this mass",
           {.least = 0, .most = 1, .open_least = true}},
          o.top_p);
    visit({"seed", "Of the draws"}, o.seed);
    visit({"cache", "What keys and values are kept in; bf16 and int8 take less memory"}, o.cache);
    visit({"window", "A translation sees itself and so many of its tokens before (0: all)",
           between(0, 1e9)},
          o.window);
    visit({"batch_tokens", "Source tokens a batch", between(1, 1e9)}, o.batch_tokens);
    visit({"batch_sentences", "Sentences a batch, at most", between(1, 1e6)}, o.batch_sentences);
  }
};

/// One way to translate a text.
struct TranslationCandidate {
  std::string text;
  double score = 0;            // what candidates are ranked by
  double log_probability = 0;  // of all tokens and the end
  std::vector<std::string> tokens;
  std::vector<float> token_scores;  // log p of each token, then of the end
  /// Row t: how much each source token (the end of the source is the last) was looked at for token
  /// t, the last row for the end: [tokens + 1, sources]. Empty unless asked for.
  std::vector<float> attention = {};
  std::int64_t sources = 0;

  /// "0-0 2-1": source-target pairs of tokens, ends left out. Needs attention.
  std::string alignment() const;
  /// What each source token received in all. Needs attention.
  std::vector<double> coverage() const;
};

struct Translation {
  std::string text;  // of the best
  double score = 0;
  std::vector<TranslationCandidate> best;  // at most n_best, best first
  std::int64_t cut = 0;  // source tokens that the model could not hold and that were not translated
};

class Translator {
 public:
  /// Throws FileError or DataError when the directory is none of a translator, or damaged.
  static Translator load(const std::filesystem::path& directory, const LoadOptions& options = {});
  /// Of a model that was just made or trained.
  explicit Translator(TranslationModel model, const LoadOptions& options = {});
  void save(const std::filesystem::path& directory) const;

  Translation translate(std::string_view text, const TranslateOptions& options = {}) const;
  /// One translation a text, in their order.
  std::vector<Translation> translate(std::span<const std::string> texts,
                                     const TranslateOptions& options = {},
                                     const ProgressSink& progress = {}) const;
  /// Answers while it reads, in order; memory does not grow with the stream.
  void translate(const LineSource& source, const TranslateOptions& options,
                 const std::function<void(std::int64_t line, const Translation&)>& sink,
                 const ProgressSink& progress = {}) const;
  /// The same for those who cut their own: token numbers without special tokens.
  std::vector<Translation> translate_tokens(std::span<const std::vector<std::int32_t>> sources,
                                            const TranslateOptions& options = {},
                                            const ProgressSink& progress = {}) const;

  /// How likely each target is as the translation of its source.
  std::vector<TranslationCandidate> score(std::span<const std::string> sources,
                                          std::span<const std::string> targets,
                                          const TranslateOptions& options = {},
                                          const ProgressSink& progress = {}) const;

  /// What the model attends to: encoder, decoder and between them. Without a target, over what it
  /// translates.
  AttentionMaps attention(std::string_view source, std::string_view target = {},
                          const LookOptions& look = {}) const;
  Info info() const;
  /// Source tokens that the model can hold.
  std::int64_t max_source() const;

  const TranslationModel& model() const { return *model_; }

 private:
  std::shared_ptr<const TranslationModel> model_;
  LoadOptions options_;
};

}  // namespace qkv
