#include "qkv/nn/self_attention.h"

#include "qkv/base/error.h"
#include "qkv/ops/shape.h"

namespace qkv {

SelfAttention SelfAttention::make(Initialiser& init, Config c) {
  if (c.heads <= 0 || c.width <= 0 || (c.head_dim == 0 && c.width % c.heads != 0)) {
    fail<ShapeError>("self-attention: {} heads in width {}", c.heads, c.width);
  }
  if (c.head_dim == 0) c.head_dim = c.width / c.heads;
  const std::int64_t inner = c.heads * c.head_dim;
  SelfAttention m;
  m.config = c;
  if (c.two_stage) {
    for (Linear* first : {&m.first_q, &m.first_k, &m.first_v}) {
      *first = Linear::make(init, c.width, c.width, false);
    }
  }
  for (Linear* linear : {&m.q, &m.k, &m.v}) *linear = Linear::make(init, c.width, inner, false);
  if (c.match == Match::additive) m.match = init.xavier({c.heads, c.head_dim});
  if (c.output) m.o = Linear::make(init, inner, c.width, false);
  return m;
}

Tensor SelfAttention::heads_of(const Tensor& x, const Linear& first, const Linear& second) const {
  const Tensor y = config.two_stage ? second(first(x)) : second(x);
  return reshape(y, {x.dim(0), config.heads, config.head_dim});
}

Attention SelfAttention::how(const Mask& mask) const {
  Attention a{.score = ScaledDot{config.scale}, .mask = mask};
  if (config.match == Match::additive) a.score = Additive{.weight = match};
  if (config.relu) a.norm = Relu{};
  return a;
}

Tensor SelfAttention::operator()(const Tensor& x, const Mask& mask) const {
  const Tensor heads = attend(queries(x), keys(x), values(x), how(mask));
  const Tensor flat = reshape(heads, {x.dim(0), config.heads * config.head_dim});
  return config.output ? o(flat) : flat;
}

SelfAttention SelfAttention::folded() const {
  if (!config.two_stage) return *this;
  SelfAttention m = *this;
  m.config.two_stage = false;
  m.first_q = m.first_k = m.first_v = {};
  const NoRecording off;
  m.q.weight = parameter(matmul(first_q.weight, q.weight));
  m.k.weight = parameter(matmul(first_k.weight, k.weight));
  m.v.weight = parameter(matmul(first_v.weight, v.weight));
  return m;
}

}  // namespace qkv
