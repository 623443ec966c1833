// A language model as a user holds it: a beginning in, what follows out.
//
//   const auto g = qkv::Generator::load("novels");
//   std::puts(g.generate("Once upon a time", {.tokens = 100, .temperature = 0.8}).text.c_str());
//
// After load() nothing is written: any number of threads may ask one generator at once. The same
// prompt, options and seed give the same text, whatever is generated beside it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/systems/generator_options.h"
#include "qkv/systems/system.h"
#include "qkv/view/attention_maps.h"

namespace qkv {

struct LanguageModel;  // language_model.h: what training makes

struct GeneratedText {
  std::string text;                 // what follows the prompt, up to a stop text
  std::vector<std::string> tokens;  // the pieces that were drawn, those of a stop text too
};

/// How well a model predicts a text.
struct TextScore {
  double nll = 0;  // nats, over all predicted tokens
  std::int64_t tokens = 0, correct = 0;
  std::int64_t characters = 0, words = 0;  // of the text, line ends included

  double loss() const { return nll / static_cast<double>(tokens); }  // nats a token
  double perplexity() const;                                         // a token
  double bits_per_character() const;
  double word_perplexity() const;
  double accuracy() const { return static_cast<double>(correct) / static_cast<double>(tokens); }
};

struct ScoreOptions {
  std::int64_t context = 0;  // tokens of a window; 0: as in training
  std::int64_t stride = 0;   // tokens between windows, see evaluation_windows(); 0: context
  std::int64_t batch_tokens = 4096;

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"context", "Tokens of a window (0: as in training)", between(0, 1e9)}, o.context);
    visit({"stride", "Tokens between windows (0: as the window is long)", between(0, 1e9)},
          o.stride);
    visit({"batch_tokens", "Tokens of a batch", between(1, 1e9)}, o.batch_tokens);
  }
};

class Generator {
 public:
  /// Throws FileError or DataError when the directory is none of a language model, or damaged.
  static Generator load(const std::filesystem::path& directory, const LoadOptions& options = {});
  /// Of a model that was just made or trained.
  explicit Generator(LanguageModel model, const LoadOptions& options = {});
  void save(const std::filesystem::path& directory) const;

  /// With options.chat a prompt is what a user says, and the text what the assistant answers.
  GeneratedText generate(std::string_view prompt, const GeneratorOptions& options = {}) const;
  /// One text a prompt, all at once; text n is drawn with seed + n.
  std::vector<GeneratedText> generate(std::span<const std::string> prompts,
                                      const GeneratorOptions& options = {}) const;
  /// Text as it is drawn: `sink` gets each piece of text n and returns false to end that text.
  using TextSink = std::function<bool(std::int64_t n, std::string_view piece)>;
  std::vector<GeneratedText> generate(std::span<const std::string> prompts,
                                      const GeneratorOptions& options, const TextSink& sink) const;

  /// What the assistant says next, in the form of options.chat; that of `system` is left to the
  /// conversation. Throws UsageError as chat_prompt() does, and for a form that the model's
  /// vocabulary has no end of an answer for.
  GeneratedText chat(std::span<const ChatMessage> conversation,
                     const GeneratorOptions& options) const;

  /// Every token of the text once, ends of lines too; `sink` gets each token and its log p, `about`
  /// what was read, for people.
  using TokenSink = std::function<void(std::string_view token, float log_probability)>;
  TextScore score(std::span<const std::string> lines, const ScoreOptions& options = {},
                  const TokenSink& sink = {}, std::string* about = nullptr) const;

  /// What each token looks back at; rows are named after what they predict.
  AttentionMaps attention(std::string_view text) const;
  Info info() const;
  /// What the directory says of generating: qkv's defaults for what qkv has trained.
  const GeneratorOptions& defaults() const;

  const LanguageModel& model() const { return *model_; }

 private:
  std::vector<GeneratedText> written(std::span<const std::vector<std::int32_t>> prompts,
                                     const GeneratorOptions& options, const TextSink& sink) const;

  std::shared_ptr<const LanguageModel> model_;
  LoadOptions options_;
};

}  // namespace qkv
