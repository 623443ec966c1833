// llm-foundry's names for the weights of qkv/models/mpt.h.
#include "qkv/models/mpt.h"
#include "qkv/nn/torch_names.h"

namespace qkv {
namespace {

void list_norm(const NormBlock& m, const std::string& name, StateEntries& entries) {
  if (const auto* layer = std::get_if<LayerNorm>(&m.kind)) return list_state(*layer, name, entries);
  entries.push_back({name + "weight", {std::get<RmsNorm>(m.kind).weight}});
}

void list_feed_forward(const FeedForwardBlock& m, const std::string& name, StateEntries& entries) {
  if (const auto* gated = std::get_if<GatedFeedForward>(&m.kind)) {
    list_state(gated->up, name + "up_proj.", entries);
    list_state(gated->gate, name + "gate_proj.", entries);
    list_state(gated->down, name + "down_proj.", entries);
  } else {
    const auto& plain = std::get<FeedForward>(m.kind);
    list_state(plain.inner, name + "up_proj.", entries);
    list_state(plain.outer, name + "down_proj.", entries);
  }
}

void list_attention(const MultiHead& m, const std::string& name, StateEntries& entries) {
  entries.push_back({name + "Wqkv.weight", {m.q.weight, m.k.weight, m.v.weight}});
  entries.push_back({name + "Wqkv.bias", {m.q.bias, m.k.bias, m.v.bias}});
}

}  // namespace

StateEntries state_entries(const Mpt& m) {
  StateEntries entries;
  entries.push_back({"transformer.wte.weight", {m.wte}, StateLayout::same});
  entries.push_back({"transformer.wpe.weight", {m.wpe}, StateLayout::same});
  for (std::size_t i = 0; i < m.blocks.size(); ++i) {
    const MptBlock& block = m.blocks[i];
    const std::string name = "transformer.blocks." + std::to_string(i) + ".";
    list_norm(block.norm_1, name + "norm_1.", entries);
    list_attention(block.attn.heads, name + "attn.", entries);
    list_state(block.attn.heads.q_norm, name + "attn.q_ln.", entries);
    list_state(block.attn.heads.k_norm, name + "attn.k_ln.", entries);
    list_state(block.attn.heads.o, name + "attn.out_proj.", entries);
    list_norm(block.norm_2, name + "norm_2.", entries);
    list_feed_forward(block.ffn, name + "ffn.", entries);
  }
  list_norm(m.norm_f, "transformer.norm_f.", entries);
  entries.push_back({"lm_head.weight", {m.lm_head}, StateLayout::same});
  return entries;
}

StateDict state_dict(const Mpt& model) { return read_state(state_entries(model)); }

void load_state_dict(Mpt& model, const StateDict& state) {
  write_state(state_entries(model), state);
}

}  // namespace qkv
