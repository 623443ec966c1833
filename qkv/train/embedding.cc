#include "qkv/train/embedding.h"

#include <algorithm>
#include <memory>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/data/batching.h"
#include "qkv/ops/pieces.h"
#include "qkv/systems/pair_scores.h"

namespace qkv {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// Pairs as the network reads them.
struct EncodedPairs {
  const SentencePairs& pairs;
  BertRows first, second, negative;

  EncodedPairs(const BertModel& model, const SentencePairs& p)
      : pairs(p),
        first(sentence_rows(model, p.first)),
        second(sentence_rows(model, p.second)),
        negative(sentence_rows(model, p.negative)) {}
};

void append(const BertRows& from, std::span<const std::int64_t> index, BertRows& to,
            std::vector<std::int64_t>& lengths) {
  for (const std::int64_t i : index) {
    to.ids.insert(to.ids.end(), from.ids.begin() + from.segments.begin(i),
                  from.ids.begin() + from.segments.end(i));
    lengths.push_back(from.segments.length(i));
  }
}

/// The loss of some pairs; all their texts go through the network together.
SentenceLossResult loss_of(const BertModel& model, const EncodedPairs& all,
                           const EmbeddingTraining& t, std::span<const std::int64_t> index,
                           double factor) {
  const auto count = static_cast<std::int64_t>(index.size());
  const bool negatives = t.loss == SentenceLoss::ranking && !all.pairs.negative.empty();
  BertRows rows;
  std::vector<std::int64_t> lengths;
  append(all.first, index, rows, lengths);
  append(all.second, index, rows, lengths);
  if (negatives) append(all.negative, index, rows, lengths);
  rows.segments = Segments(lengths);
  const Tensor vectors = sentence_vectors(model, rows, model.sentence.pooling);
  const Tensor a = slice_rows(vectors, 0, count);
  if (t.loss == SentenceLoss::ranking) {
    const Tensor b = slice_rows(vectors, count, vectors.dim(0));
    return ranking_loss(a, b, repeated_texts(all.pairs, index), t.scale, factor);
  }
  const Tensor b = slice_rows(vectors, count, 2 * count);
  std::vector<double> scores;
  for (const std::int64_t i : index) scores.push_back(all.pairs.scores[at(i)]);
  return t.loss == SentenceLoss::cosent ? cosent_loss(a, b, scores, t.scale, factor)
                                        : cosine_loss(a, b, scores, factor);
}

/// Mean over the pairs, in batches in their order.
double validation_loss(const BertModel& model, const EncodedPairs& valid,
                       const EmbeddingTraining& t) {
  const NoRecording off;
  double sum = 0;
  std::vector<std::int64_t> index;
  for (std::int64_t i = 0; i < valid.pairs.size(); ++i) {
    index.push_back(i);
    if (static_cast<std::int64_t>(index.size()) < t.batch_pairs && i + 1 < valid.pairs.size()) {
      continue;
    }
    sum += loss_of(model, valid, t, index, 1.0).sum;
    index.clear();
  }
  return sum / static_cast<double>(valid.pairs.size());
}

Validation validation_of(const BertModel& model, const EncodedPairs& valid,
                         const EmbeddingTraining& t) {
  Validation v;
  v.loss = validation_loss(model, valid, t);
  const PairScores scores = score_pairs(model, valid.pairs);
  v.score = scores.score();
  v.text = fmt::format("loss {:.4f}  {}", v.loss, scores.line());
  nlohmann::json metrics = {{"score", v.score}};
  metrics.update(nlohmann::json::parse(scores.json()));
  v.metrics = metrics.dump();
  return v;
}

}  // namespace

TrainTask embedding_task(BertModel& model, const EmbeddingTraining& training) {
  const auto train = std::make_shared<const EncodedPairs>(model, training.train);
  const auto valid = std::make_shared<const EncodedPairs>(model, training.valid);
  TrainTask task;
  task.plan = [&training](std::int64_t epoch) {
    const std::vector<ExampleLength> pairs(at(training.train.size()), {.source = 1});
    return plan_epoch(pairs, {.max_tokens = training.batch_pairs, .seed = training.seed}, epoch);
  };
  task.tokens = [](std::span<const std::int64_t> index) {
    return static_cast<std::int64_t>(index.size());
  };
  task.loss = [&model, &training, train](std::span<const std::int64_t> index, double scale) {
    const SentenceLossResult r = loss_of(model, *train, training, index, scale);
    return BatchLoss{.loss_sum = r.sum,
                     .nll_sum = r.sum,
                     .tokens = static_cast<std::int64_t>(index.size()),
                     .correct = -1,
                     .loss = r.loss};
  };
  task.validate = [&model, &training, valid] { return validation_of(model, *valid, training); };
  task.save =
      task.keep = [&model](const std::filesystem::path& folder) { save_bert_model(model, folder); };
  return task;
}

}  // namespace qkv
