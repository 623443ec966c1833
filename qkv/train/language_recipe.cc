// Sizes and recipes of language models, by name.
#include <array>

#include <fmt/format.h>

#include "qkv/train/language.h"

namespace qkv {
namespace {

constexpr std::array<std::string_view, 4> kPresets = {"char-tiny", "char-small", "words", "base"};

using Kind = TokeniserOptions::Kind;

/// As nanoGPT's two settings for single characters, with ALiBi in place of learned positions.
void use_characters(LanguageRecipe& p, Mpt::Config& mpt, RnnLanguage::Config& rnn, bool tiny) {
  p.tokeniser = {.kind = Kind::character};
  p.context = tiny ? 128 : 256;
  p.batch_tokens = tiny ? 2048 : 16384;
  mpt.d_model = tiny ? 128 : 384;
  mpt.n_heads = tiny ? 4 : 6;
  mpt.n_layers = tiny ? 4 : 6;
  mpt.emb_pdrop = mpt.resid_pdrop = tiny ? 0.0 : 0.2;
  rnn.width = tiny ? 256 : 512;
  rnn.layers = 2;
  rnn.dropout = rnn.output_dropout = tiny ? 0.0 : 0.2;
  p.train.schedule = {.kind = Schedule::Kind::cosine,
                      .rate = tiny ? 2e-3 : 1e-3,
                      .warm_up = 100,
                      .floor = tiny ? 2e-4 : 1e-4};
  p.train.steps = 5000;
  p.train.validate_every = 250;
}

/// Words as they stand between spaces, in the sizes of a Penn Treebank model.
void use_words(LanguageRecipe& p, Mpt::Config& mpt, RnnLanguage::Config& rnn) {
  p.tokeniser = {.kind = Kind::space};
  p.context = 64;
  p.batch_tokens = 1280;
  mpt.d_model = 256;
  mpt.n_heads = 4;
  mpt.n_layers = 4;
  mpt.emb_pdrop = mpt.resid_pdrop = 0.3;
  rnn.width = 256;
  rnn.layers = 2;
  rnn.embedding_dropout = rnn.dropout = rnn.output_dropout = 0.4;
  p.train.schedule = {.kind = Schedule::Kind::cosine, .rate = 2e-3, .warm_up = 200, .floor = 1e-4};
  p.train.steps = 14000;
}

/// MPT-125m's shape with a vocabulary of 16,000 sub-words.
void use_base(LanguageRecipe& p, Mpt::Config& mpt, RnnLanguage::Config& rnn) {
  p.tokeniser = {.kind = Kind::bpe, .vocabulary_size = 16000};
  p.context = 512;
  p.batch_tokens = 8192;
  mpt.d_model = 768;
  mpt.n_heads = 12;
  mpt.n_layers = 12;
  mpt.resid_pdrop = 0.1;
  rnn.width = 1024;
  rnn.layers = 2;
  rnn.dropout = rnn.output_dropout = 0.2;
  p.train.schedule = {.kind = Schedule::Kind::cosine, .rate = 6e-4, .warm_up = 500, .floor = 6e-5};
  p.train.steps = 20000;
  p.train.validate_every = 1000;
}

}  // namespace

std::span<const std::string_view> language_preset_names() { return kPresets; }

LanguageRecipe language_recipe(std::string_view name, LanguageKind kind) {
  LanguageRecipe p;
  Mpt::Config mpt;
  RnnLanguage::Config rnn;
  p.preset = name;
  mpt.learned_pos_emb = false;
  mpt.no_bias = true;
  mpt.attn_config.alibi = kind != LanguageKind::linear;
  mpt.attn_config.linear = mpt.attn_config.rope = kind == LanguageKind::linear;
  p.train.optimiser.beta2 = 0.99;
  p.train.optimiser.decay = 0.01;
  p.train.optimiser.clip_norm = 1;
  if (name == "char-tiny" || name == "char-small") {
    use_characters(p, mpt, rnn, name == "char-tiny");
  } else if (name == "words") {
    use_words(p, mpt, rnn);
  } else if (name == "base") {
    use_base(p, mpt, rnn);
  } else {
    throw UsageError(
        fmt::format("--preset '{}' is not one of char-tiny, char-small, words, base", name));
  }
  mpt.max_seq_len = p.context;
  if (kind == LanguageKind::rnn) {
    p.network = rnn;
  } else {
    p.network = mpt;
  }
  return p;
}

void LanguageRecipe::check() const {
  check_ranges(*this);
  train.check();
  std::visit(
      [&](auto sizes) {  // what can be checked before the text is read
        sizes.vocab_size = 1;
        sizes.check();
      },
      network);
}

MptWords words_of(const Mpt::Config& c) {
  MptWords w;
  w.positions = c.learned_pos_emb    ? LanguagePositions::learned
                : c.attn_config.rope ? LanguagePositions::rotary
                                     : LanguagePositions::alibi;
  w.logit_scale =
      c.logit_scale_inv_sqrt_d_model ? "inv_sqrt_d_model" : detail::text_of(c.logit_scale);
  w.bias = !c.no_bias;
  return w;
}

RnnLanguageWords words_of(const RnnLanguage::Config& c) { return {.untied = !c.tie_output}; }

void MptWords::apply(Mpt::Config& c) const {
  c.attn_config.alibi = positions == LanguagePositions::alibi;
  c.learned_pos_emb = positions == LanguagePositions::learned;
  c.attn_config.rope = positions == LanguagePositions::rotary;
  c.no_bias = !bias;
  c.logit_scale_inv_sqrt_d_model = logit_scale == "inv_sqrt_d_model";
  if (c.logit_scale_inv_sqrt_d_model) return;
  try {
    c.logit_scale = detail::number_of(logit_scale, finite(), "--logit-scale");
  } catch (const UsageError&) {
    throw UsageError(
        fmt::format("--logit-scale '{}' is neither a finite number nor "
                    "inv_sqrt_d_model",
                    logit_scale));
  }
}

}  // namespace qkv
