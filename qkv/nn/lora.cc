#include "qkv/nn/lora.h"

#include <cmath>

#include "qkv/nn/layer_path.h"
#include "qkv/ops/elementwise.h"

namespace qkv {

Tensor Linear::changed(const Tensor& x, Activation activation, double dropout) const {
  const Tensor thin = linear(qkv::dropout(x, lora.dropout), lora.a);
  const Tensor y = add(linear(x, weight, bias), linear(scale(thin, lora.scale), lora.b));
  return qkv::dropout(activation == Activation::none ? y : activate(y, activation), dropout);
}

bool is_lora(std::string_view path) {
  return path.ends_with(".lora_A.weight") || path.ends_with(".lora_B.weight");
}

namespace detail {

bool is_lora_target(std::string_view path, LoraTargets targets) {
  if (!layer_path(path)) return false;
  if (targets == LoraTargets::all) return true;
  const std::string_view name = path.substr(path.rfind('.') + 1);
  return name == "q" || name == "v" || name == "query" || name == "value";
}

void add_lora(Initialiser& init, const LoraOptions& o, Linear& linear) {
  const std::int64_t in = linear.weight.dim(0), out = linear.weight.dim(1);
  linear.lora.a = init.uniform({in, o.rank}, 1.0 / std::sqrt(static_cast<double>(in)));
  linear.lora.b = init.zeros({o.rank, out});
  linear.lora.scale = o.scale();
  linear.lora.dropout = o.dropout;
}

void merge_lora(Linear& linear) {
  if (!linear.lora.a.defined()) return;
  const NoRecording off;
  const Tensor change = matmul(scale(linear.lora.a, linear.lora.scale), linear.lora.b);
  linear.weight = parameter(add(linear.weight, change));
  linear.lora = {};
}

void no_lora_target(LoraTargets targets) {
  fail("--lora: this network has no layer with a matrix that --lora-targets {} names",
       name_of(targets));
}

}  // namespace detail
}  // namespace qkv
