#include "qkv/eval/classification.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "qkv/base/error.h"

namespace qkv {
namespace {

double per_cent(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(whole) : 0.0;
}

/// Columns as wide as what stands in them.
std::string matrix(const ClassReport& report) {
  std::size_t name = 4, cell = 1;
  for (const std::string& label : report.labels) {
    name = std::max(name, label.size());
    cell = std::max(cell, label.size());
  }
  for (const std::int64_t count : report.confusion) {
    cell = std::max(cell, std::to_string(count).size());
  }
  std::string text = fmt::format("{:<{}}", "gold \\ predicted", std::max<std::size_t>(name, 16));
  for (const std::string& label : report.labels) text += fmt::format("  {:>{}}", label, cell);
  text += "\n";
  for (std::size_t g = 0; g < report.labels.size(); ++g) {
    text += fmt::format("{:<{}}", report.labels[g], std::max<std::size_t>(name, 16));
    for (std::size_t p = 0; p < report.labels.size(); ++p) {
      text += fmt::format("  {:>{}}", report.count(g, p), cell);
    }
    text += "\n";
  }
  return text;
}

}  // namespace

std::int64_t ClassReport::total() const {
  std::int64_t sum = 0;
  for (const std::int64_t count : confusion) sum += count;
  return sum;
}

std::int64_t ClassReport::gold(std::size_t label) const {
  std::int64_t sum = 0;
  for (std::size_t p = 0; p < labels.size(); ++p) sum += count(label, p);
  return sum;
}

std::int64_t ClassReport::found(std::size_t label) const {
  std::int64_t sum = 0;
  for (std::size_t g = 0; g < labels.size(); ++g) sum += count(g, label);
  return sum;
}

double ClassReport::precision(std::size_t label) const {
  return per_cent(count(label, label), found(label));
}
double ClassReport::recall(std::size_t label) const {
  return per_cent(count(label, label), gold(label));
}
double ClassReport::f1(std::size_t label) const {
  return per_cent(2 * count(label, label), gold(label) + found(label));
}

double ClassReport::accuracy() const {
  std::int64_t right = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) right += count(i, i);
  return per_cent(right, total());
}

double ClassReport::macro_f1() const {
  double sum = 0.0;
  for (std::size_t i = 0; i < labels.size(); ++i) sum += f1(i);
  return sum / static_cast<double>(std::max<std::size_t>(1, labels.size()));
}

double ClassReport::balanced_accuracy() const {
  double sum = 0.0;
  std::int64_t present = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    sum += recall(i);
    if (gold(i) > 0) ++present;
  }
  return present > 0 ? sum / static_cast<double>(present) : 0.0;
}

std::string ClassReport::text(std::size_t widest) const {
  std::string text = fmt::format(
      "{} examples, {} labels\naccuracy: {:6.2f}%; macro-F1: {:6.2f}; balanced accuracy: "
      "{:6.2f}%\n",
      total(), labels.size(), accuracy(), macro_f1(), balanced_accuracy());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    text += fmt::format("{:>17}: precision: {:6.2f}%; recall: {:6.2f}%; F1: {:6.2f}  {}\n",
                        labels[i], precision(i), recall(i), f1(i), gold(i));
  }
  return labels.size() <= widest ? text + matrix(*this) : text;
}

std::string ClassReport::json() const {
  nlohmann::json json = {{"examples", total()},
                         {"accuracy", accuracy()},
                         {"macro_f1", macro_f1()},
                         {"balanced_accuracy", balanced_accuracy()},
                         {"labels", labels},
                         {"classes", nlohmann::json::object()},
                         {"confusion", nlohmann::json::array()}};
  for (std::size_t g = 0; g < labels.size(); ++g) {
    json["classes"][labels[g]] = {{"precision", precision(g)},
                                  {"recall", recall(g)},
                                  {"f1", f1(g)},
                                  {"gold", gold(g)},
                                  {"found", found(g)}};
    nlohmann::json row = nlohmann::json::array();
    for (std::size_t p = 0; p < labels.size(); ++p) row.push_back(count(g, p));
    json["confusion"].push_back(row);
  }
  return json.dump();
}

ClassReport score_classes(std::span<const std::string> gold,
                          std::span<const std::string> predicted) {
  if (gold.empty()) fail("score_classes: there is no example");
  if (gold.size() != predicted.size()) {
    fail("score_classes: {} gold labels but {} predicted ones", gold.size(), predicted.size());
  }
  ClassReport report;
  std::vector<std::string>& labels = report.labels;
  labels.assign(gold.begin(), gold.end());
  labels.insert(labels.end(), predicted.begin(), predicted.end());
  std::sort(labels.begin(), labels.end());
  labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
  report.confusion.assign(labels.size() * labels.size(), 0);
  const auto number = [&labels](const std::string& label) {
    return static_cast<std::size_t>(std::lower_bound(labels.begin(), labels.end(), label) -
                                    labels.begin());
  };
  for (std::size_t i = 0; i < gold.size(); ++i) {
    ++report.confusion[number(gold[i]) * labels.size() + number(predicted[i])];
  }
  return report;
}

}  // namespace qkv
