// The norm of a layer, of one kind or the other.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <variant>

#include "qkv/nn/linear.h"
#include "qkv/nn/rms_norm.h"

namespace qkv {

/// In the order of NormBlock's alternatives.
enum class NormKind : std::uint8_t { layer, rms };
constexpr std::array<std::string_view, 2> spelling(NormKind) { return {"layer", "rms"}; }

/// Its parameters are those of the kind that it holds.
struct NormBlock {
  std::variant<LayerNorm, RmsNorm> kind;

  /// `bias` is LayerNorm's; an RmsNorm has none.
  static NormBlock make(Initialiser& init, NormKind kind, std::int64_t width, double eps,
                        bool bias) {
    if (kind == NormKind::rms) return {RmsNorm::make(init, width, eps)};
    return {LayerNorm::make(init, width, eps, bias)};
  }
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    std::visit([&](auto& held) { std::remove_cvref_t<decltype(held)>::each(held, visit); }, m.kind);
  }
  Tensor operator()(const Tensor& x) const {
    return std::visit([&](const auto& held) { return held(x); }, kind);
  }
};

}  // namespace qkv
