// llm-foundry's names for the weights of qkv/models/mpt.h.
#include "qkv/models/mpt.h"
#include "qkv/nn/torch_names.h"

namespace qkv {
namespace {

void list_attention(const MultiHead& m, const std::string& name, StateEntries& entries) {
  entries.push_back({name + "Wqkv.weight", {m.q.weight, m.k.weight, m.v.weight}});
  entries.push_back({name + "Wqkv.bias", {m.q.bias, m.k.bias, m.v.bias}});
}

StateEntries entries_of(const Mpt& m) {
  StateEntries entries;
  entries.push_back({"transformer.wte.weight", {m.wte}, StateLayout::same});
  entries.push_back({"transformer.wpe.weight", {m.wpe}, StateLayout::same});
  for (std::size_t i = 0; i < m.blocks.size(); ++i) {
    const MptBlock& block = m.blocks[i];
    const std::string name = "transformer.blocks." + std::to_string(i) + ".";
    list_state(block.norm_1, name + "norm_1.", entries);
    list_attention(block.attn.heads, name + "attn.", entries);
    list_state(block.attn.heads.q_norm, name + "attn.q_ln.", entries);
    list_state(block.attn.heads.k_norm, name + "attn.k_ln.", entries);
    list_state(block.attn.heads.o, name + "attn.out_proj.", entries);
    list_state(block.norm_2, name + "norm_2.", entries);
    list_state(block.ffn.inner, name + "ffn.up_proj.", entries);
    list_state(block.ffn.outer, name + "ffn.down_proj.", entries);
  }
  list_state(m.norm_f, "transformer.norm_f.", entries);
  return entries;
}

}  // namespace

StateDict state_dict(const Mpt& model) { return read_state(entries_of(model)); }

void load_state_dict(Mpt& model, const StateDict& state) { write_state(entries_of(model), state); }

}  // namespace qkv
