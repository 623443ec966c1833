// A language model as it lies in a directory: an MPT or a recurrent network with its tokeniser.
//   config.json              format, task "lm", architecture, model, text, context; ends of texts
//   model.safetensors        weights, [in, out], names of for_each_parameter
//   text.*                   the tokeniser
// as a change of another one (adapter.h), where network, weights and tokeniser lie, or as another
// program has left it there (import/decoder_config.h). Text is then cut as that program cuts it:
// the tokeniser is a pipeline, which knows what goes around a text.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "qkv/data/text_stream.h"
#include "qkv/decode/language_decoder.h"
#include "qkv/models/mpt.h"
#include "qkv/models/rnn_language.h"
#include "qkv/systems/adapter.h"
#include "qkv/text/tokeniser.h"

namespace qkv {

enum class LanguageArchitecture : std::uint8_t { mpt, rnn };
constexpr std::array<std::string_view, 2> spelling(LanguageArchitecture) { return {"mpt", "rnn"}; }

/// Windows of text with what is to be predicted after each token.
struct LanguageBatch {
  std::vector<std::int32_t> ids, targets;  // [T]; target −1: counts for nothing
  Segments segments;
  std::vector<std::uint8_t> prefix;  // [T]: 1 where a window is given; for prefix models
};

/// What a language model is made from besides the text.
struct LanguageDesign {
  std::string preset;
  /// In the order of LanguageArchitecture. An MPT's max_seq_len follows from `context`.
  std::variant<Mpt::Config, RnnLanguage::Config> network;
  TokeniserOptions tokeniser;
  bool by_line = false;        // every line is a text of its own
  std::int64_t context = 256;  // tokens of a window

  template <class Self, class Visit>
  static void each(Self& d, Visit&& visit) {
    visit({"tokeniser", "How text becomes tokens; space: words as they stand"}, d.tokeniser.kind);
    visit({"vocabulary", "Largest number of tokens (0: no limit for words and characters)",
           between(0, 1 << 24)},
          d.tokeniser.vocabulary_size);
    visit({"min_count", "Rarer words and characters are unknown", between(1, 1e9)},
          d.tokeniser.min_count);
    visit({"lower", "Lower-case the text"}, d.tokeniser.normalise.lower);
    visit({"nfkc", "Unicode normalisation NFKC"}, d.tokeniser.normalise.nfkc);
    visit({"by_line", "Every line is a text of its own"}, d.by_line);
    visit({"context", "Tokens of a training window", between(1, 1 << 24)}, d.context);
  }
  LanguageArchitecture architecture() const {
    return static_cast<LanguageArchitecture>(network.index());
  }
  /// Throws Error for sizes that cannot be, before any text is read.
  void check() const;
};

struct LanguageModel {
  /// In the order of LanguageArchitecture.
  std::variant<Mpt, RnnLanguage> network;
  Tokeniser tokeniser;
  bool by_line = false;                // trained on lines, each a document, or on text end to end
  std::int64_t context = 0;            // tokens of a window in training
  std::string preset;                  // for people: what the sizes were called
  std::vector<std::int32_t> ends;      // of imported models: the tokens that end a text
  std::vector<std::string> notes;      // what was passed over while loading; to be shown to people
  std::optional<AdapterBase> adapter;  // of a change of another model that is not merged

  /// The network's parameters under its own names, so that a LanguageModel is a module.
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    std::visit([&](auto& n) { n.each(n, visit); }, m.network);
  }
  LanguageArchitecture architecture() const {
    return static_cast<LanguageArchitecture>(network.index());
  }
  std::int64_t vocabulary() const {
    return std::visit([](const auto& n) { return n.config.vocab_size; }, network);
  }
  /// The network where it is an MPT, else null.
  const Mpt* mpt() const { return std::get_if<Mpt>(&network); }
  /// Whether the given part of a window is seen by all of its tokens (Mpt's prefix_lm).
  bool sees_prefix() const { return mpt() != nullptr && mpt()->config.attn_config.prefix_lm; }
  /// Tokens of the longest window that the network can read; 0: no limit.
  std::int64_t longest() const;

  MptBatch mpt_batch(const LanguageBatch& batch) const;
  CrossEntropyResult loss(const LanguageBatch& batch, const CrossEntropyOptions& options) const;
  /// log p of each target [T]; 0 where there is none. Not differentiable.
  std::vector<float> log_probabilities(const LanguageBatch& batch) const;

  /// Step by step, many texts at once; the model must outlive it.
  std::unique_ptr<StepModel> decoder(const LanguageDecoderOptions& options = {}) const;

  /// How lines become tokens. Texts by line begin with <bos>; a text end to end begins as if a line
  /// had ended. Lines end with <eos>, in character models with a newline.
  StreamFormat format() const;
  LineEncoder encoder() const;
  /// The tokens of a prompt: all lines but the last end, and the start goes before them. To an
  /// imported model the whole text as its program cuts it. Throws Error when that leaves no token.
  std::vector<std::int32_t> prompt(std::string_view text) const;
};

/// The token that ends lines in texts end to end; of a pipeline that of a newline, or else eos.
std::int32_t line_end_of(const Tokeniser& tokeniser);
/// Lines as a tokeniser for language models learns from them: a character model learns the newline.
Tokeniser train_language_tokeniser(const TokeniserOptions& options,
                                   std::span<const std::string> lines);

/// A tokeniser learnt from the lines, and a network with fresh weights.
LanguageModel make_language_model(const LanguageDesign& design, std::span<const std::string> lines,
                                  std::uint64_t seed);

/// Windows of the stream as a batch; what stands before a window's `scored` gets no target.
LanguageBatch pack(const TextStream& stream, std::span<const Window> windows);

/// Written file by file, each atomically, the configuration last.
void save_language_model(const LanguageModel& model, const std::filesystem::path& directory);
/// Ours or another program's. Checks everything: format version, fields, names and shapes of all
/// weights, finite numbers, vocabulary size. Each error says the file and what to do.
LanguageModel load_language_model(const std::filesystem::path& directory,
                                  Adapters adapters = Adapters::merged);

}  // namespace qkv
