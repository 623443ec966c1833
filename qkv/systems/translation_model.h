// A translator as it lies in a directory: a Transformer or a recurrent network with its tokenisers.
//   config.json              format, task, architecture, model, tokeniser stems
//   model.safetensors        weights, [in, out], names of for_each_parameter
//   source.*, target.* or joint.*   the tokenisers
// Of one that is a change of another (adapter.h) network, weights and tokenisers lie there.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "qkv/data/pairs.h"
#include "qkv/models/rnn_translator.h"
#include "qkv/models/transformer.h"
#include "qkv/systems/adapter.h"
#include "qkv/systems/translate_options.h"
#include "qkv/text/tokeniser.h"

namespace qkv {

enum class Architecture : std::uint8_t { transformer, rnn };
constexpr std::array<std::string_view, 2> spelling(Architecture) { return {"transformer", "rnn"}; }

/// What a translator is made from besides the text.
struct TranslationDesign {
  std::string preset;
  /// In the order of Architecture.
  std::variant<Transformer::Config, RnnTranslator::Config> network;
  TokeniserOptions::Kind tokeniser = TokeniserOptions::Kind::bpe;
  std::optional<TokeniserOptions::Kind> target_tokeniser;  // another one for the target side
  std::optional<int> vocabulary;  // largest number of tokens; unset: subwords, no limit for words
  int subwords = 10000;
  int min_count = 1;
  bool separate = false;  // one vocabulary a side instead of a joint one
  bool lower = false, nfkc = false;

  template <class Self, class Visit>
  static void each(Self& d, Visit&& visit) {
    visit({"tokeniser", "How text becomes tokens"}, d.tokeniser);
    visit({"target_tokeniser", "Another one for the target side"}, d.target_tokeniser);
    visit({"vocabulary", "Largest number of tokens (0: no limit for words)", between(0, 1 << 24)},
          d.vocabulary);
    visit({"min_count", "Rarer words are unknown (word, character, page)", between(1, 1e9)},
          d.min_count);
    visit({"separate", "One vocabulary a side instead of a joint one"}, d.separate);
    visit({"lower", "Lower-case both sides"}, d.lower);
    visit({"nfkc", "Unicode normalisation NFKC on both sides"}, d.nfkc);
  }
  Architecture architecture() const { return static_cast<Architecture>(network.index()); }
  /// One vocabulary for both sides.
  bool joint() const { return !separate && !target_tokeniser; }
  /// Throws Error for sizes that cannot be, before any text is read.
  void check() const;
};

/// What stands around the text of a model that another program has trained, by numbers of tokens.
struct TranslationTokens {
  enum class Place : std::uint8_t { source, target };

  std::int32_t start = 0;                  // what the network reads before a target
  std::int32_t end = 0;                    // of a target
  std::int32_t source_end = -1;            // −1: sources have none
  std::vector<std::int32_t> source_begin;  // in front of every source
  std::vector<std::int32_t> target_begin;  // what targets begin with where no language is asked for
  std::vector<std::int32_t> never;         // never produced
  std::string language;  // how tokens of languages are spelled, "__{}__"; empty: there are none
  bool source_language = false;           // that of the source stands in front of it
  Place target_language = Place::target;  // where that of the target stands: it begins one of them
};
constexpr std::array<std::string_view, 2> spelling(TranslationTokens::Place) {
  return {"source", "target"};
}

struct TranslationModel {
  /// In the order of Architecture.
  std::variant<Transformer, RnnTranslator> network;
  Tokeniser source, target;  // equal when the vocabulary is joint
  bool joint = false;
  std::string preset;  // for people: what the sizes were called
  /// Of a model of another program; nothing: the tokenisers' own.
  std::optional<TranslationTokens> special = {};
  TranslateOptions defaults = {};
  std::vector<std::string> notes = {};      // what was passed over when it was loaded
  std::optional<AdapterBase> adapter = {};  // of a change of another model that is not merged

  /// `special`, or what models of this library have.
  TranslationTokens tokens() const;
  Architecture architecture() const { return static_cast<Architecture>(network.index()); }
  /// The network's parameters under its own names, so that a TranslationModel is a module.
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    std::visit([&](auto& n) { n.each(n, visit); }, m.network);
  }
  CrossEntropyResult loss(const TranslationBatch& batch, const CrossEntropyOptions& options) const;
  /// Tokens that the network can hold on either side, <bos> or <eos> counted.
  std::int64_t max_length() const;
};

/// Tokenisers learnt from the text, and a network with fresh weights. `say` hears of what was
/// learnt.
TranslationModel make_translator(const TranslationDesign& design, const TextPairs& text,
                                 std::uint64_t seed,
                                 const std::function<void(const std::string&)>& say);

/// Packs pairs [index …] with the start and the ends.
TranslationBatch pack(const TokenPairs& pairs, std::span<const std::int64_t> index,
                      const TranslationTokens& tokens);

/// Written file by file, each atomically, the configuration last.
void save_translation_model(const TranslationModel& model, const std::filesystem::path& directory);
/// Checks everything: format version, fields, names and shapes of all weights, finite numbers,
/// vocabulary sizes. Each error says the file and what to do.
TranslationModel load_translation_model(const std::filesystem::path& directory,
                                        Adapters adapters = Adapters::merged);

}  // namespace qkv
