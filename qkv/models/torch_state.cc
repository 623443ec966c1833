// PyTorch's names and layout for the weights of qkv/models/torch_transformer.h.
#include "qkv/models/torch_transformer.h"
#include "qkv/nn/torch_names.h"

namespace qkv {
namespace {

void list_attention(const MultiHead& m, const std::string& name, StateEntries& entries) {
  entries.push_back({name + "in_proj_weight", {m.q.weight, m.k.weight, m.v.weight}});
  entries.push_back({name + "in_proj_bias", {m.q.bias, m.k.bias, m.v.bias}});
  list_state(m.o, name + "out_proj.", entries);
}

template <class M>
void list(const M& m, const std::string& name, StateEntries& entries) {
  if constexpr (std::is_same_v<M, EncoderLayer> || std::is_same_v<M, DecoderLayer>) {
    list_attention(m.self, name + "self_attn.", entries);
    if constexpr (std::is_same_v<M, DecoderLayer>) {
      list_attention(m.cross, name + "multihead_attn.", entries);
    }
    list_state(m.feed_forward.inner, name + "linear1.", entries);
    list_state(m.feed_forward.outer, name + "linear2.", entries);
    list_state(m.norm1, name + "norm1.", entries);
    list_state(m.norm2, name + "norm2.", entries);
    if constexpr (std::is_same_v<M, DecoderLayer>) list_state(m.norm3, name + "norm3.", entries);
  } else if constexpr (std::is_same_v<M, TorchEncoderLayer> ||
                       std::is_same_v<M, TorchDecoderLayer>) {
    list(m.layer, name, entries);
  } else if constexpr (std::is_same_v<M, TorchEncoder> || std::is_same_v<M, TorchDecoder>) {
    for (std::size_t i = 0; i < m.layers.size(); ++i) {
      list(m.layers[i], name + "layers." + std::to_string(i) + ".", entries);
    }
    list_state(m.norm, name + "norm.", entries);
  } else {
    list(m.encoder, name + "encoder.", entries);
    list(m.decoder, name + "decoder.", entries);
  }
}

template <class M>
StateEntries entries_of(const M& module) {
  StateEntries entries;
  list(module, "", entries);
  return entries;
}

}  // namespace

template <class M>
StateDict state_dict(const M& module) {
  return read_state(entries_of(module));
}

template <class M>
void load_state_dict(M& module, const StateDict& state) {
  write_state(entries_of(module), state);
}

#define QKV_STATE_DICT(M)                  \
  template StateDict state_dict(const M&); \
  template void load_state_dict(M&, const StateDict&)
QKV_STATE_DICT(TorchEncoderLayer);
QKV_STATE_DICT(TorchDecoderLayer);
QKV_STATE_DICT(TorchEncoder);
QKV_STATE_DICT(TorchDecoder);
QKV_STATE_DICT(TorchTransformer);
QKV_STATE_DICT(ArticleTransformer);
#undef QKV_STATE_DICT

}  // namespace qkv
