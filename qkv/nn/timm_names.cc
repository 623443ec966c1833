#include "qkv/nn/timm_names.h"

#include "qkv/nn/torch_names.h"

namespace qkv {

void list_timm_attention(const MultiHead& m, const std::string& prefix, StateEntries& entries) {
  entries.push_back({prefix + "qkv.weight", {m.q.weight, m.k.weight, m.v.weight}});
  if (m.q.bias.defined()) {
    entries.push_back({prefix + "qkv.bias", {m.q.bias, m.k.bias, m.v.bias}});
  }
  list_state(m.o, prefix + "proj.", entries);
}

void list_timm_mlp(const FeedForward& m, const std::string& prefix, StateEntries& entries) {
  list_state(m.inner, prefix + "fc1.", entries);
  list_state(m.outer, prefix + "fc2.", entries);
}

void list_timm_block(const EncoderLayer& m, const std::string& prefix, StateEntries& entries) {
  list_state(m.norm1, prefix + "norm1.", entries);
  list_timm_attention(m.self, prefix + "attn.", entries);
  list_state(m.norm2, prefix + "norm2.", entries);
  list_timm_mlp(m.feed_forward, prefix + "mlp.", entries);
}

}  // namespace qkv
