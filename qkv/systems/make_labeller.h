// Fresh labellers: vocabularies and labels from labelled text, rules and priors, weights of a BERT.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/data/batching.h"
#include "qkv/data/label_files.h"
#include "qkv/data/tag_scheme.h"
#include "qkv/systems/bert_model.h"
#include "qkv/systems/labeller_model.h"

namespace qkv {

/// What informs what where there are both heads.
enum class LabelInteraction : std::uint8_t { none, class_to_tags, tags_to_class, both };
constexpr std::array<std::string_view, 4> spelling(LabelInteraction) {
  return {"none", "class_to_tags", "tags_to_class", "both"};
}

/// What a labeller is made from besides the text.
struct LabellerDesign {
  std::string preset;
  LabelTask task = LabelTask::tag;
  /// Of characters and shapes it says whether there are any, the text how many. Of a BERT's sizes
  /// nothing is read: they come with `init`.
  Labeller::Config network;

  std::string init;    // directory of a BERT that is the encoder; empty: none
  bool fresh = false;  // of it sizes and pieces, not the weights
  WordOptions words;
  bool cased = false;                   // words are looked up as they are, whatever `words` says
  TagScheme scheme = TagScheme::iobes;  // in which tags of spans are learnt
  std::int64_t min_count = 1;           // rarer words are unknown
  LabelInteraction interaction = LabelInteraction::none;
  std::optional<std::int64_t> prior_least;  // see PriorOptions; unset: 1 for a hard prior, else 0

  template <class Self, class Visit>
  static void each(Self& d, Visit&& visit) {
    visit({"scheme", "How tags of spans are learnt; default: iobes, with intents iob2"}, d.scheme);
    visit(
        {"words",
         "How text is cut; word: punctuation and CJK characters apart; pair: two texts with a tab "
         "between, for a BERT"},
        d.words.cut);
    visit({"lower", "Look words up in lower case (the default)"}, d.words.lowercase);
    visit({"cased", "Look words up as they are"}, d.cased);
    visit({"zero_digits", "Look words up with every digit as 0"}, d.words.zero_digits);
    visit({"min_count", "Rarer words are unknown", between(1, 1e9)}, d.min_count);
    visit({"interaction", "What informs what"}, d.interaction);
    visit({"prior_least", "hard: a pair must have been seen so often (default 1)", between(0, 1e9)},
          d.prior_least);
  }
  /// How a table of labelled texts is laid out for it.
  TableForm table() const;
  /// Throws Error for what cannot be, before any text is read.
  void check() const;
};

/// Running text becomes words as the options say; sentences that have words keep them.
void cut_texts(LabelledText& text, WordCut cut);

/// Vocabularies from training text with words, and a network with fresh weights or those of
/// `begin`, the BERT that the design's encoder asks for. Throws Error when the text lacks what the
/// task needs, or has but one label.
LabellerModel make_labeller(const LabellerDesign& design, const LabelledText& text,
                            std::uint64_t seed, const BertModel* begin = nullptr);

/// Lets a model whose encoder is a BERT of the same sizes begin with these weights.
void take_weights(LabellerModel& model, const BertModel& from);

/// A text as the model reads it, once and for all.
struct LabelledSet {
  LabelBatch all;  // −1 stands for labels that the model does not know
  std::vector<ExampleLength> lengths;
};
LabelledSet encode_labelled(const LabellerModel& model, const LabelledText& text, TagScheme scheme);

}  // namespace qkv
