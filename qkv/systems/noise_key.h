// A key for what training does to the examples of a batch.
#pragma once

#include <cstdint>
#include <optional>

#include "qkv/autograd/tape.h"
#include "qkv/base/random.h"

namespace qkv {

/// The next key of the tape that records; none without one.
inline std::optional<std::uint64_t> noise_key() {
  const Dropout drop = draw_dropout(0.5);
  if (!drop.active()) return {};
  return key_of(drop.key0, drop.key1);
}

}  // namespace qkv
