// Which parameters learn, and how fast: a rule from a parameter's path to a factor of the learning
// rate.
#pragma once

#include <functional>
#include <string_view>

namespace qkv {

/// 1: as fast as the schedule says; 0: not at all, which costs neither a gradient nor moments.
/// Empty: all learn alike.
using Trainable = std::function<double(std::string_view path)>;

}  // namespace qkv
