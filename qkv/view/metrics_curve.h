// The curve of a training run from its metrics.jsonl: losses of training and validation over the
// updates, and a score beside them.
#pragma once

#include <span>
#include <string>
#include <utility>

#include "qkv/io/json.h"

namespace qkv {

/// The field of training's loss, how both losses are called, and in what they are counted.
struct CurveWords {
  std::string field = "nll", train = "train", valid = "valid", unit = "nats a token";
};

/// An SVG of the fields `words.field` and valid_loss by step, and of the field score.first (empty:
/// none) under the name score.second. Lines without a step and numbers that are not finite are
/// passed over; empty when nothing is left.
std::string metrics_curve(std::span<const Json> lines,
                          const std::pair<std::string, std::string>& score,
                          const CurveWords& words = {});

}  // namespace qkv
