// Attention of sequences with few query rows, forward: every output has the bits that the tiles of
// attend.cc would give it, but keys stand in the lanes instead of rows, and all heads of a tile of
// keys go by together, so that keys and values are read once, in the order in which they lie.
#pragma once

#include <cstdint>
#include <span>

#include "qkv/kernels/attention/attend.h"

namespace qkv::kernels {

/// The rows of the given segments of the plan, all of which are few_rows (path.h).
void attend_few_rows(const Attend<float>& a, std::span<const std::int64_t> segments);

}  // namespace qkv::kernels
