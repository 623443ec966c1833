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

#include "qkv/systems/system.h"
#include "qkv/systems/translate_options.h"
#include "qkv/view/attention_maps.h"

namespace qkv {

struct TranslationModel;  // translation_model.h: what training makes
class StepModel;

/// One way to translate a text.
struct TranslationCandidate {
  std::string text;
  double score = 0;            // what candidates are ranked by
  double log_probability = 0;  // of all tokens and the end
  std::vector<std::string> tokens;
  std::vector<float> token_scores;  // log p of each token, then of the end
  /// Row t: how much each source token (the end of the source, where it has one, is the last) was
  /// looked at for token t, the last row for the end: [tokens + 1, sources]. Empty unless asked
  /// for.
  std::vector<float> attention = {};
  std::int64_t sources = 0;
  bool source_ends = true;  // the last of them is the end

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
  /// A directory, or another program's package (.argosmodel). Throws FileError or DataError when
  /// it is none of a translator, or damaged.
  static Translator load(const std::filesystem::path& model, const LoadOptions& options = {});
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

  /// How likely each target is as the translation of its source, each as a whole: `sentences` does
  /// not count. Throws UsageError for a prefix.
  std::vector<TranslationCandidate> score(std::span<const std::string> sources,
                                          std::span<const std::string> targets,
                                          const TranslateOptions& options = {},
                                          const ProgressSink& progress = {}) const;

  /// What the model attends to: encoder, decoder and between them. Without a target, over what it
  /// translates.
  AttentionMaps attention(std::string_view source, std::string_view target = {},
                          const LookOptions& look = {}) const;
  Info info() const;
  /// What the directory says of translating: qkv's defaults for what qkv has trained.
  const TranslateOptions& defaults() const;
  /// Source tokens that the model can hold.
  std::int64_t max_source() const;

  const TranslationModel& model() const { return *model_; }

 private:
  std::vector<Translation> translate_all(std::span<const std::vector<std::int32_t>> sources,
                                         std::span<const std::vector<std::string>> pieces,
                                         const TranslateOptions& options,
                                         const ProgressSink& progress) const;

  std::shared_ptr<const TranslationModel> model_;
  LoadOptions options_;
};

}  // namespace qkv
