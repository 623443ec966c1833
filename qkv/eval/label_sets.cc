#include "qkv/eval/label_sets.h"

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "qkv/base/error.h"

namespace qkv {
namespace {

double per_cent(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(whole) : 0.0;
}

nlohmann::json json_of(const LabelSetReport::Counts& c) {
  return {{"precision", c.precision()}, {"recall", c.recall()}, {"f1", c.f1()}, {"gold", c.gold},
          {"found", c.found},           {"right", c.right}};
}

}  // namespace

double LabelSetReport::Counts::precision() const { return per_cent(right, found); }
double LabelSetReport::Counts::recall() const { return per_cent(right, gold); }
double LabelSetReport::Counts::f1() const { return per_cent(2 * right, gold + found); }

double LabelSetReport::macro_f1() const {
  double sum = 0;
  for (const auto& [name, counts] : labels) sum += counts.f1();
  return sum / static_cast<double>(std::max<std::size_t>(1, labels.size()));
}

double LabelSetReport::exact_rate() const { return per_cent(exact, examples); }

std::string LabelSetReport::text() const {
  std::string text = fmt::format(
      "{} examples, {} labels\nprecision: {:6.2f}%; recall: {:6.2f}%; F1: {:6.2f}; macro-F1: "
      "{:6.2f}; all labels right: {:6.2f}%\n",
      examples, labels.size(), all.precision(), all.recall(), all.f1(), macro_f1(), exact_rate());
  for (const auto& [name, c] : labels) {
    text += fmt::format("{:>17}: precision: {:6.2f}%; recall: {:6.2f}%; F1: {:6.2f}  {}\n", name,
                        c.precision(), c.recall(), c.f1(), c.gold);
  }
  return text;
}

std::string LabelSetReport::json() const {
  nlohmann::json json = json_of(all);
  json["examples"] = examples;
  json["macro_f1"] = macro_f1();
  json["exact"] = exact_rate();
  json["labels"] = nlohmann::json::object();
  for (const auto& [name, counts] : labels) json["labels"][name] = json_of(counts);
  return json.dump();
}

LabelSetReport score_label_sets(std::span<const LabelSet> gold,
                                std::span<const LabelSet> predicted) {
  if (gold.empty()) fail("score_label_sets: there is no example");
  if (gold.size() != predicted.size()) {
    fail("score_label_sets: {} gold sets but {} predicted ones", gold.size(), predicted.size());
  }
  LabelSetReport report;
  report.examples = static_cast<std::int64_t>(gold.size());
  for (std::size_t i = 0; i < gold.size(); ++i) {
    const std::set<std::string> right(gold[i].begin(), gold[i].end()),
        found(predicted[i].begin(), predicted[i].end());
    for (const std::string& label : right) ++report.labels[label].gold;
    for (const std::string& label : found) {
      ++report.labels[label].found;
      if (right.contains(label)) ++report.labels[label].right;
    }
    report.exact += right == found;
  }
  for (const auto& [name, c] : report.labels) {
    report.all.gold += c.gold;
    report.all.found += c.found;
    report.all.right += c.right;
  }
  return report;
}

}  // namespace qkv
