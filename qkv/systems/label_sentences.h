// What a labeller says of sentences that are cut into words, in batches.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "qkv/data/labelled.h"
#include "qkv/data/tag_scheme.h"
#include "qkv/systems/labeller_model.h"

namespace qkv {

/// Words of a sentence that the model can hold; 0: any number.
std::int64_t longest_sentence(const LabellerModel& model);
/// Shortens longer sentences, words and tags; returns how many. 0: no limit.
std::int64_t cut_long(LabelledText& text, std::int64_t longest);

/// Whether these tags write spans; other tags (parts of speech) are judged one by one.
bool writes_spans(const Vocabulary& tags);

/// The sentences [index …] of a set, packed.
LabelBatch pack(const LabelBatch& all, std::span<const std::int64_t> index);

struct Labelled {
  Tags tags;                                // empty without a tag head
  double tag_score = 0;                     // log p of all of them
  std::string label;                        // empty without a class head
  std::vector<double> class_probabilities;  // of model.classes by number
};
/// Predictions in the order of the sentences; tags of spans are written in `scheme`. A sentence
/// gets the same answer whatever stands beside it. Words beyond the longest that the network holds
/// are tagged O or with the most frequent tag.
std::vector<Labelled> label_sentences(const LabellerModel& model,
                                      std::span<const std::vector<std::string>> sentences,
                                      TagScheme scheme = TagScheme::iob2,
                                      std::int64_t batch_tokens = 2048);

}  // namespace qkv
