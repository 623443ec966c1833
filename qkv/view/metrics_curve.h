// The curve of a training run from its metrics.jsonl: losses of training and validation over the
// updates, and a score beside them.
#pragma once

#include <span>
#include <string>
#include <utility>

#include "qkv/io/json.h"

namespace qkv {

/// An SVG of the fields nll and valid_loss by step, and of the field score.first (empty: none)
/// under the name score.second. Lines without a step and numbers that are not finite are passed
/// over; empty when nothing is left.
std::string metrics_curve(std::span<const Json> lines,
                          const std::pair<std::string, std::string>& score);

}  // namespace qkv
