// Text in, a trained language model out.
#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/train/language.h"

namespace qkv {

LanguageTexts read_language_texts(const std::vector<std::string>& train,
                                  const std::vector<std::string>& valid) {
  return read_split(train, valid, read_text, [](std::vector<std::string>& lines) {
    return hold_out_tail(lines, lines.size() / 10);
  });
}

TrainReport train_language(const LanguageRecipe& r, const LanguageTexts& texts, TrainingRun& run,
                           const TrainWatch& watch) {
  r.check();
  run.record.data = {{"train", fingerprint(texts.train)}, {"valid", fingerprint(texts.valid)}};
  LanguageModel model = run.resumes() ? load_language_model(run.state())
                                      : make_language_model(r, texts.train, r.train.seed);
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
  training.context = model.context;
  training.batch_tokens = r.batch_tokens;
  training.seed = r.train.seed;
  return run.train(model, language_task(model, training), r.train, watch);
}

}  // namespace qkv
