#include "experiments/call_description.h"

#include <cmath>

#include "qkv/attention/explain.h"
#include "qkv/attention/parse_mask.h"
#include "qkv/base/file.h"
#include "qkv/base/random.h"
#include "qkv/view/mask_svg.h"

namespace qkv {
namespace {

/// Numbers to compute with: N(0, 1) · size.
Tensor random(const Shape& shape, std::uint64_t seed, double size = 1.0) {
  Tensor x = Tensor::empty(shape);
  Philox draw(seed);
  for (float& value : x.values()) value = static_cast<float>(size * draw.normal());
  return x;
}

Score score_of(const CallDescription& c) {
  const double size = 1.0 / std::sqrt(static_cast<double>(c.dim));
  switch (c.score) {
    case ScoreName::scaled_dot:
      return ScaledDot{};
    case ScoreName::dot:
      return ScaledDot{.scale = 1.0};
    case ScoreName::general:
      return General{.weight = random({c.dim, c.dim}, 11, size)};
    case ScoreName::additive:
      return Additive{.weight = random({c.dim}, 12)};
    case ScoreName::additive_leaky_relu:
      return Additive{
          .weight = random({c.dim}, 12), .query = {}, .key = {}, .activation = LeakyRelu{}};
    case ScoreName::concat:
      return Concat{.matrix = random({2 * c.dim, c.dim}, 13, size), .weight = random({c.dim}, 12)};
    case ScoreName::cosine:
      return Cosine{.scale = 10.0};
    case ScoreName::gaussian:
      return Gaussian{.width = std::sqrt(static_cast<double>(c.dim))};
    case ScoreName::l1:
      return L1{};
  }
  return {};
}

Bias bias_of(BiasName name, const CallDescription& c, std::int64_t keys) {
  switch (name) {
    case BiasName::soft_cap:
      return SoftCap{};
    case BiasName::alibi:
      return Alibi{};
    case BiasName::t5:
      return DistanceBias{.table = random({c.heads, 32}, 21), .bucket = t5_buckets()};
    case BiasName::shaw:
      return ShawBias{.table = random({33, c.dim}, 22)};
    case BiasName::tensor:
      return TensorBias{.tensor = random({1, c.queries, keys}, 23)};
  }
  return {};
}

Normaliser norm_of(NormName name) {
  switch (name) {
    case NormName::softmax:
      return Softmax{};
    case NormName::sink:
      return SoftmaxSink{};
    case NormName::relu:
      return Relu{};
    case NormName::sigmoid:
      return Sigmoid{};
    case NormName::kernel_sum:
      return KernelSum{};
    case NormName::sparsemax:
      return Sparsemax{};
    case NormName::entmax:
      return Entmax{};
    case NormName::hard:
      return Hard{};
  }
  return {};
}

Json json_of(const Explanation& e) {
  Json out = {{"queries", e.queries},
              {"keys", e.keys},
              {"heads", e.heads},
              {"kv_heads", e.kv_heads},
              {"dim", e.dim},
              {"value_dim", e.value_dim},
              {"sequences", e.sequences},
              {"score", e.score},
              {"bias", e.bias},
              {"mask", e.mask},
              {"normaliser", e.norm},
              {"path", name_of(e.path)},
              {"query_tile", e.query_tile},
              {"key_tile", e.key_tile},
              {"query_tiles", e.query_tiles},
              {"tiles_full", e.full},
              {"tiles_partial", e.partial},
              {"tiles_skipped", e.skipped},
              {"pairs", e.pairs},
              {"pairs_visible", e.visible},
              {"work_skipped", e.saved()},
              {"operations", e.operations},
              {"backward_operations", e.backward_operations},
              {"bytes", e.bytes},
              {"tile_bytes", e.tile_bytes},
              {"slow", e.slow}};
  if (e.measured) {
    out["seconds"] = e.measured->seconds;
    out["backward_seconds"] = e.measured->backward_seconds;
    out["fma_peak"] = e.measured->peak;
    out["share_of_fma_peak"] = e.operations / e.measured->seconds / e.measured->peak;
    out["threads"] = e.measured->threads;
  }
  return out;
}

}  // namespace

CallReport explain_call(const CallDescription& c) {
  const std::int64_t keys = c.keys.value_or(c.queries), kv_heads = c.kv_heads.value_or(c.heads);
  Attention how{.score = score_of(c), .mask = parse_mask(c.mask), .norm = norm_of(c.norm)};
  for (const BiasName name : c.bias) how.bias.push_back(bias_of(name, c, keys));
  if (c.definition) how.run = Execution::definition;
  const Tensor q = random({c.queries, c.heads, c.dim}, 1), k = random({keys, kv_heads, c.dim}, 2);
  const Tensor v = random({keys, kv_heads, c.value_dim.value_or(c.dim)}, 3);
  const Explanation e = explain(q, k, v, how, c.measure);
  if (!c.svg.empty()) {
    const auto plan = compile(how.mask, c.queries, keys);
    write_file(
        c.svg,
        svg_mask(*plan, {.title = e.mask, .query_tile = e.query_tile, .key_tile = e.key_tile}));
  }
  return {.json = json_of(e), .text = to_string(e)};
}

}  // namespace qkv
