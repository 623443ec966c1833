// Training a labeller from labelled text: the recipe with its presets, vocabularies, the task for
// train(), validation by the scores of the field, predictions and their evaluation.
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
#include "qkv/train/run.h"

namespace qkv {

enum class LabelTask : std::uint8_t {
  tag,       ///< one label a word
  classify,  ///< one label a sentence
  intent,    ///< both
};
constexpr std::array<std::string_view, 3> spelling(LabelTask) {
  return {"tag", "classify", "intent"};
}

/// What informs what where there are both heads.
enum class LabelInteraction : std::uint8_t { none, class_to_tags, tags_to_class, both };
constexpr std::array<std::string_view, 4> spelling(LabelInteraction) {
  return {"none", "class_to_tags", "tags_to_class", "both"};
}

/// Everything that makes a labeller besides the text (docs/models.md).
struct LabellingRecipe {
  std::string preset;
  LabelTask task = LabelTask::tag;
  /// Of characters and shapes it says whether there are any, the text how many. Of a BERT's sizes
  /// nothing is read: they come with `init`.
  Labeller::Config network;
  TrainOptions train;

  std::string init;    // directory of a BERT that is the encoder; empty: none
  bool fresh = false;  // of it sizes and pieces, not the weights
  WordOptions words;
  bool cased = false;                   // words are looked up as they are, whatever `words` says
  TagScheme scheme = TagScheme::iobes;  // in which tags of spans are learnt
  std::int64_t min_count = 1;           // rarer words are unknown
  LabelInteraction interaction = LabelInteraction::none;
  std::optional<std::int64_t> prior_least;  // see PriorOptions; unset: 1 for a hard prior, else 0
  std::int64_t batch_tokens = 400;
  std::int64_t bucket = 0;  // see BatchOptions
  double class_weight = 1;  // of a class beside its sentence's tags, when there are both
  double smoothing = 0;     // of labels, not in a CRF

  template <class Self, class Visit>
  static void each(Self& r, Visit&& visit) {
    visit({"scheme", "How tags of spans are learnt; default: iobes, with intents iob2"}, r.scheme);
    visit({"words", "How text is cut; word: punctuation and CJK characters apart"}, r.words.cut);
    visit({"lower", "Look words up in lower case (the default)"}, r.words.lowercase);
    visit({"cased", "Look words up as they are"}, r.cased);
    visit({"zero_digits", "Look words up with every digit as 0"}, r.words.zero_digits);
    visit({"min_count", "Rarer words are unknown", between(1, 1e9)}, r.min_count);
    visit({"interaction", "What informs what"}, r.interaction);
    visit({"prior_least", "hard: a pair must have been seen so often (default 1)", between(0, 1e9)},
          r.prior_least);
    visit(changeable({"batch_tokens", "Words of a batch", between(1, 1e9)}), r.batch_tokens);
    visit({"smoothing", "Label smoothing (not in a CRF)", share()}, r.smoothing);
    visit({"class_weight", "Of the intent's loss beside the tags'", non_negative()},
          r.class_weight);
  }
  /// Throws Error for what cannot be, before any text is read.
  void check() const;
};
/// tiny | small; throws UsageError with this list otherwise. LabelEncoder::bert wants an `init`.
LabellingRecipe labelling_recipe(std::string_view preset, LabelTask task, LabelEncoder encoder);

/// Running text becomes words as the options say; sentences that have words keep them.
void cut_texts(LabelledText& text, WordCut cut);

/// Vocabularies from training text with words, and a network with fresh weights or those of
/// `begin`, the BERT that the recipe's encoder asks for. Throws Error when the text lacks what the
/// task needs, or has but one label.
LabellerModel make_labeller(const LabellingRecipe& recipe, const LabelledText& text,
                            const BertModel* begin = nullptr);

struct LabellingTexts {
  LabelledText train, valid;
};
/// The whole run; `run` says where and whether it goes on. Throws UsageError and Error before the
/// first step for what cannot be.
TrainReport train_labeller(const LabellingRecipe& recipe, LabellingTexts texts, TrainingRun& run,
                           const TrainWatch& watch);

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
