// Text in, a trained language model out.
#include <algorithm>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/base/notice.h"
#include "qkv/train/language.h"

namespace qkv {

LanguageTexts read_language_texts(const std::vector<std::string>& train,
                                  const std::vector<std::string>& valid) {
  return read_split(train, valid, read_text, [](std::vector<std::string>& lines) {
    return hold_out_tail(lines, lines.size() / 10);
  });
}

namespace {

/// The language model to go on from.
LanguageModel begun_from(const LanguageRecipe& r) {
  LanguageModel model = load_language_model(r.init);
  for (const std::string& note : model.notes) notice(note);
  model.by_line = model.by_line || r.by_line;
  const StreamFormat f = model.format();
  if (f.start < 0 || f.line_end < 0) {
    fail("{}: its tokeniser has no token that could {} a text; it cannot be trained on", r.init,
         f.start < 0 ? "begin" : "end");
  }
  if (r.tuning.lora.rank > 0) begin_adapter(model, r.init, r.tuning.lora, r.train.seed);
  return model;
}

LanguageModel model_of(const LanguageRecipe& r, const LanguageTexts& texts,
                       const TrainingRun& run) {
  if (run.resumes()) return load_language_model(run.state(), Adapters::apart);
  return r.init.empty() ? make_language_model(r, texts.train, r.train.seed) : begun_from(r);
}

/// Tokens of a window. Throws UsageError for more than the network has positions for.
std::int64_t context_of(const LanguageRecipe& r, const LanguageModel& model) {
  constexpr std::int64_t kUsual = 256;
  if (r.init.empty()) return model.context;
  if (r.context == 0) return model.context > 0 ? std::min(model.context, kUsual) : kUsual;
  if (model.longest() > 0 && r.context > model.longest()) {
    throw UsageError(
        fmt::format("--context {}: the model has {} positions", r.context, model.longest()));
  }
  return r.context;
}

}  // namespace

TrainReport train_language(const LanguageRecipe& r, const LanguageTexts& texts, TrainingRun& run,
                           const TrainWatch& watch) {
  r.check();
  run.record.data = {{"train", fingerprint(texts.train)}, {"valid", fingerprint(texts.valid)}};
  LanguageModel model = model_of(r, texts, run);
  const TextStream train = make_stream(texts.train, model.encoder(), model.format());
  const TextStream valid = make_stream(texts.valid, model.encoder(), model.format());
  watch.say(fmt::format("vocabulary: {} tokens ({})", grouped(model.vocabulary()),
                        name_of(model.tokeniser.kind())));
  watch.say("train: " + train.summary());
  watch.say("valid: " + valid.summary());
  watch.say(
      fmt::format("model: {} parameters ({})", grouped(parameter_count(model)), model.preset));
  LanguageTraining training{.train = train, .valid = valid};
  training.loss.smoothing = r.smoothing;
  training.context = context_of(r, model);
  training.batch_tokens = r.batch_tokens;
  training.seed = r.train.seed;
  const Trainable trainable = trainable_of(r.tuning, model);
  say_trained(model, trainable, watch);
  return run.train(model, language_task(model, training), r.train, watch, trainable);
}

}  // namespace qkv
