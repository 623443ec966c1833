// Weights under the names and in the layout of PyTorch programs: matrices [out, in], the q, k and v
// of one attention below each other. A model lists its entries; reading and writing follow.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "qkv/tensor/tensor.h"

namespace qkv {

using StateDict = std::vector<std::pair<std::string, Tensor>>;

struct StateEntry {
  std::string name;
  std::vector<Tensor> parts;  // of a model (copies share the numbers); an entry without is skipped
  bool table = false;         // rows are rows there too (embeddings): nothing is transposed
};

/// Copies of all weights, in the order of the entries.
StateDict read_state(const std::vector<StateEntry>& entries);
/// Writes the numbers into the entries' parts. Strict: throws when a name is missing, unknown or
/// there twice, or a shape does not fit; then nothing has changed.
void write_state(const std::vector<StateEntry>& entries, const StateDict& state);

}  // namespace qkv
