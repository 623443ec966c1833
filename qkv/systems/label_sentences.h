// What a labeller says of sentences that are cut into words, in batches.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "qkv/data/labelled.h"
#include "qkv/data/tag_scheme.h"
#include "qkv/eval/label_sets.h"
#include "qkv/systems/labeller_model.h"

namespace qkv {

/// Words of a sentence that the model can hold; 0: any number, as of texts, which are cut by
/// pieces.
std::int64_t longest_sentence(const LabellerModel& model, std::optional<WordCut> cut = {});
/// Shortens longer sentences, words and tags; returns how many. 0: no limit.
std::int64_t cut_long(LabelledText& text, std::int64_t longest);

/// Whether these tags write spans; other tags (parts of speech) are judged one by one.
bool writes_spans(const Vocabulary& tags);

/// The sentences [index …] of a set, packed.
LabelBatch pack(const LabelBatch& all, std::span<const std::int64_t> index);

/// How a table of labelled texts is laid out for the model.
TableForm table_for(const LabellerModel& model, WordCut cut);

/// Tokens of sequence i of a batch, as batches are filled: pieces where words are whole texts.
std::int64_t length_of(const LabelBatch& all, std::int64_t i, WordCut cut);

struct Labelled {
  Tags tags;                                // empty without a tag head
  std::vector<double> tag_probabilities;    // of each of them
  double tag_score = 0;                     // log p of all of them
  std::string label;                        // empty without a class head
  std::vector<double> class_probabilities;  // of model.classes by number
  std::optional<LabelSet> several;  // ClassAnswer::labels: those above ½; `label` joins them
  std::optional<double> value;      // ClassAnswer::number; `label` spells it
  std::int64_t left_out = 0;        // pieces that found no room
};
struct LabellingOptions {
  TagScheme scheme = TagScheme::iob2;
  std::int64_t batch_tokens = 2048;
  std::optional<WordCut> cut = {};  // how the sentences were cut; unset: as in training
  bool tag_probabilities = false;   // wanted
};
/// Predictions in the order of the sentences; tags of spans are written in the scheme. A sentence
/// gets the same answer whatever stands beside it. Words beyond the longest that the network holds
/// are tagged O or with the most frequent tag.
std::vector<Labelled> label_sentences(const LabellerModel& model,
                                      std::span<const std::vector<std::string>> sentences,
                                      const LabellingOptions& options = {});

}  // namespace qkv
