// Training a labeller from labelled text: presets, vocabularies, the task for train(), validation
// by the scores of the field, predictions and their evaluation.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/data/batching.h"
#include "qkv/data/labelled.h"
#include "qkv/data/tag_scheme.h"
#include "qkv/eval/classification.h"
#include "qkv/eval/spans.h"
#include "qkv/systems/bert_model.h"
#include "qkv/systems/label_sentences.h"
#include "qkv/systems/labeller_model.h"
#include "qkv/systems/labels.h"
#include "qkv/train/loop.h"

namespace qkv {

enum class LabelTask : std::uint8_t {
  tag,       ///< one label a word
  classify,  ///< one label a sentence
  intent,    ///< both
};
constexpr std::array<std::string_view, 3> spelling(LabelTask) {
  return {"tag", "classify", "intent"};
}

/// Sizes and the recipe that goes with them (docs/models.md).
struct LabellingPreset {
  std::string_view name;
  LabelTask task = LabelTask::tag;
  Labeller::Config model;
  WordPiece pieces;  // with a BERT, whose sizes are in model.bert
  TrainOptions train;
  WordOptions words;
  TagScheme scheme = TagScheme::iobes;  // in which tags of spans are learnt
  std::int64_t min_count = 1;           // rarer words are unknown
  std::int64_t batch_tokens = 400;
  std::int64_t bucket = 0;  // see BatchOptions
  double class_weight = 1;  // of a class beside its sentence's tags, when there are both
  double smoothing = 0;     // of labels, not in a CRF
};
/// tiny | small; throws with this list otherwise.
LabellingPreset labelling_preset(std::string_view name, LabelTask task, LabelEncoder encoder);
std::span<const std::string_view> labelling_preset_names();

/// Running text becomes words as the options say; sentences that have words keep them.
void cut_texts(LabelledText& text, WordCut cut);

/// Vocabularies and an unset network's sizes from training text with words; tags of spans are
/// learnt in `scheme`. Throws Error when the text lacks what the task needs, or has but one label.
LabellerModel make_labeller(const LabellingPreset& preset, const LabelledText& text,
                            TagScheme scheme, std::uint64_t seed, const PriorOptions& prior = {});

/// Lets a model whose encoder is a BERT of the same sizes begin with these weights.
void take_weights(LabellerModel& model, const BertModel& from);

/// A text as the model reads it, once and for all.
struct LabelledSet {
  LabelBatch all;  // −1 stands for labels that the model does not know
  std::vector<ExampleLength> lengths;
};
LabelledSet encode_labelled(const LabellerModel& model, const LabelledText& text, TagScheme scheme);
/// Everything that the field reports; what does not apply is absent.
struct LabelScores {
  std::optional<SpanReport> spans;  // tags that write spans
  std::optional<ClassReport> tags;  // other tags, a word an example
  std::optional<ClassReport> classes;
  std::int64_t sentences = 0;
  std::int64_t correct = 0;  // sentences with everything right

  double sentence_accuracy() const;
  /// What decides which model is kept: F1 of spans, accuracy of other tags or of classes; with tags
  /// and classes the mean of F1, accuracy and the share of sentences with everything right, which
  /// alone would jump about.
  double score() const;
  /// "F1 94.2  intent 97.1  sentences 85.9"
  std::string line() const;
  std::string text() const;
  std::string json() const;
};
LabelScores score_labelled(const LabelledText& gold, std::span<const Labelled> predicted);
/// What a system makes of labelled text.
LabelScores evaluate_labels(const LabelSystem& system, LabelledText text);

struct LabellingTraining {
  const LabelledSet& train;
  const LabelledSet& valid;
  const LabelledText& valid_text;
  BatchOptions batches;
  double class_weight = 1;
  double smoothing = 0;
};
/// The task of train() for `model`; both must outlive it. `directory` is where the best model goes.
TrainTask labelling_task(LabellerModel& model, const LabellingTraining& training,
                         const std::filesystem::path& directory);

}  // namespace qkv
