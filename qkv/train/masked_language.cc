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

TrainTask masked_task(BertModel& model, const MaskedTraining& training) {
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
  task.save =
      task.keep = [&model](const std::filesystem::path& folder) { save_bert_model(model, folder); };
  return task;
}

}  // namespace qkv
