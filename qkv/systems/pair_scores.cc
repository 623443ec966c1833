#include "qkv/systems/pair_scores.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/models/sentence_losses.h"
#include "qkv/ops/pieces.h"

namespace qkv {
namespace {

constexpr std::int64_t kBlock = 1000;  // pairs that are compared with each other

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

Tensor embedded(const BertModel& model, std::span<const std::string> texts,
                const EmbedOptions& options) {
  std::vector<Tensor> parts;
  const auto most = at(std::max<std::int64_t>(1, options.batch_sentences));
  for (std::size_t begin = 0; begin < texts.size(); begin += most) {
    parts.push_back(
        embed_texts(model, texts.subspan(begin, std::min(most, texts.size() - begin)), options));
  }
  return stack_rows(parts);
}

void rank_block(const BertModel& model, const SentencePairs& pairs,
                std::span<const std::int64_t> index, const EmbedOptions& options,
                PairScores::Ranks& ranks) {
  std::vector<std::string> first, second;
  for (const std::int64_t i : index) first.push_back(pairs.first[at(i)]);
  for (const std::int64_t i : index) second.push_back(pairs.second[at(i)]);
  if (!pairs.negative.empty()) {
    for (const std::int64_t i : index) second.push_back(pairs.negative[at(i)]);
  }
  const Tensor cosines =
      all_cosines(embedded(model, first, options), embedded(model, second, options));
  const std::vector<std::uint8_t> hidden = repeated_texts(pairs, index);
  const auto width = at(cosines.dim(1));
  for (std::size_t i = 0; i < index.size(); ++i) {
    const auto row = cosines.values().subspan(i * width, width);
    std::int64_t rank = 1;
    for (std::size_t j = 0; j < width; ++j) {
      if (j == i || (!hidden.empty() && hidden[i * width + j] != 0)) continue;
      if (row[j] >= row[i]) ++rank;
    }
    ranks.first += rank == 1;
    ranks.reciprocal += 1.0 / static_cast<double>(rank);
  }
  ranks.pairs += static_cast<std::int64_t>(index.size());
  ranks.longest = std::max(ranks.longest, static_cast<std::int64_t>(width));
}

}  // namespace

double PairScores::Ranks::accuracy() const {
  return pairs > 0 ? 100.0 * static_cast<double>(first) / static_cast<double>(pairs) : 0;
}
double PairScores::Ranks::mean_reciprocal() const {
  return pairs > 0 ? reciprocal / static_cast<double>(pairs) : 0;
}

double PairScores::score() const {
  return 100 * (scores ? scores->spearman : ranks ? ranks->mean_reciprocal() : 0);
}

std::string PairScores::line() const {
  if (scores) {
    return fmt::format("Spearman {:.4f}  Pearson {:.4f}", scores->spearman, scores->pearson);
  }
  return fmt::format("accuracy {:.2f}  MRR {:.4f}", ranks->accuracy(), ranks->mean_reciprocal());
}

std::string PairScores::text() const {
  if (scores) {
    return fmt::format("{} pairs; Spearman: {:.4f}; Pearson: {:.4f}\n", scores->examples,
                       scores->spearman, scores->pearson);
  }
  return fmt::format("{} pairs; accuracy: {:.2f}%; mean reciprocal rank: {:.4f}, of up to {}\n",
                     ranks->pairs, ranks->accuracy(), ranks->mean_reciprocal(), ranks->longest);
}

std::string PairScores::json() const {
  if (scores) {
    return nlohmann::json{
        {"pairs", scores->examples}, {"spearman", scores->spearman}, {"pearson", scores->pearson}}
        .dump();
  }
  return nlohmann::json{{"pairs", ranks->pairs},
                        {"accuracy", ranks->accuracy()},
                        {"mean_reciprocal_rank", ranks->mean_reciprocal()},
                        {"candidates", ranks->longest}}
      .dump();
}

PairScores score_pairs(const BertModel& model, const SentencePairs& pairs,
                       const EmbedOptions& options) {
  const NoRecording off;
  PairScores result;
  if (!pairs.scores.empty()) {
    const Tensor cosines =
        row_cosines(embedded(model, pairs.first, options), embedded(model, pairs.second, options));
    const std::vector<double> found(cosines.values().begin(), cosines.values().end());
    result.scores = score_numbers(pairs.scores, found);
    return result;
  }
  result.ranks = PairScores::Ranks{};  // clang 14 finds no emplace() for a type within a type
  for (std::int64_t begin = 0; begin < pairs.size(); begin += kBlock) {
    std::vector<std::int64_t> index;
    for (std::int64_t i = begin; i < std::min(begin + kBlock, pairs.size()); ++i) {
      index.push_back(i);
    }
    rank_block(model, pairs, index, options, *result.ranks);
  }
  return result;
}

std::vector<std::uint8_t> repeated_texts(const SentencePairs& pairs,
                                         std::span<const std::int64_t> index) {
  const std::size_t count = index.size(), width = pairs.negative.empty() ? count : 2 * count;
  const auto candidate = [&](std::size_t j) -> const std::string& {
    return j < count ? pairs.second[at(index[j])] : pairs.negative[at(index[j - count])];
  };
  std::vector<std::uint8_t> hidden(count * width, 0);
  bool any = false;
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = 0; j < width; ++j) {
      const std::string& text = candidate(j);
      if (j == i || (text != candidate(i) && text != pairs.first[at(index[i])])) continue;
      any = true;
      hidden[i * width + j] = 1;
    }
  }
  if (!any) hidden.clear();
  return hidden;
}

}  // namespace qkv
