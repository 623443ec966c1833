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

#include "qkv/attention/cache_storage.h"
#include "qkv/systems/system.h"
#include "qkv/view/attention_maps.h"

namespace qkv {

struct LanguageModel;  // language_model.h: what training makes

struct GeneratorOptions {
  std::int64_t tokens = 256;  // most tokens of a text
  double temperature = 1.0;   // 0: always the likeliest token
  bool greedy = false;        // the same
  std::int64_t top_k = 0;     // 0: all
  double top_p = 1.0;
  double repetition_penalty = 1.0;
  std::int64_t repetition_window = 0;
  std::uint64_t seed = 1;
  int beam = 0;  // > 0: beam search in place of drawing
  double length_penalty = 1.0;
  std::int64_t context = 0;  // how many tokens back softmax attention looks (0: all that fits)
  CacheType cache = CacheType::f32;  // precision of keys and values
  std::int64_t window = 0;           // > 0: a token sees so many back, and no more is kept
  bool line = false;                 // stop at the end of the line
  std::int64_t batch = 32;           // texts under way at once

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"tokens", "Most tokens to write", between(0, 1e9)}, o.tokens);
    visit(
        {"temperature", "Below 1 likelier tokens gain, above 1 they lose; 0: always the likeliest",
         non_negative()},
        o.temperature);
    visit({"greedy", "Always the likeliest token"}, o.greedy);
    visit({"top_k", "Draw from the k likeliest tokens (0: from all)", between(0, 1e9)}, o.top_k);
    visit({"top_p",
           "Draw from the likeliest tokens that reach this mass",
           {.least = 0, .most = 1, .open_least = true}},
          o.top_p);
    visit({"repetition_penalty", "Above 1: tokens that occurred lose", positive()},
          o.repetition_penalty);
    visit({"repetition_window", "How many tokens back that counts (0: all)", between(0, 1e9)},
          o.repetition_window);
    visit({"seed", "Of the draws"}, o.seed);
    visit(
        {"beam", "Search with a beam of this width instead of drawing (0: draw)", between(0, 1024)},
        o.beam);
    visit(
        {"length_penalty", "With --beam: exponent of the length normalisation", between(-100, 100)},
        o.length_penalty);
    visit({"context", "How many tokens back softmax attention looks, at most (0: all that fits)",
           between(0, 1e9)},
          o.context);
    visit({"cache", "What keys and values are kept in; bf16 and int8 take less memory"}, o.cache);
    visit({"window", "A token sees itself and so many before it (0: all)", between(0, 1e9)},
          o.window);
    visit({"line", "Stop at the end of the line"}, o.line);
    visit({"batch", "Texts under way at once", between(1, 4096)}, o.batch);
  }
};

struct GeneratedText {
  std::string text;                 // what follows the prompt
  std::vector<std::string> tokens;  // its pieces
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

  GeneratedText generate(std::string_view prompt, const GeneratorOptions& options = {}) const;
  /// One text a prompt, all at once; text n is drawn with seed + n.
  std::vector<GeneratedText> generate(std::span<const std::string> prompts,
                                      const GeneratorOptions& options = {}) const;
  /// Text as it is drawn: `sink` gets each piece of text n and returns false to end that text.
  using TextSink = std::function<bool(std::int64_t n, std::string_view piece)>;
  std::vector<GeneratedText> generate(std::span<const std::string> prompts,
                                      const GeneratorOptions& options, const TextSink& sink) const;

  /// Every token of the text once, ends of lines too; `sink` gets each token and its log p, `about`
  /// what was read, for people.
  using TokenSink = std::function<void(std::string_view token, float log_probability)>;
  TextScore score(std::span<const std::string> lines, const ScoreOptions& options = {},
                  const TokenSink& sink = {}, std::string* about = nullptr) const;

  /// What each token looks back at; rows are named after what they predict.
  AttentionMaps attention(std::string_view text) const;
  Info info() const;

  const LanguageModel& model() const { return *model_; }

 private:
  std::shared_ptr<const LanguageModel> model_;
  LoadOptions options_;
};

}  // namespace qkv
