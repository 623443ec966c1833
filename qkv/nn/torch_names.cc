#include "qkv/nn/torch_names.h"

#include "qkv/base/error.h"

namespace qkv {
namespace {

void list_layer(const RecurrentWeights& w, const std::string& prefix, const std::string& suffix,
                StateEntries& entries) {
  entries.push_back({prefix + "weight_ih_" + suffix, {w.input}});
  entries.push_back({prefix + "weight_hh_" + suffix, {w.hidden}});
  entries.push_back({prefix + "bias_ih_" + suffix, {w.input_bias}});
  entries.push_back({prefix + "bias_hh_" + suffix, {w.hidden_bias}});
}

/// An entry of what heads may share or have each for themselves.
StateEntry shared_or_each(const std::string& name, const Tensor& part, int shared_rank,
                          StateLayout shared) {
  const bool each = part.defined() && part.shape().rank() > shared_rank;
  return {name, {part}, each ? StateLayout::same : shared};
}

}  // namespace

void list_state(const Linear& m, const std::string& prefix, StateEntries& entries) {
  entries.push_back({prefix + "weight", {m.weight}});
  entries.push_back({prefix + "bias", {m.bias}});
}

void list_state(const LayerNorm& m, const std::string& prefix, StateEntries& entries) {
  entries.push_back({prefix + "weight", {m.weight}});
  entries.push_back({prefix + "bias", {m.bias}});
}

void list_state(const Recurrent& m, const std::string& prefix, StateEntries& entries) {
  if (m.config.cell == Cell::gru_reset_before) {
    fail(
        "state dict: PyTorch has no gru_reset_before; its GRU resets after the product, take the "
        "cell gru");
  }
  for (std::size_t l = 0; l < m.forward.size(); ++l) {
    const std::string layer = "l" + std::to_string(l);
    list_layer(m.forward[l].weights, prefix, layer, entries);
    if (l < m.backward.size()) {
      list_layer(m.backward[l].weights, prefix, layer + "_reverse", entries);
    }
  }
}

StateDict state_dict(const Recurrent& module) {
  StateEntries entries;
  list_state(module, "", entries);
  return read_state(entries);
}

void load_state_dict(Recurrent& module, const StateDict& state) {
  StateEntries entries;
  list_state(module, "", entries);
  write_state(entries, state);
}

void list_state(const Additive& score, const std::string& prefix, StateEntries& entries,
                const AdditiveNames& names) {
  entries.push_back(shared_or_each(prefix + names.key, score.key, 2, StateLayout::linear));
  entries.push_back(shared_or_each(prefix + names.query, score.query, 2, StateLayout::linear));
  entries.push_back(shared_or_each(prefix + names.weight, score.weight, 1, StateLayout::row));
}

void list_state(const Concat& score, const std::string& prefix, StateEntries& entries,
                const ConcatNames& names) {
  entries.push_back({prefix + names.matrix, {score.matrix}});
  entries.push_back(shared_or_each(prefix + names.weight, score.weight, 1, StateLayout::row));
}

void list_state(const General& score, const std::string& prefix, StateEntries& entries,
                const std::string& name) {
  entries.push_back({prefix + name, {score.weight}, StateLayout::same});
}

void list_state(const SelfAttention& m, const std::string& prefix, StateEntries& entries) {
  for_each_parameter(m, [&](std::string_view path, const Tensor& p) {
    const bool matrix = path != "match";
    entries.push_back(
        {prefix + std::string(path), {p}, matrix ? StateLayout::linear : StateLayout::same});
  });
}

}  // namespace qkv
