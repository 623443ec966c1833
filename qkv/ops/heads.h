// What is done to queries and keys between their projection and the score: heads projected once
// more, rows of one length, bounds, rotation by position.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "qkv/tensor/tensor.h"

namespace qkv {

/// x / max(‖x‖, eps) along the last axis, any rank from 1. A row of zeros gives zeros and a zero
/// gradient.
Tensor unit_rows(const Tensor& x, double eps = 1e-12);

/// x / √(mean x² + eps) · gamma along the last axis (Zhang & Sennrich 2019), any rank from 1; gamma
/// [C] or undefined (ones). Over the model's width or over each head, as x is shaped.
Tensor rms_norm(const Tensor& x, const Tensor& gamma, double eps = 1e-5);

/// x [T H D] · w -> [T H E]; w [D E] is shared by the heads, w [H D E] has a matrix for each.
Tensor project_heads(const Tensor& x, const Tensor& w);

/// min(max(x, low), high), any rank. The gradient passes within [low, high]; NaN stays NaN.
Tensor clamp(const Tensor& x, double low, double high);

/// Llama 3.1's stretching of the angles for longer texts: pairs that turn less than `low` times in
/// `original` positions are slowed down by `factor`, those that turn more than `high` times stay,
/// the others are mixed in proportion.
struct RotaryBands {
  double factor = 1.0;  // 1: every angle as it is
  double low = 1.0, high = 4.0;
  double original = 8192.0;
};

struct RotaryOptions {
  double base = 10000.0;
  std::int64_t dims = 0;     // how many of D are rotated, the first ones; even; 0: all
  bool interleaved = false;  // pairs (2i, 2i + 1) as in GPT-J; else (i, i + dims/2) as in GPT-NeoX
  double scale = 1.0;        // of the positions; 1/4 squeezes four times the length into the angles
  RotaryBands bands = {};
};
/// The angle of each pair at position 1.
std::vector<double> rotary_frequencies(std::int64_t pairs, const RotaryOptions& options);
/// x [T H D]: pair i of every head is turned by positions[t] · scale · base^(−2i/dims) (Su et al.
/// 2021), or what bands make of it, so that the product of a query and a key depends on the
/// distance of their positions alone.
Tensor rotary(const Tensor& x, std::span<const std::int32_t> positions,
              const RotaryOptions& options = {});

}  // namespace qkv
