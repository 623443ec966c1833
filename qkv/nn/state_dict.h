// Weights under the names and in the layout of PyTorch programs: matrices [out, in], the q, k and v
// of one attention below each other. A model lists its entries; reading and writing follow. Lists
// of common modules: qkv/nn/torch_names.h.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "qkv/nn/module.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

using StateDict = std::vector<std::pair<std::string, Tensor>>;

/// How an entry lies there.
enum class StateLayout : std::uint8_t {
  linear,   ///< a matrix [I O] as [O I], the parts below each other; a vector as it is
  same,     ///< one part as it is, e.g. embeddings, whose rows are rows there too
  row,      ///< one vector [N] as a matrix [1 N], that of nn.Linear(N, 1)
  columns,  ///< a matrix [I O] as it is, the parts beside each other: GPT-2's Conv1D
  kernel,   ///< one kernel [Kh Kw I O] as [O I Kh Kw], or [K I O] as [O I K]: nn.Conv2d, nn.Conv1d
};

struct StateEntry {
  std::string name;
  std::vector<Tensor> parts;  // of a model (copies share the numbers); an entry without is skipped
  StateLayout layout = StateLayout::linear;
};
using StateEntries = std::vector<StateEntry>;

/// Copies of all weights, in the order of the entries.
StateDict read_state(const StateEntries& entries);
/// Writes the numbers into the entries' parts. Strict: throws when a name is missing, unknown or
/// there twice, or a shape does not fit; then nothing has changed.
void write_state(const StateEntries& entries, const StateDict& state);

namespace detail {
using TakenParts = std::map<const void*, Tensor>;  // by the tape node of the part
void write_state(const StateEntries& entries, const StateDict& state, TakenParts* taken);
}  // namespace detail

/// The same for the entries of a module's parameters, but what lies in the state as the module
/// keeps it is not copied: the parameter then shares the state's numbers, which may be a mapped
/// file's.
template <class M>
void take_state(M& module, const StateEntries& entries, const StateDict& state) {
  detail::TakenParts taken;
  detail::write_state(entries, state, &taken);
  for_each_parameter(module, [&](std::string_view, Tensor& p) {
    const auto found = taken.find(p.tape_node().get());
    if (found != taken.end()) p = found->second;
  });
}

}  // namespace qkv
