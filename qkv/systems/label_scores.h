// How well labels were found: which scores apply, and how they are put together.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "qkv/data/labelled.h"
#include "qkv/eval/classification.h"
#include "qkv/eval/correlation.h"
#include "qkv/eval/label_sets.h"
#include "qkv/eval/spans.h"
#include "qkv/systems/label_sentences.h"
#include "qkv/systems/labels.h"

namespace qkv {

/// Everything that the field reports; what does not apply is absent.
struct LabelScores {
  std::optional<SpanReport> spans;  // tags that write spans
  std::optional<ClassReport> tags;  // other tags, a word an example
  std::optional<ClassReport> classes;
  std::optional<LabelSetReport> several;  // labels, any number a sentence
  std::optional<NumberReport> numbers;
  std::int64_t sentences = 0;
  std::int64_t correct = 0;  // sentences with everything right

  double sentence_accuracy() const;
  /// What decides which model is kept: F1 of spans, accuracy of other tags or of classes; with tags
  /// and classes the mean of F1, accuracy and the share of sentences with everything right, which
  /// alone would jump about. Of several labels their F1, of numbers 100·R².
  double score() const;
  /// "F1 94.2  intent 97.1  sentences 85.9"
  std::string line() const;
  std::string text() const;
  std::string json() const;
};
LabelScores score_labelled(const LabelledText& gold, std::span<const Labelled> predicted);
/// What a system makes of labelled text, cut as the options say.
LabelScores evaluate_labels(const LabelSystem& system, LabelledText text,
                            const LabelOptions& options = {});

}  // namespace qkv
