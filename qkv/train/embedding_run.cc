// Pairs of texts in, a trained sentence encoder out.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/base/notice.h"
#include "qkv/train/embedding.h"

namespace qkv {
namespace {

std::string fingerprint_of(const SentencePairs& pairs) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < pairs.first.size(); ++i) {
    lines.push_back(fmt::format("{}\x1e{}", pairs.first[i], pairs.second[i]));
    if (!pairs.negative.empty()) lines.back() += "\x1e" + pairs.negative[i];
    if (!pairs.scores.empty()) lines.back() += fmt::format("\x1e{}", pairs.scores[i]);
  }
  return fingerprint(lines);
}

/// Who learns. Dense modules stand above all layers, though one has a number as layers have.
Trainable trainable_of(const FineTuning& tuning, const BertModel& model) {
  const Trainable encoder = trainable_of(tuning, model.network);
  if (!encoder) return {};
  return [encoder, tuning](std::string_view path) {
    if (!path.starts_with(kDenseName)) return encoder(path);
    return tuning.lora.rank == 0 || is_lora(path) ? tuning.head_rate : 0.0;
  };
}

/// What is learnt of such pairs.
SentenceLoss loss_for(const EmbeddingRecipe& r, const Split<SentencePairs>& pairs) {
  const bool scored = !pairs.train.scores.empty();
  const SentenceLoss loss = r.loss.value_or(scored ? SentenceLoss::cosent : SentenceLoss::ranking);
  if (scored != (loss != SentenceLoss::ranking)) {
    fail("--loss {}: the pairs have {}", name_of(loss),
         scored ? "scores; give cosent or cosine" : "no scores, a number in the third column");
  }
  if (loss != SentenceLoss::cosine) return loss;
  for (const double score : pairs.train.scores) {
    if (score >= -1 && score <= 1) continue;
    fail("--loss cosine: a cosine cannot be {}; bring the scores into [-1, 1], or give cosent",
         score);
  }
  return loss;
}

void say_texts(const BertModel& model, const char* name, const SentencePairs& pairs,
               const TrainWatch& watch) {
  std::int64_t cut = 0;
  for (const auto* texts : {&pairs.first, &pairs.second, &pairs.negative}) {
    (void)sentence_rows(model, *texts, &cut);
  }
  watch.say(fmt::format("{}: {}", name, pairs.summary()));
  if (cut > 0) {
    watch.say(fmt::format("{}: cut to {} tokens: {} texts", name, sentence_room(model), cut));
  }
}

}  // namespace

EmbeddingRecipe embedding_recipe() {
  EmbeddingRecipe r;
  r.train.optimiser = {
      .beta1 = 0.9, .beta2 = 0.999, .decay = 0.01, .decay_vectors = false, .clip_norm = 1.0};
  r.train.schedule = {.kind = Schedule::Kind::inverse_sqrt, .rate = 5e-5, .warm_up = 100};
  r.train.epochs = 3;
  r.train.patience = 3;
  return r;
}

void EmbeddingRecipe::check() const {
  check_ranges(*this);
  train.check();
  check_ranges(tuning);
  tuning.check();
  if (init.empty()) throw UsageError("give a BERT with --init");
  if (max_length > 0 && max_length < 3) {
    throw UsageError("--max-length leaves no room for a word between [CLS] and [SEP]");
  }
}

BertModel make_sentence_encoder(const EmbeddingRecipe& r, BertModel m) {
  SentenceSettings& s = m.sentence;
  if (!r.pooling && !s.refused.empty()) fail("{}; choose a --pooling of your own", s.refused);
  s.refused.clear();
  s.pooling = r.pooling.value_or(s.pooling);
  s.normalise = r.normalise.value_or(s.normalise);
  if (r.max_length > m.room()) {
    fail("--max-length {}: the model of {} has {} positions", r.max_length, r.init, m.room());
  }
  if (r.max_length > 0) s.longest = r.max_length;
  if (s.pooling == TextVector::pooled && !m.network.parts().pooler) {
    fail("--pooling pooled: the model of {} has no pooler", r.init);
  }
  m.keep_encoder();  // what no gradient reaches would only fade
  return m;
}

TrainReport train_embedding(const EmbeddingRecipe& r, const Split<SentencePairs>& pairs,
                            TrainingRun& run, const TrainWatch& watch) {
  r.check();
  run.record.data = {{"train", fingerprint_of(pairs.train)},
                     {"valid", fingerprint_of(pairs.valid)}};
  BertModel model;
  if (run.resumes()) {
    model = load_bert_model(run.state(), Adapters::apart);
  } else {
    model = make_sentence_encoder(r, load_bert_model(r.init));
    for (const std::string& note : std::exchange(model.notes, {})) notice(note);
    if (r.tuning.lora.rank > 0) begin_adapter(model, r.init, r.tuning.lora, r.train.seed);
  }
  EmbeddingTraining training{.train = pairs.train,
                             .valid = pairs.valid,
                             .loss = loss_for(r, pairs),
                             .scale = r.scale,
                             .batch_pairs = r.batch_pairs,
                             .seed = r.train.seed};
  say_texts(model, "train", pairs.train, watch);
  say_texts(model, "valid", pairs.valid, watch);
  watch.say(fmt::format("loss: {}; vectors: {}, {} numbers; model: {} parameters",
                        name_of(training.loss), name_of(model.sentence.pooling),
                        model.vector_width(), grouped(parameter_count(model))));
  run.curve_score = {"score", "score"};
  const Trainable trainable = trainable_of(r.tuning, model);
  say_trained(model, trainable, watch);
  return run.train(model, embedding_task(model, training), r.train, watch, trainable);
}

}  // namespace qkv
