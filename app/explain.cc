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

struct Call {
  std::int64_t queries = 1024, keys = 0, heads = 8, kv_heads = 0, dim = 64, value_dim = 0;
  std::string mask = "everything()", score = "scaled_dot", norm = "softmax", svg;
  std::vector<std::string> bias;
  bool measure = false, definition = false;
};

/// Numbers to compute with: N(0, 1) · size.
Tensor random(const Shape& shape, std::uint64_t seed, double size = 1.0) {
  Tensor x = Tensor::empty(shape);
  Philox draw(seed);
  for (float& value : x.values()) value = static_cast<float>(size * draw.normal());
  return x;
}

Score score_of(const Call& c) {
  const double size = 1.0 / std::sqrt(static_cast<double>(std::max<std::int64_t>(c.dim, 1)));
  if (c.score == "scaled_dot") return ScaledDot{};
  if (c.score == "dot") return ScaledDot{.scale = 1.0};
  if (c.score == "general") return General{.weight = random({c.dim, c.dim}, 11, size)};
  if (c.score == "additive") return Additive{.weight = random({c.dim}, 12)};
  if (c.score == "concat") {
    return Concat{.matrix = random({2 * c.dim, c.dim}, 13, size), .weight = random({c.dim}, 12)};
  }
  if (c.score == "cosine") return Cosine{.scale = 10.0};
  if (c.score == "gaussian") return Gaussian{.width = std::sqrt(static_cast<double>(c.dim))};
  if (c.score == "l1") return L1{};
  fail("no score '{}'; there are scaled_dot, dot, general, additive, concat, cosine, gaussian, l1",
       c.score);
}

Bias bias_of(const std::string& name, const Call& c) {
  if (name == "soft_cap") return SoftCap{};
  if (name == "alibi") return Alibi{};
  if (name == "t5") return DistanceBias{.table = random({c.heads, 32}, 21), .bucket = t5_buckets()};
  if (name == "shaw") return ShawBias{.table = random({33, c.dim}, 22)};
  if (name == "tensor") return TensorBias{.tensor = random({1, c.queries, c.keys}, 23)};
  fail("no bias '{}'; there are soft_cap, alibi, t5, shaw, tensor", name);
}

Normaliser norm_of(const std::string& name) {
  if (name == "softmax") return Softmax{};
  if (name == "sink") return SoftmaxSink{};
  if (name == "relu") return Relu{};
  if (name == "sigmoid") return Sigmoid{};
  if (name == "kernel_sum") return KernelSum{};
  if (name == "sparsemax") return Sparsemax{};
  if (name == "entmax") return Entmax{};
  if (name == "hard") return Hard{};
  fail(
      "no normaliser '{}'; there are softmax, sink, relu, sigmoid, kernel_sum, sparsemax, entmax, "
      "hard",
      name);
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

void explain_attention(Call c, Program& program) {
  if (c.keys == 0) c.keys = c.queries;
  if (c.kv_heads == 0) c.kv_heads = c.heads;
  if (c.value_dim == 0) c.value_dim = c.dim;
  Attention how{.score = score_of(c), .mask = parse_mask(c.mask), .norm = norm_of(c.norm)};
  for (const std::string& name : c.bias) how.bias.push_back(bias_of(name, c));
  if (c.definition) how.run = Execution::definition;
  const Tensor q = random({c.queries, c.heads, c.dim}, 1);
  const Tensor k = random({c.keys, c.kv_heads, c.dim}, 2);
  const Tensor v = random({c.keys, c.kv_heads, c.value_dim}, 3);
  const Explanation e = explain(q, k, v, how, c.measure);
  if (!c.svg.empty()) {
    const auto plan = compile(how.mask, c.queries, c.keys);
    write_file(
        c.svg,
        svg_mask(*plan, {.title = e.mask, .query_tile = e.query_tile, .key_tile = e.key_tile}));
  }
  print_output("{}", program.json ? json_of(e).dump() + "\n" : to_string(e));
}

}  // namespace

void add_explain(Program& program) {
  CLI::App* explain = program.cli.add_subcommand("explain", "Say what a computation will do");
  explain->require_subcommand(1);
  CLI::App* a = explain->add_subcommand(
      "attention", "Which loops and tiles a call takes and what its mask saves");
  auto c = std::make_shared<Call>();
  a->add_option("--queries", c->queries, "Query rows, Tq")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  a->add_option("--keys", c->keys, "Keys, Tk (default: as many as queries)")
      ->check(CLI::NonNegativeNumber);
  a->add_option("--heads", c->heads, "Query heads, H")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  a->add_option("--kv-heads", c->kv_heads, "Key and value heads (default: as many as --heads)")
      ->check(CLI::PositiveNumber);
  a->add_option("--dim", c->dim, "Features of a head, D")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  a->add_option("--value-dim", c->value_dim, "Features of a value (default: as --dim)")
      ->check(CLI::PositiveNumber);
  a->add_option("--mask", c->mask, "As in C++: 'segments([512, 512]) & causal() & window(256)'")
      ->capture_default_str();
  a->add_option("--score", c->score, "scaled_dot, additive, l1 …")->capture_default_str();
  a->add_option("--bias", c->bias, "soft_cap, alibi, t5, shaw, tensor; several in order")
      ->delimiter(',')
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  a->add_option("--norm", c->norm, "softmax, sink, entmax …")->capture_default_str();
  a->add_flag("--definition", c->definition, "Take the definition, not the tiles");
  a->add_flag("--measure", c->measure, "Run it too, forward and backward");
  a->add_option("--svg", c->svg, "Draw the mask with its tiles into this file");
  a->add_flag("--json", program.json, "Print JSON");
  add_threads(*a, program);
  a->callback([c, &program] {
    apply_threads(program);
    explain_attention(*c, program);
  });
}

}  // namespace qkv::app
