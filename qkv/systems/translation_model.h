// A translator as it lies in a directory: a Transformer or a recurrent network with its tokenisers.
//   config.json              format, task, architecture, model, tokeniser stems
//   model.safetensors        weights, [in, out], names of for_each_parameter
//   source.*, target.* or joint.*   the tokenisers
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <variant>

#include "qkv/models/rnn_translator.h"
#include "qkv/models/transformer.h"
#include "qkv/text/tokeniser.h"

namespace qkv {

enum class Architecture : std::uint8_t { transformer, rnn };
constexpr std::array<std::string_view, 2> spelling(Architecture) { return {"transformer", "rnn"}; }

struct TranslationModel {
  /// In the order of Architecture.
  std::variant<Transformer, RnnTranslator> network;
  Tokeniser source, target;  // equal when the vocabulary is joint
  bool joint = false;
  std::string preset;  // for people: what the sizes were called

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

/// Written file by file, each atomically, the configuration last.
void save_translation_model(const TranslationModel& model, const std::filesystem::path& directory);
/// Checks everything: format version, fields, names and shapes of all weights, finite numbers,
/// vocabulary sizes. Each error says the file and what to do.
TranslationModel load_translation_model(const std::filesystem::path& directory);

}  // namespace qkv
