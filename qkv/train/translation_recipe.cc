// Recipes of translators, by name; their sizes are transformer_sizes() and rnn_translator_sizes().
#include <utility>

#include "qkv/base/error.h"
#include "qkv/train/translation.h"

namespace qkv {

namespace {

/// What recurrent translators have in common here: Adam with a bounded gradient, which is what
/// keeps them from blowing up, and a rate that falls after a short warm-up.
void use_recurrent_recipe(TranslationRecipe& p) {
  TrainOptions& t = p.train;
  p.network = rnn_translator_sizes(p.preset);
  t.optimiser.clip_norm = 1;
  t.schedule = {.kind = Schedule::Kind::inverse_sqrt, .rate = 2e-3, .warm_up = 1000};
  t.accumulate = 1;
  if (p.preset == "small") {
    t.schedule.rate = 1e-3;
  } else if (p.preset == "base") {
    t.schedule.rate = 5e-4;
    t.schedule.warm_up = 4000;
  } else if (p.preset == "page") {
    // The text book's recipe (Dive into Deep Learning): rate 0.005.
    t.schedule = {.kind = Schedule::Kind::constant, .rate = 5e-3, .warm_up = 0};
    t.epochs = 250;
  }
}

}  // namespace

TranslationRecipe translation_recipe(std::string_view name, Architecture architecture) {
  TranslationRecipe p;
  p.preset = name;
  p.network = transformer_sizes(name);
  TrainOptions& t = p.train;
  t.optimiser.eps = 1e-8;
  t.schedule = {.kind = Schedule::Kind::inverse_sqrt, .rate = 5e-3, .warm_up = 2000};
  if (name == "tiny") {
    // The text-only baseline of Wu et al. (ACL 2021) on Multi30k.
    t.optimiser.clip_norm = 25;
    t.accumulate = 2;  // 8192 tokens an update
    t.steps = 8000;
    t.patience = 10;
    t.average_last = 10;
  } else if (name == "small") {
    t.optimiser.clip_norm = 5;
    t.schedule.rate = 2e-3;
    t.schedule.warm_up = 4000;
    t.steps = 20000;
    t.patience = 10;
    t.average_last = 5;
  } else if (name == "base") {
    // Vaswani et al. 2017, base: rate = 512^{−½}·4000^{−½}.
    t.optimiser.eps = 1e-9;
    t.schedule.rate = 6.987712e-4;
    t.schedule.warm_up = 4000;
    t.accumulate = 6;  // about 25k tokens an update
    t.steps = 100000;
    t.average_last = 5;
    p.subwords = 32000;
  } else if (name == "page") {
    // The walk-through's recipe (systems.md S5b): words, at most 10 of them.
    t.schedule = {.kind = Schedule::Kind::constant, .rate = 1e-4, .warm_up = 0};
    t.epochs = 20;
    p.tokeniser = TokeniserOptions::Kind::page;
    p.min_count = TokeniserOptions::page_variant().min_count;
    p.separate = true;
    p.batch_tokens = 320;  // 32 pairs of at most 10
    p.max_length = 9;      // 10 with </S>
  }
  if (architecture == Architecture::rnn) use_recurrent_recipe(p);
  return p;
}

TranslationRecipe tuned_translation_recipe(std::string init) {
  TranslationRecipe p;
  p.init = std::move(init);
  p.train = tuned_options();
  p.batch_tokens = 2048;
  return p;
}

void TranslationRecipe::check() const {
  train.check();
  tuning.check();
  if (init.empty()) TranslationDesign::check();
}

}  // namespace qkv
