// Text in, a trained language model out.
#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/train/language.h"

namespace qkv {
namespace {

Mpt network_of(Mpt::Config c, const LanguageRecipe& r) {
  c.max_seq_len = r.context;
  return Mpt::make(r.train.seed, c);
}
RnnLanguage network_of(const RnnLanguage::Config& c, const LanguageRecipe& r) {
  return RnnLanguage::make(r.train.seed, c);
}

}  // namespace

LanguageTexts read_language_texts(const std::vector<std::string>& train,
                                  const std::vector<std::string>& valid) {
  LanguageTexts texts;
  texts.train = read_text(train);
  texts.valid =
      valid.empty() ? hold_out_tail(texts.train, texts.train.size() / 10) : read_text(valid);
  return texts;
}

LanguageModel make_language_model(const LanguageRecipe& r, std::span<const std::string> lines) {
  LanguageModel model;
  model.preset = r.preset;
  model.by_line = r.by_line;
  model.context = r.context;
  model.tokeniser = train_language_tokeniser(r.tokeniser, lines);
  std::visit(
      [&](auto config) {
        config.vocab_size = model.tokeniser.size();
        model.network = network_of(config, r);
      },
      r.network);
  return model;
}

TrainReport train_language(const LanguageRecipe& r, const LanguageTexts& texts, TrainingRun& run,
                           const TrainWatch& watch) {
  r.check();
  run.record.data = {{"train", fingerprint(texts.train)}, {"valid", fingerprint(texts.valid)}};
  LanguageModel model =
      run.resumes() ? load_language_model(run.state()) : make_language_model(r, texts.train);
  const TextStream train = make_stream(texts.train, model.encoder(), model.format());
  const TextStream valid = make_stream(texts.valid, model.encoder(), model.format());
  if (watch.line) {
    watch.line(fmt::format("vocabulary: {} tokens ({})", grouped(model.vocabulary()),
                           name_of(model.tokeniser.kind())));
    watch.line("train: " + train.summary());
    watch.line("valid: " + valid.summary());
    watch.line(
        fmt::format("model: {} parameters ({})", grouped(parameter_count(model)), model.preset));
  }
  LanguageTraining training{.train = train, .valid = valid};
  training.loss.smoothing = r.smoothing;
  training.context = model.context;
  training.batch_tokens = r.batch_tokens;
  training.seed = r.train.seed;
  return run.train(model, language_task(model, training, run.directory()), r.train, watch);
}

}  // namespace qkv
