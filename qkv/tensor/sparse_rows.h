// Rows of which most numbers are zero: features of nodes, bags of words. Only the others are kept.
#pragma once

#include <cstdint>
#include <vector>

namespace qkv {

struct SparseRows {
  std::int64_t columns = 0;                 // C
  std::vector<std::int64_t> offsets = {0};  // [N+1]
  std::vector<std::int32_t> column;         // of entry e, in [0, C); ascending in a row
  std::vector<float> value;                 // of entry e

  std::int64_t rows() const { return static_cast<std::int64_t>(offsets.size()) - 1; }
  std::int64_t entries() const { return static_cast<std::int64_t>(column.size()); }
};

}  // namespace qkv
