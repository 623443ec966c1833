#include "qkv/systems/vectors.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/systems/describe.h"
#include "qkv/systems/vector_model.h"

namespace qkv {
namespace {

struct Part {
  std::string word;
  double sign = 1;
};

/// "king - man + woman". A sign that nothing follows, or that follows a sign, is a word: "-", "king
/// - -".
std::vector<Part> parts_of(std::span<const std::string> words) {
  std::vector<Part> parts;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool sign = (words[i] == "-" || words[i] == "+") && i + 1 < words.size();
    if (sign) ++i;
    parts.push_back({words[i], sign && words[i - 1] == "-" ? -1.0 : 1.0});
  }
  return parts;
}

}  // namespace

WordVectors::WordVectors(VectorModel model, const LoadOptions& options)
    : model_(std::make_shared<const VectorModel>(std::move(model))), options_(options) {}

WordVectors WordVectors::load(const std::filesystem::path& directory, const LoadOptions& options) {
  return WordVectors(load_vector_model(directory), options);
}

void WordVectors::save(const std::filesystem::path& directory) const {
  save_vector_model(*model_, directory);
}

std::int64_t WordVectors::width() const { return model_->vectors.config.width; }

std::optional<std::vector<float>> WordVectors::vector(std::string_view word) const {
  const std::int32_t row = model_->row(word);
  if (row < 0) return std::nullopt;
  const Tensor numbers = model_->vectors.input.rows(row, row + 1);
  return std::vector<float>(numbers.values().begin(), numbers.values().end());
}

std::vector<Neighbour> WordVectors::similar(std::span<const std::string> words,
                                            std::int64_t count) const {
  std::vector<double> query(static_cast<std::size_t>(width()));
  std::vector<std::int32_t> rows;
  for (const Part& part : parts_of(words)) {
    const std::int32_t row = model_->row(part.word);
    if (row < 0) {
      fail("'{}' has no vector: it does not occur in the training text, or too rarely", part.word);
    }
    const std::vector<double> unit = unit_row(model_->vectors.input, row);
    for (std::size_t i = 0; i < query.size(); ++i) query[i] += part.sign * unit[i];
    rows.push_back(row);
  }
  if (rows.empty()) fail("no word to look for; give some, e.g. king - man + woman");
  if (std::all_of(query.begin(), query.end(), [](double x) { return x == 0; })) {
    fail("the words cancel each other out: nothing is near to nothing");
  }
  std::vector<Neighbour> nearest;
  for (const auto& [row, cosine] : nearest_rows(model_->vectors.input, query, count, rows)) {
    nearest.push_back({model_->word(row), cosine});
  }
  return nearest;
}

Info WordVectors::info() const {
  const VectorNetwork::Config& c = model_->vectors.config;
  Info info =
      describe("vectors", "", fmt::format("{}, {}", name_of(c.task), name_of(c.loss)), *model_);
  info.facts.emplace_back("sizes", fmt::format("width {}", c.width));
  info.facts.emplace_back("vocabulary",
                          fmt::format("{} words{}", grouped(c.words),
                                      model_->word_options.lowercase ? " (lower case)" : ""));
  tell_options(c, info);
  return info;
}

}  // namespace qkv
