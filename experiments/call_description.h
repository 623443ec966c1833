// A call of attention as words describe it, and what it will do: `qkv explain attention`.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/base/options.h"
#include "qkv/io/json.h"

namespace qkv {

enum class ScoreName : std::uint8_t {
  scaled_dot,
  dot,
  general,
  additive,
  additive_leaky_relu,
  concat,
  cosine,
  gaussian,
  l1
};
constexpr std::array<std::string_view, 9> spelling(ScoreName) {
  return {"scaled_dot", "dot",    "general",  "additive", "additive_leaky_relu",
          "concat",     "cosine", "gaussian", "l1"};
}
enum class BiasName : std::uint8_t { soft_cap, alibi, t5, shaw, tensor };
constexpr std::array<std::string_view, 5> spelling(BiasName) {
  return {"soft_cap", "alibi", "t5", "shaw", "tensor"};
}
enum class NormName : std::uint8_t {
  softmax,
  sink,
  relu,
  sigmoid,
  kernel_sum,
  sparsemax,
  entmax,
  hard
};
constexpr std::array<std::string_view, 8> spelling(NormName) {
  return {"softmax", "sink", "relu", "sigmoid", "kernel_sum", "sparsemax", "entmax", "hard"};
}

struct CallDescription {
  std::int64_t queries = 1024, heads = 8, dim = 64;
  std::optional<std::int64_t> keys, kv_heads, value_dim;
  std::string mask = "everything()", svg;
  ScoreName score = ScoreName::scaled_dot;
  NormName norm = NormName::softmax;
  std::vector<BiasName> bias;
  bool measure = false, definition = false;

  template <class Self, class Visit>
  static void each(Self& c, Visit&& visit) {
    // Far beyond memory, and still so that the sizes of tensors fit 64 bits.
    const Bounds heads = between(1, 1 << 12), width = between(1, 1 << 16);
    visit({"queries", "Query rows, Tq", between(0, 1 << 30)}, c.queries);
    visit({"keys", "Keys, Tk (default: as many as queries)", between(1, 1 << 30)}, c.keys);
    visit({"heads", "Query heads, H", heads}, c.heads);
    visit({"kv_heads", "Key and value heads (default: as many as --heads)", heads}, c.kv_heads);
    visit({"dim", "Features of a head, D", width}, c.dim);
    visit({"value_dim", "Features of a value (default: as --dim)", width}, c.value_dim);
    visit({"mask", "As in C++: 'segments([512, 512]) & causal() & window(256)'"}, c.mask);
    visit({"score", "How a query and a key are compared"}, c.score);
    visit({"bias", "What is added to the scores; several in order"}, c.bias);
    visit({"norm", "What makes weights of the scores"}, c.norm);
    visit({"definition", "Take the definition, not the tiles"}, c.definition);
    visit({"measure", "Run it too, forward and backward"}, c.measure);
    visit({"svg", "Draw the mask with its tiles into this file"}, c.svg);
  }
};

struct CallReport {
  Json json;
  std::string text;
};
/// Plans the call (qkv/attention/explain.h) with random numbers, measures it if that is asked for,
/// and draws its mask. Throws Error for a mask that does not parse or does not fit.
CallReport explain_call(const CallDescription& call);

}  // namespace qkv
