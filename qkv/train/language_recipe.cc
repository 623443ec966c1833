// Recipes of language models, by name; their sizes are mpt_sizes() and rnn_language_sizes().
#include <array>
#include <utility>

#include "qkv/train/language.h"

namespace qkv {
namespace {

constexpr std::array<std::string_view, 4> kPresets = {"char-tiny", "char-small", "words", "base"};

using Kind = TokeniserOptions::Kind;

void use_characters(LanguageRecipe& p, bool tiny) {
  p.tokeniser = {.kind = Kind::character};
  p.context = tiny ? 128 : 256;
  p.batch_tokens = tiny ? 2048 : 16384;
  p.train.schedule = {.kind = Schedule::Kind::cosine,
                      .rate = tiny ? 2e-3 : 1e-3,
                      .warm_up = 100,
                      .floor = tiny ? 2e-4 : 1e-4};
  p.train.steps = 5000;
  p.train.validate_every = 250;
}

/// Words as they stand between spaces.
void use_words(LanguageRecipe& p) {
  p.tokeniser = {.kind = Kind::space};
  p.context = 64;
  p.batch_tokens = 1280;
  p.train.schedule = {.kind = Schedule::Kind::cosine, .rate = 2e-3, .warm_up = 200, .floor = 1e-4};
  p.train.steps = 14000;
}

void use_base(LanguageRecipe& p) {
  p.tokeniser = {.kind = Kind::bpe, .vocabulary_size = 16000};
  p.context = 512;
  p.batch_tokens = 8192;
  p.train.schedule = {.kind = Schedule::Kind::cosine, .rate = 6e-4, .warm_up = 500, .floor = 6e-5};
  p.train.steps = 20000;
  p.train.validate_every = 1000;
}

}  // namespace

std::span<const std::string_view> language_preset_names() { return kPresets; }

LanguageRecipe language_recipe(std::string_view name, LanguageKind kind) {
  LanguageRecipe p;
  p.preset = name;
  if (kind == LanguageKind::rnn) {
    p.network = rnn_language_sizes(name);
  } else {
    Mpt::Config mpt = mpt_sizes(name);
    mpt.attn_config.alibi = kind != LanguageKind::linear;
    mpt.attn_config.linear = mpt.attn_config.rope = kind == LanguageKind::linear;
    p.network = mpt;
  }
  p.train.optimiser.beta2 = 0.99;
  p.train.optimiser.decay = 0.01;
  p.train.optimiser.clip_norm = 1;
  if (name == "char-tiny" || name == "char-small") {
    use_characters(p, name == "char-tiny");
  } else if (name == "words") {
    use_words(p);
  } else {
    use_base(p);
  }
  if (auto* mpt = std::get_if<Mpt::Config>(&p.network)) mpt->max_seq_len = p.context;
  return p;
}

LanguageRecipe tuned_language_recipe(std::string init) {
  LanguageRecipe p;
  p.init = std::move(init);
  p.train = tuned_options();
  p.context = 0;
  p.batch_tokens = 2048;
  return p;
}

void LanguageRecipe::check() const {
  LanguageRecipe asked = *this;
  if (!init.empty() && context == 0) asked.context = 1;
  check_ranges(asked);
  train.check();
  tuning.check();
  if (init.empty()) LanguageDesign::check();
}

}  // namespace qkv
