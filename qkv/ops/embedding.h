// Token rows: dropout(scale · table[id] + positions[p]).
#pragma once

#include <cstdint>
#include <span>

#include "qkv/tensor/tensor.h"

namespace qkv {

struct TableOptions {
  double scale = 1.0;
  double dropout = 0.0;
  bool zero_rows = false;  // the id −1 stands for a row of zeros
};

/// ids [T], table [V C], positions [P C] or undefined with position [T] -> [T C]. Throws when an id
/// or a position lies outside its table.
Tensor embed(std::span<const std::int32_t> ids, const Tensor& table,
             const TableOptions& options = {}, const Tensor& positions = {},
             std::span<const std::int32_t> position = {});

}  // namespace qkv
