// qkv explain: what a call of attention will do, before (and, on demand, while) it does it.
#include "qkv/attention/explain.h"

#include <cmath>

#include "app/command.h"
#include "app/output.h"
#include <nlohmann/json.hpp>

#include "qkv/attention/parse_mask.h"
#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/base/random.h"
#include "qkv/view/mask_svg.h"

namespace qkv::app {
namespace {

enum class ScoreName : std::uint8_t {
  scaled_dot,
  dot,
  general,
  additive,
  concat,
  cosine,
  gaussian,
  l1
};
constexpr std::array<std::string_view, 8> spelling(ScoreName) {
  return {"scaled_dot", "dot", "general", "additive", "concat", "cosine", "gaussian", "l1"};
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

struct Call {
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

/// Numbers to compute with: N(0, 1) · size.
Tensor random(const Shape& shape, std::uint64_t seed, double size = 1.0) {
  Tensor x = Tensor::empty(shape);
  Philox draw(seed);
  for (float& value : x.values()) value = static_cast<float>(size * draw.normal());
  return x;
}

Score score_of(const Call& c) {
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

Bias bias_of(BiasName name, const Call& c, std::int64_t keys) {
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

nlohmann::json json_of(const Explanation& e) {
  nlohmann::json out = {{"queries", e.queries},
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

void explain_attention(const Call& c, Program& program) {
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
  write_output(program.json ? json_of(e).dump() + "\n" : to_string(e));
}

}  // namespace

void add_explain(Program& program) {
  program.group("explain", "Say what a computation will do");
  Command& command = program.command("explain attention",
                                     "Which loops and tiles a call takes and what its mask saves");
  auto call = std::make_shared<Call>();
  command.options(*call);
  program.add_json(command, "Print JSON");
  program.add_threads(command);
  command.action([call, &program] { explain_attention(*call, program); });
}

}  // namespace qkv::app
