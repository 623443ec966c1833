// MPT's attention step by step: qkv/nn/mpt_attention.h.
#include <algorithm>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/nn/mpt_attention.h"

namespace qkv {

Tensor MptAttention::extend(MptCache& cache, const Tensor& x, const MptRows& rows) const {
  rows.check(x);
  const auto positions = cache.positions(rows.segments);
  cache.begin_step(config, 1, rows);
  const Tensor y = extend(cache, 0, x, rows, positions);
  cache.end_step(rows.segments);
  return y;
}

Tensor MptAttention::extend(MptCache& cache, std::int64_t layer, const Tensor& x,
                            const MptRows& rows, std::span<const std::int32_t> positions) const {
  const NoRecording off;
  const MultiHead::Positions at = turned(positions);
  const Tensor q = heads.queries(x, at), k = heads.keys(x, at), v = heads.values(x);
  if (config.attn_config.linear) {
    return heads.joined(summed(cache, layer, q, k, v, rows.segments));
  }
  cache.keys_->append(layer, k, v);
  // Within a prefix tokens see what comes after them; it comes first, so nothing else is cached.
  if (!rows.prefix.empty()) {
    return heads.joined(attend(q, k, v, heads.how(config.mask(rows))));
  }
  return heads.joined(cache.keys_->attend(layer, q, heads.how(in_window(causal()))));
}

Tensor MptAttention::summed(MptCache& cache, std::int64_t layer, const Tensor& q, const Tensor& k,
                            const Tensor& v, const Segments& fresh) const {
  const LinearAttention how = linear_form("mpt", heads.how(causal()));
  LinearState& sums = cache.sums_[static_cast<std::size_t>(layer)];
  if (fresh.total() == fresh.count() && fresh.longest() <= 1) {
    return linear_step(sums, q, k, v, how);
  }
  Tensor out = Tensor::empty(q.shape());
  const auto put = [&](std::int64_t t, const Tensor& y) {
    Tensor to = out.rows(t, t + y.dim(0));
    std::ranges::copy(y.values(), to.values().begin());
  };
  for (std::int64_t b = 0; b < fresh.count(); ++b) {
    const std::int64_t begin = fresh.begin(b), end = fresh.end(b);
    if (begin == end) continue;
    LinearState own = sums.row(b);
    if (cache.length(b) == 0 && end - begin > 1) {  // the prompt at once
      put(begin, linear_attend(q.rows(begin, end), k.rows(begin, end), v.rows(begin, end), how));
      own = linear_state(k.rows(begin, end), v.rows(begin, end), how);
    } else {
      for (std::int64_t t = begin; t < end; ++t) {
        put(t, linear_step(own, q.rows(t, t + 1), k.rows(t, t + 1), v.rows(t, t + 1), how));
      }
    }
    sums.set_row(b, own);
  }
  return out;
}

void MptCache::reorder(std::span<const std::int32_t> parents) {
  std::vector<std::int64_t> lengths;
  for (const std::int32_t parent : parents) {
    if (parent < -1 || parent >= rows()) fail("mpt: parent {} of {} sequences", parent, rows());
    lengths.push_back(parent < 0 ? 0 : length(parent));
  }
  if (keys_) keys_->reorder(parents);
  for (LinearState& layer : sums_) layer.reorder(parents);
  lengths_ = std::move(lengths);
}

std::vector<std::int32_t> MptCache::positions(const Segments& fresh) const {
  check_count(fresh);
  std::vector<std::int32_t> positions = MptRows{fresh}.positions();
  for (std::int64_t b = 0; b < rows(); ++b) {
    for (std::int64_t t = fresh.begin(b); t < fresh.end(b); ++t) {
      positions[static_cast<std::size_t>(t)] += static_cast<std::int32_t>(length(b));
    }
  }
  return positions;
}

void MptCache::check_count(const Segments& fresh) const {
  if (fresh.count() != rows()) {
    fail<ShapeError>("mpt: tokens of {} sequences for a cache of {}", fresh.count(), rows());
  }
}

void MptCache::begin_step(const MptAttention::Config& config, std::int64_t layers,
                          const MptRows& step) {
  const Segments& fresh = step.segments;
  check_count(fresh);
  if (config.attn_config.attn_uses_sequence_id) {
    fail("mpt: attn_uses_sequence_id is for packed training; a cache has a row for each sequence");
  }
  if (!step.prefix.empty()) {
    (void)config.mask(step);  // checks it
    for (std::int64_t b = 0; b < rows(); ++b) {
      if (length(b) > 0 && fresh.length(b) > 0) fail("mpt: a prefix belongs to the first tokens");
    }
  }
  const std::int64_t dim = config.head_dim();
  if (config.attn_config.linear) {
    if (options_ != CacheOptions{}) {
      fail("mpt: linear attention keeps sums, no cache that has a precision or a window");
    }
    while (static_cast<std::int64_t>(sums_.size()) < layers) {
      sums_.push_back(linear_state(rows(), config.kv_heads(), dim, dim));
    }
    return;
  }
  if (!keys_) {
    keys_.emplace(CacheShape{.layers = layers,
                             .kv_heads = config.kv_heads(),
                             .dim = dim,
                             .type = options_.type,
                             .window = options_.window},
                  rows());
  }
  keys_->begin_step(fresh);
}

void MptCache::end_step(const Segments& fresh) {
  for (std::int64_t b = 0; b < rows(); ++b) {
    lengths_[static_cast<std::size_t>(b)] += fresh.length(b);
  }
}

}  // namespace qkv
