// Text in, a trained BERT out.
#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/data/text_stream.h"
#include "qkv/train/masked_language.h"

namespace qkv {

MaskedRecipe masked_recipe(std::string_view name) {
  if (name != "tiny" && name != "mini" && name != "small" && name != "base") {
    throw UsageError(fmt::format("--preset '{}' is not one of tiny, mini, small, base", name));
  }
  MaskedRecipe p;
  p.preset = name;
  p.network = BertConfig::of(name);
  p.vocabulary = name == "base" ? 30522 : 8000;
  p.masks.max_length = name == "base" ? 512 : 128;
  p.masks.most = name == "base" ? 77 : 20;
  // As published (optimization.py), but for the rate: small models bear a higher one.
  p.train.optimiser = {.beta1 = 0.9,
                       .beta2 = 0.999,
                       .eps = 1e-6,
                       .decay = 0.01,
                       .decay_vectors = false,
                       .bias_correction = false,
                       .clip_norm = 1.0};
  p.train.steps = name == "base" ? 1000000 : 20000;
  p.train.schedule = {.kind = Schedule::Kind::linear,
                      .rate = name == "tiny"   ? 2e-3
                              : name == "mini" ? 1e-3
                              : name == "base" ? 1e-4
                                               : 5e-4,
                      .warm_up = name == "base" ? 10000 : 1000,
                      .initial = 0.0};
  p.train.validate_every = 1000;
  if (name == "base") p.batch_tokens = 16384;
  return p;
}

void MaskedRecipe::check() const {
  check_ranges(*this);
  train.check();
  BertDesign::check();
}

MaskedTexts read_masked_texts(const std::vector<std::string>& train,
                              const std::vector<std::string>& valid) {
  return read_split(train, valid, read_text, [](std::vector<std::string>& lines) {
    return hold_out_tail(lines, (lines.size() + 49) / 50);
  });
}

TrainReport train_masked(const MaskedRecipe& r, const MaskedTexts& texts, TrainingRun& run,
                         const TrainWatch& watch) {
  r.check();
  run.record.data = {{"train", fingerprint(texts.train)}, {"valid", fingerprint(texts.valid)}};
  BertModel model = run.resumes() ? load_bert_model(run.state())
                                  : make_bert(r, make_pieces(r, texts.train), r.train.seed);
  if (model.network.parts().next != r.masks.pairs) {  // a state without a record of its options
    fail("{}: was begun {} --nsp; resume with the same command", run.directory().string(),
         r.masks.pairs ? "without" : "with");
  }
  const auto encode = [&](std::string_view line) { return model.pieces.encode(line); };
  const Documents train = make_documents(texts.train, encode, r.by_line, model.pieces.unk());
  const Documents valid = make_documents(texts.valid, encode, r.by_line, model.pieces.unk());
  watch.say(
      fmt::format("vocabulary: {} pieces ({})", grouped(model.pieces.size()), model.pieces.kind()));
  watch.say("train: " + train.summary());
  watch.say("valid: " + valid.summary());
  watch.say(
      fmt::format("model: {} parameters ({})", grouped(parameter_count(model)), model.preset));
  MaskedTraining training{.train = train,
                          .valid = valid,
                          .masks = r.masks,
                          .batch_tokens = r.batch_tokens,
                          .seed = r.train.seed};
  training.masks.seed = r.train.seed;
  return run.train(model, masked_task(model, training), r.train, watch);
}

}  // namespace qkv
