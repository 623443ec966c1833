#include "qkv/nn/multi_head.h"

#include <utility>

#include "qkv/base/error.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {
thread_local AttentionObserver* g_observer = nullptr;
}

MultiHead MultiHead::make(Initialiser& init, Config c) {
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
  return m;
}

Tensor MultiHead::split(const Tensor& x, std::int64_t heads) const {
  return reshape(x, {x.dim(0), heads, config.head_dim});
}

Tensor MultiHead::joined(const Tensor& heads) const {
  const Tensor flat = reshape(heads, {heads.dim(0), heads.dim(1) * heads.dim(2)});
  return config.output ? o(flat) : flat;
}

Tensor MultiHead::operator()(const Tensor& x, const Tensor& memory, const Mask& mask) const {
  const Tensor heads_q = queries(x), heads_k = keys(memory), heads_v = values(memory);
  if (g_observer) g_observer->look_(heads_q, heads_k, mask);
  return joined(attend(heads_q, heads_k, heads_v, {.mask = mask, .dropout = config.dropout}));
}

AttentionObserver::AttentionObserver(Look look)
    : look_(std::move(look)), outer_(std::exchange(g_observer, this)) {}
AttentionObserver::~AttentionObserver() { g_observer = outer_; }

}  // namespace qkv
