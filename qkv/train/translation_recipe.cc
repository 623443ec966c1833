// Sizes and recipes of translators, by name.
#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/train/translation.h"

namespace qkv {

namespace {

/// What recurrent translators have in common here: Adam with a bounded gradient, which is what
/// keeps them from blowing up, and a rate that falls after a short warm-up.
RnnTranslator::Config use_recurrent_recipe(TranslationRecipe& p) {
  RnnTranslator::Config m;
  TrainOptions& t = p.train;
  t.optimiser.clip_norm = 1;
  t.schedule = {.kind = Schedule::Kind::inverse_sqrt, .rate = 2e-3, .warm_up = 1000};
  t.accumulate = 1;
  if (p.preset == "tiny") {
    m.embedding = 128;
    m.width = 256;
    m.layers = 1;
    m.bidirectional = true;
    m.dropout = m.embedding_dropout = 0.3;
  } else if (p.preset == "small") {
    m.embedding = 256;
    m.width = 512;
    m.bidirectional = true;
    m.dropout = m.embedding_dropout = 0.2;
    t.schedule.rate = 1e-3;
  } else if (p.preset == "base") {
    // The sizes of Bahdanau et al. 2015, without maxout.
    m.embedding = 620;
    m.width = m.attention_width = 1000;
    m.layers = 1;
    m.cell = Cell::gru_reset_before;
    m.bidirectional = true;
    m.embedding_dropout = 0.1;
    t.schedule.rate = 5e-4;
    t.schedule.warm_up = 4000;
  } else {
    // The text book's recipe (Dive into Deep Learning): width 32, two layers, rate 0.005.
    m.max_length = 10;
    t.schedule = {.kind = Schedule::Kind::constant, .rate = 5e-3, .warm_up = 0};
    t.epochs = 250;
  }
  return m;
}

}  // namespace

TranslationRecipe translation_recipe(std::string_view name, Architecture architecture) {
  TranslationRecipe p;
  p.preset = name;
  Transformer::Config m;
  TrainOptions& t = p.train;
  t.optimiser.eps = 1e-8;
  t.schedule = {.kind = Schedule::Kind::inverse_sqrt, .rate = 5e-3, .warm_up = 2000};
  if (name == "tiny") {
    // The text-only baseline of Wu et al. (ACL 2021) on Multi30k, in fairseq's conventions.
    m.width = 128;
    m.heads = 4;
    m.feed_forward = 256;
    m.encoder_layers = m.decoder_layers = 4;
    m.sinusoid = Sinusoid::blocks;
    m.dropout = 0.3;
    t.optimiser.clip_norm = 25;
    t.accumulate = 2;  // 8192 tokens an update
    t.steps = 8000;
    t.patience = 10;
    t.average_last = 10;
  } else if (name == "small") {
    m.width = 256;
    m.heads = 4;
    m.feed_forward = 1024;
    m.encoder_layers = m.decoder_layers = 3;
    m.dropout = 0.2;
    t.optimiser.clip_norm = 5;
    t.schedule.rate = 2e-3;
    t.schedule.warm_up = 4000;
    t.steps = 20000;
    t.patience = 10;
    t.average_last = 5;
  } else if (name == "base") {
    // Vaswani et al. 2017, base: rate = 512^{−½}·4000^{−½}.
    m.width = 512;
    m.heads = 8;
    m.feed_forward = 2048;
    m.encoder_layers = m.decoder_layers = 6;
    m.dropout = 0.1;
    t.optimiser.eps = 1e-9;
    t.schedule.rate = 6.987712e-4;
    t.schedule.warm_up = 4000;
    t.accumulate = 6;  // about 25k tokens an update
    t.steps = 100000;
    t.average_last = 5;
    p.subwords = 32000;
  } else if (name == "page") {
    // The walk-through's recipe (systems.md S5b): words, at most 10 of them, no W_O.
    m.width = 512;
    m.heads = 8;
    m.feed_forward = 2048;
    m.encoder_layers = m.decoder_layers = 6;
    m.positions = PositionKind::learned;
    m.max_length = 10;
    m.norm_eps = 1e-8;
    m.dropout = 0.1;
    m.attention_dropout = 0.1;
    m.share_embeddings = false;
    m.tie_output = false;
    m.output_bias = true;
    m.attention_output = false;
    m.relu_projections = true;
    t.schedule = {.kind = Schedule::Kind::constant, .rate = 1e-4, .warm_up = 0};
    t.epochs = 20;
    p.tokeniser = TokeniserOptions::Kind::page;
    p.min_count = TokeniserOptions::page_variant().min_count;
    p.separate = true;
    p.batch_tokens = 320;  // 32 pairs of at most 10
    p.max_length = 9;      // 10 with </S>
  } else {
    throw UsageError(fmt::format("--preset '{}' is not one of tiny, small, base, page", name));
  }
  p.network = m;
  if (architecture == Architecture::rnn) p.network = use_recurrent_recipe(p);
  return p;
}

void TranslationRecipe::check() const {
  train.check();
  std::visit(
      [&](auto sizes) {  // what can be checked before the text is read
        sizes.source_vocabulary = sizes.target_vocabulary = 1;
        sizes.check();
      },
      network);
}

}  // namespace qkv
