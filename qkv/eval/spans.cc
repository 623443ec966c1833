#include "qkv/eval/spans.h"

#include <algorithm>
#include <vector>

#include <nlohmann/json.hpp>

#include "qkv/base/error.h"

namespace qkv {
namespace {

double per_cent(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(whole) : 0.0;
}

void add_sentence(SpanReport& report, const Tags& gold, const Tags& predicted) {
  const std::vector<TagSpan> expected = spans_of(gold), found = spans_of(predicted);
  for (const TagSpan& span : expected) ++report.types[span.type].gold;
  for (const TagSpan& span : found) {
    SpanCounts& counts = report.types[span.type];
    ++counts.found;
    if (std::find(expected.begin(), expected.end(), span) != expected.end()) ++counts.correct;
  }
  std::int64_t right = 0;
  for (std::size_t i = 0; i < gold.size(); ++i) right += gold[i] == predicted[i] ? 1 : 0;
  const auto length = static_cast<std::int64_t>(gold.size());
  report.correct_tags += right;
  report.tokens += length;
  ++report.sentences;
  if (right == length) ++report.correct_sentences;
}

nlohmann::json json_of(const SpanCounts& counts) {
  return {{"precision", counts.precision()},
          {"recall", counts.recall()},
          {"f1", counts.f1()},
          {"gold", counts.gold},
          {"found", counts.found},
          {"correct", counts.correct}};
}

}  // namespace

double SpanCounts::precision() const { return per_cent(correct, found); }
double SpanCounts::recall() const { return per_cent(correct, gold); }
double SpanCounts::f1() const {
  const double p = precision(), r = recall();
  return p + r > 0 ? 2 * p * r / (p + r) : 0.0;
}

double SpanReport::tag_accuracy() const { return per_cent(correct_tags, tokens); }
double SpanReport::sentence_accuracy() const { return per_cent(correct_sentences, sentences); }

SpanReport score_spans(std::span<const Tags> gold, std::span<const Tags> predicted) {
  if (gold.empty()) fail("score_spans: there is no sentence");
  if (gold.size() != predicted.size()) {
    fail("score_spans: {} sentences of gold tags but {} of predicted ones", gold.size(),
         predicted.size());
  }
  SpanReport report;
  for (std::size_t i = 0; i < gold.size(); ++i) {
    if (gold[i].size() != predicted[i].size()) {
      fail("score_spans: sentence {} has {} gold tags but {} predicted ones", i + 1, gold[i].size(),
           predicted[i].size());
    }
    add_sentence(report, gold[i], predicted[i]);
  }
  for (const auto& [type, counts] : report.types) {
    report.all.gold += counts.gold;
    report.all.found += counts.found;
    report.all.correct += counts.correct;
  }
  return report;
}

std::string SpanReport::text() const {
  std::string text =
      fmt::format("processed {} tokens with {} phrases; found: {} phrases; correct: {}.\n", tokens,
                  all.gold, all.found, all.correct);
  text += fmt::format("accuracy: {:6.2f}%; precision: {:6.2f}%; recall: {:6.2f}%; FB1: {:6.2f}\n",
                      tag_accuracy(), all.precision(), all.recall(), all.f1());
  for (const auto& [type, counts] : types) {
    text += fmt::format("{:>17}: precision: {:6.2f}%; recall: {:6.2f}%; FB1: {:6.2f}  {}\n", type,
                        counts.precision(), counts.recall(), counts.f1(), counts.found);
  }
  return text + fmt::format("sentences: {} of {} right ({:.2f}%)\n", correct_sentences, sentences,
                            sentence_accuracy());
}

std::string SpanReport::json() const {
  nlohmann::json json = json_of(all);
  json["tokens"] = tokens;
  json["tag_accuracy"] = tag_accuracy();
  json["sentences"] = sentences;
  json["sentence_accuracy"] = sentence_accuracy();
  json["types"] = nlohmann::json::object();
  for (const auto& [type, counts] : types) json["types"][type] = json_of(counts);
  return json.dump();
}

}  // namespace qkv
