// Small random Transformers of every kind that decoding must handle.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "qkv/base/parallel.h"
#include "qkv/base/random.h"
#include "qkv/decode/step_model.h"
#include "qkv/models/transformer.h"

namespace qkv::test {

/// So many threads while it lives.
class Threads {
 public:
  explicit Threads(int count) : before_(threads()) { set_threads(count); }
  ~Threads() { set_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

inline Transformer::Config tiny_config() {
  Transformer::Config c;
  c.source_vocabulary = c.target_vocabulary = 50;
  c.width = 16;
  c.heads = 4;
  c.feed_forward = 32;
  c.encoder_layers = c.decoder_layers = 2;
  c.max_length = 64;
  return c;
}

inline std::vector<std::pair<std::string, Transformer::Config>> tiny_configs() {
  Transformer::Config post = tiny_config(), pre = tiny_config(), page = tiny_config();
  pre.norm = NormPlacement::pre;
  pre.final_norm = true;
  pre.activation = Activation::gelu;
  page.positions = PositionKind::learned;
  page.share_embeddings = page.tie_output = page.attention_output = false;
  page.output_bias = page.relu_projections = true;
  page.target_vocabulary = 40;
  page.max_length = 12;
  return {{"post", post}, {"pre", pre}, {"page", page}};
}

/// Random weights, made larger so that the next token depends on what was read and written.
inline Transformer tiny_transformer(const Transformer::Config& config, std::uint64_t seed = 1) {
  Transformer model = Transformer::make(seed, config);
  for_each_parameter(model, [](std::string_view name, Tensor& p) {
    if (name.find("norm") != std::string_view::npos) return;
    for (float& x : p.values()) x *= 1.7f;
  });
  return model;
}

/// Sentences of 1 … longest tokens from 3 up.
inline std::vector<Tokens> random_sentences(std::int64_t count, std::int64_t longest,
                                            std::int64_t vocabulary, std::uint64_t seed = 5) {
  Philox random(key_of(seed, 1, 2));
  std::vector<Tokens> sentences;
  for (std::int64_t i = 0; i < count; ++i) {
    Tokens tokens(1 + random.below(static_cast<std::uint64_t>(longest)));
    for (std::int32_t& id : tokens) {
      id = 3 + static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(vocabulary - 3)));
    }
    sentences.push_back(std::move(tokens));
  }
  return sentences;
}

}  // namespace qkv::test
