#include "qkv/train/language.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <nlohmann/json.hpp>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/random.h"

namespace qkv {
namespace {

constexpr std::array<std::string_view, 4> kPresets = {"char-tiny", "char-small", "words", "base"};

using Kind = TokeniserOptions::Kind;

/// As nanoGPT's two settings for single characters, with ALiBi in place of learned positions.
void use_characters(LanguagePreset& p, bool tiny) {
  p.tokeniser = {.kind = Kind::character};
  p.context = tiny ? 128 : 256;
  p.batch_tokens = tiny ? 2048 : 16384;
  p.mpt.d_model = tiny ? 128 : 384;
  p.mpt.n_heads = tiny ? 4 : 6;
  p.mpt.n_layers = tiny ? 4 : 6;
  p.mpt.emb_pdrop = p.mpt.resid_pdrop = tiny ? 0.0 : 0.2;
  p.rnn.width = tiny ? 256 : 512;
  p.rnn.layers = 2;
  p.rnn.dropout = p.rnn.output_dropout = tiny ? 0.0 : 0.2;
  p.train.schedule = {.kind = Schedule::Kind::cosine,
                      .rate = tiny ? 2e-3 : 1e-3,
                      .warm_up = 100,
                      .floor = tiny ? 2e-4 : 1e-4};
  p.train.steps = 5000;
  p.train.validate_every = 250;
}

/// Words as they stand between spaces, in the sizes of a Penn Treebank model.
void use_words(LanguagePreset& p) {
  p.tokeniser = {.kind = Kind::space};
  p.context = 64;
  p.batch_tokens = 1280;
  p.mpt.d_model = 256;
  p.mpt.n_heads = 4;
  p.mpt.n_layers = 4;
  p.mpt.emb_pdrop = p.mpt.resid_pdrop = 0.3;
  p.rnn.width = 256;
  p.rnn.layers = 2;
  p.rnn.embedding_dropout = p.rnn.dropout = p.rnn.output_dropout = 0.4;
  p.train.schedule = {.kind = Schedule::Kind::cosine, .rate = 2e-3, .warm_up = 200, .floor = 1e-4};
  p.train.steps = 14000;
}

/// MPT-125m's shape with a vocabulary of 16,000 sub-words.
void use_base(LanguagePreset& p) {
  p.tokeniser = {.kind = Kind::bpe, .vocabulary_size = 16000};
  p.context = 512;
  p.batch_tokens = 8192;
  p.mpt.d_model = 768;
  p.mpt.n_heads = 12;
  p.mpt.n_layers = 12;
  p.mpt.resid_pdrop = 0.1;
  p.rnn.width = 1024;
  p.rnn.layers = 2;
  p.rnn.dropout = p.rnn.output_dropout = 0.2;
  p.train.schedule = {.kind = Schedule::Kind::cosine, .rate = 6e-4, .warm_up = 500, .floor = 6e-5};
  p.train.steps = 20000;
  p.train.validate_every = 1000;
}

/// Windows to train on. To a prefix model up to half of each is given, drawn by its place.
std::vector<Window> training_windows(const LanguageModel& model, const LanguageTraining& t,
                                     std::span<const std::int64_t> begins) {
  std::vector<Window> windows;
  for (const std::int64_t begin : begins) {
    windows.push_back(window_at(t.train, begin, t.context));
  }
  if (!model.sees_prefix()) return windows;
  for (Window& w : windows) {
    Philox draw(key_of(t.seed, hash_name("prefix"), w.begin));
    const auto half = static_cast<std::uint64_t>((w.end - w.begin) / 2);
    w.scored += static_cast<std::int64_t>(draw.below(half + 1));
  }
  return windows;
}

Validation validate_language(const LanguageModel& model, const LanguageTraining& t) {
  const TextScore s =
      score_text(model, t.valid, {.context = t.context, .batch_tokens = t.batch_tokens});
  Validation v;
  v.loss = s.loss();
  v.score = -v.loss;
  v.text = fmt::format("loss {:.4f}  perplexity {:.2f}  {:.3f} bits a character  accuracy {:.1f} %",
                       v.loss, s.perplexity(), s.bits_per_character(), 100 * s.accuracy());
  v.metrics = nlohmann::json{{"perplexity", s.perplexity()},
                             {"bits_per_character", s.bits_per_character()},
                             {"valid_accuracy", s.accuracy()}}
                  .dump();
  return v;
}

}  // namespace

std::span<const std::string_view> language_preset_names() { return kPresets; }

LanguagePreset language_preset(std::string_view name, LanguageKind kind) {
  LanguagePreset p;
  p.name = name;
  p.kind = kind;
  p.mpt.learned_pos_emb = false;
  p.mpt.no_bias = true;
  p.mpt.attn_config.alibi = kind != LanguageKind::linear;
  p.mpt.attn_config.linear = p.mpt.attn_config.rope = kind == LanguageKind::linear;
  p.train.optimiser.beta2 = 0.99;
  p.train.optimiser.decay = 0.01;
  p.train.optimiser.clip_norm = 1;
  if (name == "char-tiny" || name == "char-small") {
    use_characters(p, name == "char-tiny");
  } else if (name == "words") {
    use_words(p);
  } else if (name == "base") {
    use_base(p);
  } else {
    fail("preset '{}' is not one of char-tiny, char-small, words, base", name);
  }
  p.mpt.max_seq_len = p.context;
  return p;
}

TrainTask language_task(LanguageModel& model, const LanguageTraining& training,
                        const std::filesystem::path& directory) {
  TrainTask task;
  task.plan = [&training](std::int64_t epoch) {
    return plan_windows(training.train, training.context, training.batch_tokens, training.seed,
                        epoch);
  };
  task.tokens = [&model, &training](std::span<const std::int64_t> begins) {
    std::int64_t tokens = 0;
    for (const Window& w : training_windows(model, training, begins)) {
      tokens += w.end + 1 - w.scored;
    }
    return tokens;
  };
  task.loss = [&model, &training](std::span<const std::int64_t> begins, double scale) {
    CrossEntropyOptions options = training.loss;
    options.scale = scale;
    const CrossEntropyResult r =
        model.loss(pack(training.train, training_windows(model, training, begins)), options);
    return BatchLoss{.loss_sum = r.loss_sum,
                     .nll_sum = r.nll_sum,
                     .tokens = r.tokens,
                     .correct = r.correct,
                     .loss = r.loss};
  };
  task.validate = [&model, &training] { return validate_language(model, training); };
  task.save = [&model, directory] { save_language_model(model, directory); };
  task.keep = [&model](const std::filesystem::path& folder) { save_language_model(model, folder); };
  return task;
}

}  // namespace qkv
