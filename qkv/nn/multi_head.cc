#include "qkv/nn/multi_head.h"

#include "qkv/base/error.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

bool per_head(HeadNorm norm) {
  return norm == HeadNorm::layer_per_head || norm == HeadNorm::rms_per_head;
}
bool by_layer(HeadNorm norm) { return norm == HeadNorm::layer || norm == HeadNorm::layer_per_head; }

}  // namespace

MultiHead MultiHead::make(Initialiser& init, const Config& config) {
  Config c = config;
  if (c.kv_heads == 0) c.kv_heads = c.heads;
  if (c.kv_width == 0) c.kv_width = c.width;
  if (c.heads <= 0 || c.heads % c.kv_heads != 0) {
    fail<ShapeError>("multi-head: {} heads over {} key heads", c.heads, c.kv_heads);
  }
  if (c.head_dim == 0) {
    if (c.width % c.heads != 0) {
      fail<ShapeError>("multi-head: width {} is no multiple of {} heads", c.width, c.heads);
    }
    c.head_dim = c.width / c.heads;
  }
  const std::int64_t inner = c.heads * c.head_dim, kv = c.kv_heads * c.head_dim;
  if (!c.output && inner != c.width) {
    fail<ShapeError>("multi-head: without an output projection {} heads of {} must fill width {}",
                     c.heads, c.head_dim, c.width);
  }
  MultiHead m;
  m.config = c;
  // q, k, v are drawn as parts of one [C, 3C] matrix, as nn.MultiheadAttention and fairseq do.
  const std::int64_t fans = c.width + inner + 2 * kv;
  m.q = Linear::make(init, c.width, inner, c.bias, fans);
  m.k = Linear::make(init, c.kv_width, kv, c.bias, fans);
  m.v = Linear::make(init, c.kv_width, kv, c.bias, fans);
  if (c.output) m.o = Linear::make(init, inner, c.width, c.bias);
  if (c.head_norm != HeadNorm::none) {
    const bool shift = c.bias && by_layer(c.head_norm);
    const bool each = per_head(c.head_norm);
    m.q_norm = LayerNorm::make(init, each ? c.head_dim : inner, c.head_norm_eps, shift);
    m.k_norm = LayerNorm::make(init, each ? c.head_dim : kv, c.head_norm_eps, shift);
  }
  return m;
}

Tensor MultiHead::projected(const Linear& linear, const Tensor& x, std::int64_t heads) const {
  Tensor y = linear(x, config.projection);
  if (config.clip > 0.0) y = clamp(y, -config.clip, config.clip);
  return reshape(y, {x.dim(0), heads, config.head_dim});
}

Tensor MultiHead::treated(const Tensor& heads, const LayerNorm& norm, Positions positions) const {
  Tensor y = heads;
  if (config.head_norm != HeadNorm::none) {
    const std::int64_t width = norm.weight.dim(0);
    y = reshape(y, {width > 0 ? y.count() / width : 0, width});
    y = by_layer(config.head_norm) ? norm(y) : rms_norm(y, norm.weight, norm.eps);
    y = reshape(y, heads.shape());
  }
  if (config.rotary) y = rotary(y, positions, *config.rotary);
  return y;
}

Tensor MultiHead::queries(const Tensor& x, Positions positions) const {
  return treated(projected(q, x, config.heads), q_norm, positions);
}

Tensor MultiHead::keys(const Tensor& memory, Positions positions) const {
  return treated(projected(k, memory, config.kv_heads), k_norm, positions);
}

Tensor MultiHead::values(const Tensor& memory) const {
  return projected(v, memory, config.kv_heads);
}

Attention MultiHead::how(const Mask& mask) const {
  return {.score = config.score,
          .bias = config.biases,
          .mask = mask,
          .norm = config.normaliser,
          .dropout = config.dropout};
}

Tensor MultiHead::joined(const Tensor& heads) const {
  const Tensor flat = reshape(heads, {heads.dim(0), heads.dim(1) * heads.dim(2)});
  return config.output ? o(flat) : flat;
}

Tensor MultiHead::operator()(const Tensor& x, const Tensor& memory, const Mask& mask,
                             Positions positions, Positions memory_positions) const {
  if (memory_positions.empty()) memory_positions = positions;
  const Tensor heads_q = queries(x, positions), heads_k = keys(memory, memory_positions);
  return joined(attend(heads_q, heads_k, values(memory), how(mask)));
}

}  // namespace qkv
