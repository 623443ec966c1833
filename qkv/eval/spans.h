// Precision, recall and F1 of spans as conlleval counts them (Tjong Kim Sang and Buchholz 2000): a
// span is right when begin, end and type all are. Rates are per cent; a rate of nothing is 0.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "qkv/data/tag_scheme.h"

namespace qkv {

struct SpanCounts {
  std::int64_t gold = 0, found = 0, correct = 0;

  double precision() const;
  double recall() const;
  double f1() const;
};

struct SpanReport {
  SpanCounts all;
  std::map<std::string, SpanCounts> types;
  std::int64_t tokens = 0, correct_tags = 0;
  std::int64_t sentences = 0, correct_sentences = 0;  // all tags of the sentence right

  double tag_accuracy() const;
  double sentence_accuracy() const;
  /// conlleval's own lines, and one more with the accuracy of sentences.
  std::string text() const;
  std::string json() const;
};

/// Sentence i of one beside sentence i of the other. Throws Error when there is none, when numbers
/// of sentences or words differ, and for what is no tag of spans.
SpanReport score_spans(std::span<const Tags> gold, std::span<const Tags> predicted);

}  // namespace qkv
