// PyTorch's names and layout for the weights of qkv/models/torch_transformer.h.
#include <algorithm>
#include <array>
#include <map>

#include "qkv/base/error.h"
#include "qkv/models/torch_transformer.h"
#include "qkv/ops/dispatch.h"

namespace qkv {
namespace {

// walk(module, prefix, sink) calls sink(name, parts) for every entry of the state dict; its value
// is the parts below each other, each transposed if it is a matrix.

template <class M, class Sink>
void walk_weights(M& m, const std::string& name, Sink& sink) {
  sink(name + "weight", std::array{&m.weight});
  sink(name + "bias", std::array{&m.bias});
}

template <class M, class Sink>
void walk_attention(M& m, const std::string& name, Sink& sink) {
  sink(name + "in_proj_weight", std::array{&m.q.weight, &m.k.weight, &m.v.weight});
  sink(name + "in_proj_bias", std::array{&m.q.bias, &m.k.bias, &m.v.bias});
  walk_weights(m.o, name + "out_proj.", sink);
}

template <class M, class Sink>
void walk(M& m, const std::string& name, Sink& sink) {
  using Plain = std::remove_const_t<M>;
  if constexpr (std::is_same_v<Plain, EncoderLayer> || std::is_same_v<Plain, DecoderLayer>) {
    walk_attention(m.self, name + "self_attn.", sink);
    if constexpr (std::is_same_v<Plain, DecoderLayer>) {
      walk_attention(m.cross, name + "multihead_attn.", sink);
    }
    walk_weights(m.feed_forward.inner, name + "linear1.", sink);
    walk_weights(m.feed_forward.outer, name + "linear2.", sink);
    walk_weights(m.norm1, name + "norm1.", sink);
    walk_weights(m.norm2, name + "norm2.", sink);
    if constexpr (std::is_same_v<Plain, DecoderLayer>) walk_weights(m.norm3, name + "norm3.", sink);
  } else if constexpr (std::is_same_v<Plain, TorchEncoderLayer> ||
                       std::is_same_v<Plain, TorchDecoderLayer>) {
    walk(m.layer, name, sink);
  } else if constexpr (std::is_same_v<Plain, TorchEncoder> || std::is_same_v<Plain, TorchDecoder>) {
    for (std::size_t i = 0; i < m.layers.size(); ++i) {
      walk(m.layers[i], name + "layers." + std::to_string(i) + ".", sink);
    }
    walk_weights(m.norm, name + "norm.", sink);
  } else {
    walk(m.encoder, name + "encoder.", sink);
    walk(m.decoder, name + "decoder.", sink);
  }
}

/// [O I] from [I O], and back.
template <class T>
void transpose(std::int64_t rows, std::int64_t cols, const T* from, T* to) {
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < cols; ++c) to[c * rows + r] = from[r * cols + c];
  }
}

template <class Parts>
Shape shape_of(const Parts& parts) {
  std::int64_t rows = 0;
  for (const Tensor* part : parts) rows += part->dim(-1);
  const Tensor& first = *parts[0];
  return first.shape().rank() == 2 ? Shape{rows, first.dim(0)} : Shape{rows};
}

template <class Parts>
Tensor joined(const Parts& parts) {
  Tensor whole = Tensor::empty(shape_of(parts), parts[0]->dtype());
  dispatch(whole, [&](auto zero) {
    using T = decltype(zero);
    T* to = whole.data<T>();
    for (const Tensor* part : parts) {
      const std::int64_t cols = part->dim(-1),
                         rows = part->count() / std::max<std::int64_t>(cols, 1);
      transpose(rows, cols, part->template data<T>(), to);
      to += part->count();
    }
  });
  return whole;
}

template <class Parts>
void split(const Tensor& whole, const Parts& parts) {
  dispatch(whole, [&](auto zero) {
    using T = decltype(zero);
    const T* from = whole.data<T>();
    for (Tensor* part : parts) {
      const std::int64_t cols = part->dim(-1),
                         rows = part->count() / std::max<std::int64_t>(cols, 1);
      transpose(cols, rows, from, part->template data<T>());
      from += part->count();
      parameter_changed(*part);
    }
  });
}

}  // namespace

template <class M>
StateDict state_dict(const M& module) {
  StateDict state;
  auto sink = [&](const std::string& name, const auto& parts) {
    if (parts[0]->defined()) state.emplace_back(name, joined(parts));
  };
  walk(module, "", sink);
  return state;
}

template <class M>
void load_state_dict(M& module, const StateDict& state) {
  std::map<std::string_view, const Tensor*> given;
  for (const auto& [name, tensor] : state) {
    if (!given.emplace(name, &tensor).second) fail("state dict: '{}' is there twice", name);
  }
  std::size_t known = 0;
  auto check = [&](const std::string& name, const auto& parts) {
    if (!parts[0]->defined()) return;
    const auto found = given.find(name);
    if (found == given.end()) fail("state dict: '{}' is missing", name);
    if (!(found->second->shape() == shape_of(parts))) {
      fail<ShapeError>("state dict: '{}' is {}, must be {}", name,
                       to_string(found->second->shape()), to_string(shape_of(parts)));
    }
    ++known;
  };
  walk(module, "", check);
  if (known != given.size()) {
    auto strike = [&](const std::string& name, const auto& parts) {
      if (parts[0]->defined()) given.erase(name);
    };
    walk(module, "", strike);
    fail("state dict: '{}' has no place in the model", given.begin()->first);
  }
  auto write = [&](const std::string& name, const auto& parts) {
    if (parts[0]->defined()) split(given.at(name)->to(parts[0]->dtype()), parts);
  };
  walk(module, "", write);
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
