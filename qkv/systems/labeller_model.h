// A labeller as it lies in a directory: the network with its vocabularies.
//   config.json         format, task (tag, classify, intent), model, how words are read
//   model.safetensors   weights, [in, out], names of for_each_parameter; the prior table ("prior")
//                       and the rules for tags ("rules.transition", "rules.start", "rules.end")
//   vocab.txt           with a BERT: its pieces (of some of its relatives tokenizer.json);
//                       config.json then has its sizes ("bert")
//   words.vocabulary, characters.vocabulary, tags.vocabulary, classes.vocabulary
// Of one that is a change of a BERT (adapter.h) the BERT and its pieces lie elsewhere, and the
// weights are those of the heads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/models/labeller.h"
#include "qkv/systems/adapter.h"
#include "qkv/text/bert_pieces.h"
#include "qkv/text/split.h"
#include "qkv/text/vocabulary.h"

namespace qkv {

/// What happens to a word before it is looked up among the words. Characters and shape always come
/// from the word as it is.
struct WordOptions {
  bool lowercase = false;
  bool zero_digits = false;      // 1984 -> 0000
  WordCut cut = WordCut::space;  // how running text becomes words
};
std::string word_as_read(std::string_view word, const WordOptions& options);

/// The form of a word as a small number: Capital, UPPER, miXed, with digits, signs …
std::int32_t word_shape(std::string_view word);
inline constexpr std::int32_t kWordShapes = 9;

/// Tags and classes stand in vocabularies behind the special tokens; label i is token kSpecials +
/// i.
inline std::int32_t label_count(const Vocabulary& labels) {
  return labels.size() - Vocabulary::kSpecials;
}
/// −1 for a label that is not there.
inline std::int32_t label_id(const Vocabulary& labels, std::string_view name) {
  const std::int32_t id = labels.id(name);
  return id < Vocabulary::kSpecials ? -1 : id - Vocabulary::kSpecials;
}
inline const std::string& label_name(const Vocabulary& labels, std::int32_t label) {
  return labels.token(label + Vocabulary::kSpecials);
}

struct LabellerModel {
  Labeller network;
  Vocabulary words;
  Vocabulary characters;     // when network.config.characters > 0
  Vocabulary tags, classes;  // when the network has the head
  BertPieces pieces;         // when the encoder is a BERT; then there are no words
  WordOptions word_options;  // likewise: only the cut counts, and lowercase is that of the pieces
  std::int64_t longest = 0;  // pieces that another program's tokeniser lets through; 0: no limit
  std::string preset;        // for people: what the sizes were called
  std::vector<std::string> notes;      // what was passed over while loading; to be shown to people
  std::optional<AdapterBase> adapter;  // of a change of a BERT whose adapters are not merged

  /// The network's parameters under its own names, so that a LabellerModel is a module.
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    Labeller::each(m.network, visit);
  }
  /// Pieces of a BERT that a sentence may have, without the two around it.
  std::int64_t room() const;
  /// "tag", "classify" or "intent": which heads there are.
  std::string_view task() const;
  /// A line as words. With tags, whose words came cut, `space` means spaces and tabs alone, as in
  /// the files of columns and slots: a no-break space stays in its word.
  std::vector<std::string> cut(std::string_view line, WordCut how) const;
  /// What the network reads of these sentences; tags and classes stay empty. `cut`: how they were
  /// cut, by default as in training; the two "words" of a pair are read as two texts.
  LabelBatch batch(std::span<const std::vector<std::string>> sentences,
                   std::optional<WordCut> cut = {}) const;
  /// Throws Error for words that this model cannot have.
  void check_cut(WordCut cut) const;

 private:
  LabelBatch piece_batch(std::span<const std::vector<std::string>> sentences) const;
  LabelBatch pair_batch(std::span<const std::vector<std::string>> sentences) const;
};

/// Whether a parameter over a BERT is the labeller's own: of a head, or of the pooler.
bool is_of_head(std::string_view path);

/// Written file by file, each atomically, the configuration last.
void save_labeller_model(const LabellerModel& model, const std::filesystem::path& directory);
/// Checks everything: format version, fields, names and shapes of all weights, finite numbers,
/// vocabulary sizes. Each error says the file and what to do. Another program's BERT with a head
/// for labels is read too (import/bert_labels.h).
LabellerModel load_labeller_model(const std::filesystem::path& directory,
                                  Adapters adapters = Adapters::merged);

}  // namespace qkv
