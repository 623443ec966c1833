#include "qkv/models/language_words.h"

#include <fmt/format.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

[[noreturn]] void fail_preset(std::string_view preset) {
  fail<UsageError>("--preset '{}' is not one of char-tiny, char-small, words, base", preset);
}

}  // namespace

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

Mpt::Config mpt_sizes(std::string_view preset) {
  Mpt::Config c;
  c.learned_pos_emb = false;
  c.no_bias = true;
  c.attn_config.alibi = true;
  if (preset == "char-tiny") {  // nanoGPT's two settings for single characters, but with ALiBi
    c.d_model = 128;
    c.n_heads = c.n_layers = 4;
    c.emb_pdrop = c.resid_pdrop = 0.0;
  } else if (preset == "char-small") {
    c.d_model = 384;
    c.n_heads = c.n_layers = 6;
    c.emb_pdrop = c.resid_pdrop = 0.2;
  } else if (preset == "words") {  // the size of a Penn Treebank model
    c.d_model = 256;
    c.n_heads = c.n_layers = 4;
    c.emb_pdrop = c.resid_pdrop = 0.3;
  } else if (preset == "base") {  // MPT-125m's shape
    c.d_model = 768;
    c.n_heads = c.n_layers = 12;
    c.resid_pdrop = 0.1;
  } else {
    fail_preset(preset);
  }
  return c;
}

RnnLanguage::Config rnn_language_sizes(std::string_view preset) {
  RnnLanguage::Config c;
  c.layers = 2;
  if (preset == "char-tiny") {
    c.width = 256;
    c.dropout = c.output_dropout = 0.0;
  } else if (preset == "char-small") {
    c.width = 512;
    c.dropout = c.output_dropout = 0.2;
  } else if (preset == "words") {
    c.width = 256;
    c.embedding_dropout = c.dropout = c.output_dropout = 0.4;
  } else if (preset == "base") {
    c.width = 1024;
    c.dropout = c.output_dropout = 0.2;
  } else {
    fail_preset(preset);
  }
  return c;
}

}  // namespace qkv
