// Labelled texts in, a trained labeller out.
#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "qkv/base/error.h"
#include "qkv/base/notice.h"
#include "qkv/train/labelling.h"

namespace qkv {
namespace {

/// A sentence with all that belongs to it a line.
std::string fingerprint_of(const LabelledText& text) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < static_cast<std::size_t>(text.size()); ++i) {
    const auto part = [i](const std::vector<std::string>& all) {
      return all.empty() ? std::string() : all[i];
    };
    const auto parts = [i](const std::vector<std::vector<std::string>>& all) {
      return all.empty() ? std::string() : fmt::format("{}", fmt::join(all[i], "\x1f"));
    };
    lines.push_back(fmt::format("{}\x1e{}\x1e{}\x1e{}", parts(text.words), part(text.texts),
                                parts(text.tags), part(text.labels)));
  }
  return fingerprint(lines);
}

LabellerModel resumed(const LabellingRecipe& r, const TrainingRun& run) {
  LabellerModel model = load_labeller_model(run.state(), Adapters::apart);
  if (model.task() == name_of(r.task)) return model;
  fail("{}: holds a model for '{}'; resume with qkv train {}", run.directory().string(),
       model.task(), model.task());
}

LabellerModel begun(const LabellingRecipe& r, const LabelledText& train) {
  if (r.init.empty()) return make_labeller(r, train, r.train.seed);
  const BertModel bert = load_bert_model(r.init);
  for (const std::string& note : bert.notes) notice(note);
  LabellerModel model = make_labeller(r, train, r.train.seed, &bert);
  if (r.tuning.lora.rank > 0) begin_adapter(model, r.init, r.tuning.lora, r.train.seed);
  return model;
}

void say_scheme(const LabelledText& text, TagScheme learnt, const TrainWatch& watch) {
  const auto detected = detect_scheme(text.tags);
  if (!detected) return;
  watch.say(fmt::format("tags: {}{}, learnt as {}", name_of(detected->scheme),
                        detected->irregular > 0
                            ? fmt::format(" ({} out of place)", detected->irregular)
                            : std::string(),
                        name_of(learnt)));
}

void say_left_out(const LabellerModel& model, const LabelledSet& set, const TrainWatch& watch) {
  const auto cuts =
      std::ranges::count_if(set.all.left_out, [](std::int64_t pieces) { return pieces > 0; });
  if (cuts == 0) return;
  watch.say(fmt::format("cut to {} tokens: {} {}", model.room() + 2, cuts,
                        model.word_options.cut == WordCut::pair ? "pairs" : "sentences"));
}

void say_sizes(const LabellerModel& model, const TrainWatch& watch) {
  const Labeller::Config& c = model.network.config;
  const bool by_pieces = c.encoder == LabelEncoder::bert;
  watch.say(fmt::format(
      "vocabulary: {} {}, {} characters, {} tags, {} classes; model: {} "
      "parameters ({})",
      grouped(by_pieces ? model.pieces.size() : model.words.size()), by_pieces ? "pieces" : "words",
      grouped(c.characters), c.tags, c.classes, grouped(parameter_count(model)), model.preset));
}

}  // namespace

TrainReport train_labeller(const LabellingRecipe& r, Split<LabelledText> texts, TrainingRun& run,
                           const TrainWatch& watch) {
  run.record.data = {{"train", fingerprint_of(texts.train)},
                     {"valid", fingerprint_of(texts.valid)}};
  LabellerModel model;
  if (run.resumes()) model = resumed(r, run);
  const WordCut cut = run.resumes() ? model.word_options.cut : r.words.cut;
  for (LabelledText* text : {&texts.train, &texts.valid}) cut_texts(*text, cut);
  watch.say("train: " + texts.train.report.summary());
  watch.say("valid: " + texts.valid.report.summary());
  if (!run.resumes()) model = begun(r, texts.train);
  say_scheme(texts.train, r.scheme, watch);
  if (model.network.config.answer == ClassAnswer::number) {
    watch.say("answer: a number, the error is squared");
  }
  const std::int64_t limit = longest_sentence(model);
  for (LabelledText* text : {&texts.train, &texts.valid}) {
    const std::int64_t cuts = cut_long(*text, limit);
    if (cuts > 0) watch.say(fmt::format("cut to {} words: {} sentences", limit, cuts));
  }
  const LabelledSet train = encode_labelled(model, texts.train, r.scheme);
  const LabelledSet valid = encode_labelled(model, texts.valid, r.scheme);
  for (const LabelledSet* set : {&train, &valid}) say_left_out(model, *set, watch);
  say_sizes(model, watch);

  LabellingTraining training{.train = train, .valid = valid, .valid_text = texts.valid};
  training.batches = {.max_tokens = r.batch_tokens, .seed = r.train.seed, .bucket = r.bucket};
  training.class_weight = r.class_weight;
  training.smoothing = r.smoothing;
  run.curve_score = {"score", "score"};
  const Trainable trainable = trainable_of(r.tuning, model, is_of_head);
  say_trained(model, trainable, watch);
  return run.train(model, labelling_task(model, training), r.train, watch, trainable);
}

}  // namespace qkv
