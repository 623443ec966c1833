#include "qkv/systems/label_scores.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/base/number.h"
#include "qkv/systems/make_labeller.h"

namespace qkv {

namespace {

/// Numbers, or several labels a sentence.
void score_answers(const LabelledText& gold, std::span<const Labelled> predicted,
                   LabelScores& scores, std::vector<std::uint8_t>& right) {
  std::vector<double> wanted, given;
  std::vector<LabelSet> wanted_sets, given_sets;
  for (std::size_t i = 0; i < predicted.size(); ++i) {
    if (predicted[i].value) {
      const std::optional<double> number = parse_double(gold.labels[i]);
      if (!number) fail("'{}' is no number, which the model gives", gold.labels[i]);
      wanted.push_back(*number);
      given.push_back(*predicted[i].value);
      right[i] = wanted.back() == given.back();
    } else {
      wanted_sets.push_back(labels_between_commas(gold.labels[i]));
      given_sets.push_back(*predicted[i].several);
    }
  }
  if (!wanted.empty()) {
    scores.numbers = score_numbers(wanted, given);
    return;
  }
  scores.several = score_label_sets(wanted_sets, given_sets);
  for (std::size_t i = 0; i < right.size(); ++i) {
    const LabelSetReport one =
        score_label_sets(std::span(&wanted_sets[i], 1), std::span(&given_sets[i], 1));
    right[i] = one.exact == 1;
  }
}

}  // namespace

LabelScores score_labelled(const LabelledText& gold, std::span<const Labelled> predicted) {
  if (gold.words.size() != predicted.size()) {
    fail("score_labelled: {} sentences but {} predictions", gold.words.size(), predicted.size());
  }
  LabelScores scores;
  scores.sentences = static_cast<std::int64_t>(predicted.size());
  std::vector<std::uint8_t> right(predicted.size(), 1);
  const bool has_tags =
      !gold.tags.empty() && std::any_of(predicted.begin(), predicted.end(),
                                        [](const auto& p) { return !p.tags.empty(); });
  if (has_tags) {
    std::vector<Tags> expected, found;
    bool spans = true;
    for (std::size_t i = 0; i < predicted.size(); ++i) {
      for (const Tags* tags : {&gold.tags[i], &predicted[i].tags}) {
        spans = spans && std::all_of(tags->begin(), tags->end(), is_span_tag);
      }
    }
    for (std::size_t i = 0; i < predicted.size(); ++i) {
      // One scheme on both sides, so that equal spans are equal tags.
      expected.push_back(spans ? convert_tags(gold.tags[i], TagScheme::iob2) : gold.tags[i]);
      found.push_back(spans ? convert_tags(predicted[i].tags, TagScheme::iob2) : predicted[i].tags);
      if (expected.back() != found.back()) right[i] = 0;
    }
    if (spans) {
      scores.spans = score_spans(expected, found);
    } else {
      std::vector<std::string> a, b;
      for (const Tags& tags : expected) a.insert(a.end(), tags.begin(), tags.end());
      for (const Tags& tags : found) b.insert(b.end(), tags.begin(), tags.end());
      scores.tags = score_classes(a, b);
    }
  }
  const bool numbers = !predicted.empty() && predicted.front().value.has_value();
  const bool several = !predicted.empty() && predicted.front().several.has_value();
  if (numbers || several) {
    score_answers(gold, predicted, scores, right);
  } else if (!gold.labels.empty() && !predicted.empty() && !predicted.front().label.empty()) {
    std::vector<std::string> found;
    for (const Labelled& p : predicted) found.push_back(p.label);
    scores.classes = score_classes(gold.labels, found);
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (found[i] != gold.labels[i]) right[i] = 0;
    }
  }
  scores.correct = std::count(right.begin(), right.end(), 1);
  return scores;
}

double LabelScores::sentence_accuracy() const {
  return sentences > 0 ? 100.0 * static_cast<double>(correct) / static_cast<double>(sentences)
                       : 0.0;
}

double LabelScores::score() const {
  if (numbers) return 100 * numbers->explained;
  if (several) return several->all.f1();
  const double of_tags = spans ? spans->all.f1() : tags ? tags->accuracy() : 0;
  if (!classes) return of_tags;
  if (!spans && !tags) return classes->accuracy();
  return (of_tags + classes->accuracy() + sentence_accuracy()) / 3;
}

std::string LabelScores::line() const {
  std::string text;
  const auto add = [&text](std::string_view name, double value) {
    text += fmt::format("{}{} {:.2f}", text.empty() ? "" : "  ", name, value);
  };
  if (spans) add("F1", spans->all.f1());
  if (tags) add("tags", tags->accuracy());
  if (several) add("F1", several->all.f1());
  if (numbers) {
    text = fmt::format("Pearson {:.4f}  Spearman {:.4f}  MSE {:.4g}", numbers->pearson,
                       numbers->spearman, numbers->squared_error);
  }
  if (classes) add(spans || tags ? "intent" : "accuracy", classes->accuracy());
  if (classes && (spans || tags)) add("sentences", sentence_accuracy());
  return text;
}

std::string LabelScores::text() const {
  std::string text;
  if (spans) text += spans->text();
  if (tags) text += tags->text();
  if (classes) text += classes->text();
  if (several) text += several->text();
  if (numbers) text += numbers->text();
  if (classes && (spans || tags)) {
    text += fmt::format("everything right: {} of {} sentences ({:.2f}%)\n", correct, sentences,
                        sentence_accuracy());
  }
  return text;
}

std::string LabelScores::json() const {
  nlohmann::json json = {{"sentences", sentences}, {"sentence_accuracy", sentence_accuracy()}};
  if (spans) json["spans"] = nlohmann::json::parse(spans->json());
  if (tags) json["tags"] = nlohmann::json::parse(tags->json());
  if (several) json["labels"] = nlohmann::json::parse(several->json());
  if (numbers) json["numbers"] = nlohmann::json::parse(numbers->json());
  if (classes) json["classes"] = nlohmann::json::parse(classes->json());
  return json.dump();
}

LabelScores evaluate_labels(const LabelSystem& system, LabelledText text,
                            const LabelOptions& options) {
  const LabellerModel& model = system.model();
  const WordCut cut = options.words.value_or(model.word_options.cut);
  model.check_cut(cut);
  cut_texts(text, cut);
  return score_labelled(text, label_sentences(model, text.words, {.cut = cut}));
}

}  // namespace qkv
