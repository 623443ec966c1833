#include "qkv/train/language.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "qkv/base/random.h"

namespace qkv {
namespace {

/// Windows to train on. To a prefix model up to half of each is given, drawn by its place.
std::vector<Window> training_windows(const LanguageModel& model, const LanguageTraining& t,
                                     std::span<const std::int64_t> begins) {
  std::vector<Window> windows;
  for (const std::int64_t begin : begins) {
    windows.push_back(window_at(t.train, begin, t.context));
  }
  if (!model.sees_prefix()) return windows;
  for (Window& w : windows) {
    Philox draw(key_of(t.seed, hash_name("prefix"), w.begin));
    const auto half = static_cast<std::uint64_t>((w.end - w.begin) / 2);
    w.scored += static_cast<std::int64_t>(draw.below(half + 1));
  }
  return windows;
}

Validation validate_language(const LanguageModel& model, const LanguageTraining& t) {
  const TextScore s =
      score_text(model, t.valid, {.context = t.context, .batch_tokens = t.batch_tokens});
  Validation v;
  v.loss = s.loss();
  v.score = -v.loss;
  v.text = fmt::format("loss {:.4f}  perplexity {:.2f}  {:.3f} bits a character  accuracy {:.1f} %",
                       v.loss, s.perplexity(), s.bits_per_character(), 100 * s.accuracy());
  v.metrics = nlohmann::json{{"perplexity", s.perplexity()},
                             {"bits_per_character", s.bits_per_character()},
                             {"valid_accuracy", s.accuracy()}}
                  .dump();
  return v;
}

}  // namespace

TrainTask language_task(LanguageModel& model, const LanguageTraining& training) {
  TrainTask task;
  task.plan = [&training](std::int64_t epoch) {
    return plan_windows(training.train, training.context, training.batch_tokens, training.seed,
                        epoch);
  };
  task.tokens = [&model, &training](std::span<const std::int64_t> begins) {
    std::int64_t tokens = 0;
    for (const Window& w : training_windows(model, training, begins)) {
      tokens += w.end + 1 - w.scored;
    }
    return tokens;
  };
  task.loss = [&model, &training](std::span<const std::int64_t> begins, double scale) {
    CrossEntropyOptions options = training.loss;
    options.scale = scale;
    const CrossEntropyResult r =
        model.loss(pack(training.train, training_windows(model, training, begins)), options);
    return batch_loss(r);
  };
  task.validate = [&model, &training] { return validate_language(model, training); };
  task.save = task.keep = [&model](const std::filesystem::path& folder) {
    save_language_model(model, folder);
  };
  return task;
}

}  // namespace qkv
