#include "qkv/train/masked_language.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/data/batching.h"

namespace qkv {
namespace {

// Validation hides the same words whatever the seed of a run.
constexpr std::uint64_t kValidationSeed = 20181011;

std::vector<ExampleLength> lengths_of(std::span<const MaskedExample> examples) {
  std::vector<ExampleLength> lengths;
  for (const MaskedExample& e : examples) {
    lengths.push_back({.source = static_cast<std::int64_t>(e.ids.size()), .target = 0});
  }
  return lengths;
}

BertLoss loss_of(const BertModel& model, const MaskedBatch& batch, const BertLossOptions& options) {
  return model.network.loss({batch.ids, batch.types, batch.segments}, batch.where, batch.targets,
                            batch.follows, options);
}

/// Next-sentence losses count as much a batch as its hidden words do.
double next_weight(const MaskedBatch& batch) {
  return static_cast<double>(batch.targets.size()) /
         static_cast<double>(std::max<std::size_t>(1, batch.follows.size()));
}

/// The examples of an epoch, made when it begins. The numbers that the loop hands around name an
/// example of its own epoch.
class Rounds {
 public:
  Rounds(const BertModel& model, const MaskedTraining& training)
      : training_(training), vocabulary_(mask_vocabulary(model.pieces)) {}

  std::vector<std::vector<std::int64_t>> plan(std::int64_t epoch) {
    enter(epoch);
    return plan_epoch(lengths_of(examples_),
                      {.max_tokens = training_.batch_tokens, .seed = training_.seed}, epoch);
  }
  MaskedBatch batch(std::span<const std::int64_t> index) const { return pack(examples_, index); }
  std::int64_t hidden(std::span<const std::int64_t> index) const {
    std::int64_t count = 0;
    for (const std::int64_t i : index) {
      count += static_cast<std::int64_t>(examples_[static_cast<std::size_t>(i)].where.size());
    }
    return count;
  }

 private:
  void enter(std::int64_t epoch) {
    if (epoch == epoch_) return;
    examples_ = masked_examples(training_.train, vocabulary_, training_.masks, epoch);
    epoch_ = epoch;
  }

  const MaskedTraining& training_;
  MaskVocabulary vocabulary_;
  std::vector<MaskedExample> examples_;
  std::int64_t epoch_ = -1;
};

Validation validation_of(const MaskedScore& s) {
  Validation v;
  v.loss = s.loss();
  const auto words = static_cast<double>(s.words);
  v.text = fmt::format("loss {:.4f}  perplexity {:.2f}  accuracy {:.1f} %", v.loss,
                       std::exp(v.loss), 100 * static_cast<double>(s.right_words) / words);
  v.score = -v.loss;
  nlohmann::json metrics = {{"perplexity", std::exp(v.loss)},
                            {"valid_accuracy", static_cast<double>(s.right_words) / words}};
  if (s.pairs > 0) {
    const auto pairs = static_cast<double>(s.pairs);
    v.score -= s.next_nll / pairs;
    metrics["next_accuracy"] = static_cast<double>(s.right_pairs) / pairs;
    metrics["next_loss"] = s.next_nll / pairs;
    v.text +=
        fmt::format("  next sentence {:.1f} %", 100 * static_cast<double>(s.right_pairs) / pairs);
  }
  v.metrics = metrics.dump();
  return v;
}

}  // namespace

MaskVocabulary mask_vocabulary(const WordPiece& pieces) {
  if (pieces.mask() < 0) fail("the vocabulary has no piece [MASK]");
  MaskVocabulary v{.cls = pieces.cls(),
                   .sep = pieces.sep(),
                   .mask = pieces.mask(),
                   .size = pieces.size(),
                   .continues = {}};
  for (std::int32_t id = 0; id < pieces.size(); ++id) {
    v.continues.push_back(pieces.continues(id) ? 1 : 0);
  }
  return v;
}

double MaskedScore::loss() const {
  return word_nll / static_cast<double>(std::max<std::int64_t>(1, words));
}

MaskedScore score_masked(const BertModel& model, std::span<const MaskedExample> examples,
                         std::int64_t batch_tokens) {
  const NoRecording off;
  MaskedScore score;
  for (const auto& index : plan_in_order(lengths_of(examples), batch_tokens)) {
    const BertLoss r = loss_of(model, pack(examples, index), {});
    score.word_nll += r.word_sum;
    score.next_nll += r.next_sum;
    score.words += r.words;
    score.right_words += r.right_words;
    score.pairs += r.pairs;
    score.right_pairs += r.right_pairs;
  }
  return score;
}

TrainTask masked_task(BertModel& model, const MaskedTraining& training,
                      const std::filesystem::path& directory) {
  training.masks.check();
  MaskedTextOptions judged = training.masks;
  judged.seed = kValidationSeed;
  const auto valid = std::make_shared<const std::vector<MaskedExample>>(
      masked_examples(training.valid, mask_vocabulary(model.pieces), judged, 0));
  const auto rounds = std::make_shared<Rounds>(model, training);
  TrainTask task;
  task.plan = [rounds](std::int64_t epoch) { return rounds->plan(epoch); };
  task.tokens = [rounds](std::span<const std::int64_t> index) { return rounds->hidden(index); };
  task.loss = [&model, rounds](std::span<const std::int64_t> index, double scale) {
    const MaskedBatch batch = rounds->batch(index);
    const double weight = next_weight(batch);
    const BertLoss r = loss_of(model, batch, {.word_scale = scale, .next_scale = scale * weight});
    return BatchLoss{.loss_sum = r.word_sum + weight * r.next_sum,
                     .nll_sum = r.word_sum,
                     .tokens = r.words,
                     .correct = r.right_words,
                     .loss = r.loss};
  };
  task.validate = [&model, &training, valid] {
    return validation_of(score_masked(model, *valid, training.batch_tokens));
  };
  task.save = [&model, directory] { save_bert_model(model, directory); };
  task.keep = [&model](const std::filesystem::path& folder) { save_bert_model(model, folder); };
  return task;
}

}  // namespace qkv
