#include "qkv/train/fine_tuning.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/nn/layer_path.h"

namespace qkv {
namespace {

constexpr std::string_view kEmbeddings = "embeddings", kEncoder = "encoder";

/// How many layers `freeze` names; 0 when it is a word.
std::int64_t layers_of(std::string_view freeze) {
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(freeze.data(), freeze.data() + freeze.size(), count);
  return error == std::errc() && end == freeze.data() + freeze.size() ? count : 0;
}

/// Tables of words, positions and segments, and what norms or maps their rows.
bool is_table(std::string_view path) {
  if (layer_path(path)) return false;
  for (const std::string_view part : {"embeddings", "embedding_hidden_mapping_in", "wte", "wpe",
                                      "source_embedding", "target_embedding", "source_positions",
                                      "target_positions", "embedding", "word_embedding"}) {
    if (has_part(path, part)) return true;
  }
  return false;
}

bool in_encoder(std::string_view path) {
  return has_part(path, kEncoder) || has_part(path, "encoder_norm");
}

bool stays(std::string_view freeze, std::string_view path) {
  if (freeze.empty()) return false;
  if (is_table(path)) return true;
  if (freeze == kEncoder) return in_encoder(path);
  const auto at = layer_path(path);
  return at && at->layer < layers_of(freeze);
}

}  // namespace

void FineTuning::check() const {
  if (freeze.empty() || freeze == kEmbeddings || freeze == kEncoder || layers_of(freeze) > 0) {
    return;
  }
  throw UsageError(
      fmt::format("--freeze {}: not embeddings, encoder or a number of layers from 1 on", freeze));
}

bool FineTuning::keeps_encoder() const { return freeze == kEncoder; }

TrainOptions tuned_options() {
  TrainOptions o;
  o.optimiser.beta2 = 0.999;
  o.optimiser.decay = 0.01;
  o.optimiser.decay_vectors = false;
  o.optimiser.clip_norm = 1;
  o.schedule = {.kind = Schedule::Kind::linear, .rate = 1e-4, .warm_up = 0, .warm_up_share = 0.1};
  o.epochs = 4;
  o.patience = 3;
  return o;
}

void raise_rate(TrainOptions& options) { options.schedule.rate *= 5; }

void count_layer(std::string_view path, LayerCounts& counts) {
  if (const auto at = layer_path(path)) {
    std::int64_t& count = counts[std::string(at->stack)];
    count = std::max(count, at->layer + 1);
  } else if (in_encoder(path)) {
    counts.try_emplace(std::string(kEncoder), 0);
  }
}

namespace {

double factor_of(const FineTuning& t, const LayerCounts& counts, std::int64_t deepest,
                 std::string_view path) {
  if (stays(t.freeze, path)) return 0;
  if (is_table(path)) return std::pow(t.layer_rates, static_cast<double>(deepest));
  const auto at = layer_path(path);
  if (!at) return t.head_rate;
  const std::int64_t above = counts.find(at->stack)->second - 1 - at->layer;
  return std::pow(t.layer_rates, static_cast<double>(above));
}

}  // namespace

Trainable trainable_of(const FineTuning& t, LayerCounts counts, IsFresh fresh) {
  t.check();
  const bool adapts = t.lora.rank > 0;
  if (t.layer_rates == 1 && t.head_rate == 1 && t.freeze.empty() && !adapts) return {};
  std::int64_t deepest = 0;
  bool encodes = false;
  for (const auto& [stack, count] : counts) {
    deepest = std::max(deepest, count);
    encodes = encodes || in_encoder(stack);
  }
  if (layers_of(t.freeze) > deepest) {
    throw UsageError(fmt::format("--freeze {}: the model has {} layers", t.freeze, deepest));
  }
  if (t.freeze == kEncoder && !encodes) {
    throw UsageError(
        "--freeze encoder: this model has none; name embeddings or a number of layers");
  }
  return [t, adapts, deepest, counts = std::move(counts),
          fresh = std::move(fresh)](std::string_view path) {
    const bool learns = !adapts || is_lora(path) || (fresh && fresh(path));
    return learns ? factor_of(t, counts, deepest, path) : 0.0;
  };
}

}  // namespace qkv
