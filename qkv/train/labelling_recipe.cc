// The recipes of labellers, by name; their sizes are labeller_sizes().
#include <algorithm>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/train/labelling.h"

namespace qkv {
namespace {

/// What self-attention wants otherwise: more layers, less noise, a slower start.
void use_attention(LabellingRecipe& p) {
  Labeller::Config& m = p.network;
  m.layers = 2;
  m.dropout = 0.2;
  m.embedding_dropout = 0.3;
  p.train.schedule.rate = 1e-3;
  p.train.schedule.warm_up = 400;
}

/// A BERT from scratch (the one of `init`, made anew).
void use_bert(LabellingRecipe& p) {
  Labeller::Config& m = p.network;
  m.dropout = 0.1;
  p.train.schedule.rate = 5e-4;
  p.train.schedule.warm_up = 200;
  p.train.optimiser.clip_norm = 1;
  p.train.optimiser.decay = 0.01;
  p.train.optimiser.decay_vectors = false;
}

}  // namespace

LabellingRecipe labelling_recipe(std::string_view name, LabelTask task, LabelEncoder encoder) {
  LabellingRecipe p;
  p.preset = name;
  p.task = task;
  p.network = labeller_sizes(name);
  p.network.encoder = encoder;
  p.train.optimiser.beta2 = 0.999;
  p.train.optimiser.clip_norm = 5;
  p.train.schedule = {.kind = Schedule::Kind::inverse_sqrt, .rate = 2e-3, .warm_up = 200};
  p.train.optimiser.ema = 0.99;
  p.train.patience = 10;
  p.words.lowercase = true;
  p.train.epochs = name == "tiny" ? 20 : 12;
  if (encoder == LabelEncoder::attention || encoder == LabelEncoder::linear) use_attention(p);
  if (encoder == LabelEncoder::bert) use_bert(p);
  Labeller::Config& m = p.network;
  // A second layer sees further, which tags want and one vector for all words does not.
  if (encoder == LabelEncoder::cnn && task != LabelTask::classify) m.layers = 2;
  m.characters = m.shapes = 1;  // letters and shape say what an unknown word is
  m.word_dropout = 0.02;
  if (task == LabelTask::tag) p.words.zero_digits = true;
  if (task == LabelTask::classify) {
    p.words.cut = WordCut::word;
    p.batch_tokens = 1000;
    m.pooling = encoder == LabelEncoder::bert ? Pooling::mean : Pooling::max;
    m.word_dropout = 0.05;
  }
  if (task == LabelTask::intent) {
    p.interaction = LabelInteraction::both;
    m.word_dropout = 0.1;        // names come and go; what a sentence wants must not hang on them
    p.scheme = TagScheme::iob2;  // slots are many and rare: half as many tags learn faster
    p.class_weight = 3;
    p.batch_tokens = 250;
    if (name == "small") {
      m.dropout = std::min(m.dropout, 0.3);
      m.embedding_dropout = 0.3;
      p.train.epochs = 24;
    }
  }
  return p;
}

// Measured with all-MiniLM-L6-v2 (docs/results.md): fresh heads far above the encoder's rate, and
// no average of weights, since the rate falls to nothing.
LabellingRecipe tuned_labelling_recipe(std::string_view preset, LabelTask task, std::string init) {
  LabellingRecipe p = labelling_recipe(preset, task, LabelEncoder::bert);
  p.init = std::move(init);
  p.train = tuned_options();
  p.train.schedule.rate = 2e-4;
  p.train.epochs = task == LabelTask::intent ? 6 : 4;
  p.tuning.head_rate = 5;
  p.batch_tokens = 500;
  return p;
}

void LabellingRecipe::check() const {
  train.check();
  if (smoothing > 0 && network.answer == ClassAnswer::number) {
    throw UsageError("--smoothing is for labels, not for numbers");
  }
  LabellerDesign::check();
  tuning.check();
  if (fresh && tuning.lora.rank > 0) {
    throw UsageError("--lora is a change of trained weights: leave out --fresh");
  }
}

}  // namespace qkv
