// Low-rank adapters (LoRA, Hu et al. 2021): a matrix W [I O] of a trained network stays as it is,
// and what is learnt beside it is a product of two thin ones:
//
//   y = x·W + b + α/R · dropout(x)·A·B        A [I R] drawn, B [R O] begins as zeros
//
// so that at first y is the network's own. A change is R·(I + O) numbers instead of I·O; W has no
// gradient to compute. Which matrices: those of layers (nn/layer_path.h), the heads never.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "qkv/base/options.h"
#include "qkv/nn/linear.h"
#include "qkv/nn/state_dict.h"

namespace qkv {

enum class LoraTargets : std::uint8_t {
  query_value,  ///< the products that give queries and values
  all,          ///< every product of every layer
};
constexpr std::array<std::string_view, 2> spelling(LoraTargets) { return {"query_value", "all"}; }

struct LoraOptions {
  std::int64_t rank = 0;  // R; 0: no adapters
  double alpha = 0;       // 0: 2·R
  double dropout = 0;
  LoraTargets targets = LoraTargets::query_value;

  double scale() const { return (alpha > 0 ? alpha : 2.0 * double(rank)) / double(rank); }

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"lora",
           "Train low-rank adapters of this rank beside the layers' matrices, which stay as they "
           "are (0: none)",
           between(0, 4096)},
          o.rank);
    visit({"lora_alpha", "Adapters count alpha over rank (0: twice the rank)", non_negative()},
          o.alpha);
    visit({"lora_dropout", "Of what adapters read", share()}, o.dropout);
    visit({"lora_targets", "Which matrices get adapters"}, o.targets);
  }
};

namespace detail {

template <class M, class F>
void visit_linears(M& member, const std::string& path, F& f) {
  using Plain = std::remove_const_t<M>;
  if constexpr (std::is_same_v<Plain, Linear>) {
    if (member.weight.defined()) f(std::string_view(path), member);
  } else if constexpr (IsVector<Plain>::value) {
    for (std::size_t i = 0; i < member.size(); ++i) {
      visit_linears(member[i], path + "." + std::to_string(i), f);
    }
  } else if constexpr (!std::is_same_v<Plain, Tensor>) {
    Plain::each(member, [&](std::string_view name, auto& child) {
      visit_linears(child, path.empty() ? std::string(name) : path + "." + std::string(name), f);
    });
  }
}

bool is_lora_target(std::string_view path, LoraTargets targets);
void add_lora(Initialiser& init, const LoraOptions& options, Linear& linear);
/// W + α/R·A·B, in place of the three.
void merge_lora(Linear& linear);
[[noreturn]] void no_lora_target(LoraTargets targets);

}  // namespace detail

/// f(path, linear) for every Linear that has a weight, in the order of `each`.
template <class M, class F>
void for_each_linear(M& module, F&& f) {
  detail::visit_linears(module, "", f);
}

/// Whether a parameter is one of an adapter's.
bool is_lora(std::string_view path);

/// Puts fresh adapters beside the matrices that the options name: A ~ U(−1/√I, 1/√I), B = 0, which
/// draws PEFT does too. Throws Error where there is none.
template <class M>
void add_lora(M& module, const LoraOptions& options, Initialiser init) {
  bool any = false;
  for_each_linear(module, [&](std::string_view path, Linear& linear) {
    if (!detail::is_lora_target(path, options.targets)) return;
    detail::add_lora(init, options, linear);
    any = true;
  });
  if (!any) detail::no_lora_target(options.targets);
}

/// Makes adapters a part of their matrices: the same answers within rounding, and no more work than
/// without.
template <class M>
void merge_lora(M& module) {
  for_each_linear(module, [](std::string_view, Linear& linear) { detail::merge_lora(linear); });
}

/// The adapters under PEFT's kind of names, "base_model.model.PATH.lora_A.weight" [R I], with the
/// paths of this library.
template <class M>
StateEntries lora_entries(const M& module) {
  StateEntries entries;
  for_each_parameter(module, [&](std::string_view path, const Tensor& p) {
    if (is_lora(path)) entries.push_back({"base_model.model." + std::string(path), {p}});
  });
  return entries;
}

}  // namespace qkv
