// The norm of a layer, of one kind or the other.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "qkv/nn/linear.h"
#include "qkv/nn/rms_norm.h"

namespace qkv {

/// In the order of NormBlock's alternatives.
enum class NormKind : std::uint8_t { layer, rms };
constexpr std::array<std::string_view, 2> spelling(NormKind) { return {"layer", "rms"}; }

using NormBlock = OneOf<LayerNorm, RmsNorm>;

/// `bias` is LayerNorm's; an RmsNorm has none.
inline NormBlock make_norm(Initialiser& init, NormKind kind, std::int64_t width, double eps,
                           bool bias) {
  if (kind == NormKind::rms) return {RmsNorm::make(init, width, eps)};
  return {LayerNorm::make(init, width, eps, bias)};
}

}  // namespace qkv
