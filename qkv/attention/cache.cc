#include "qkv/attention/cache.h"

#include <algorithm>
#include <cmath>

#include "qkv/base/dims.h"
#include "qkv/base/error.h"
#include "qkv/kernels/attention/attend.h"

namespace qkv {
namespace {

CacheShape completed(CacheShape shape) {
  if (shape.value_dim == 0) shape.value_dim = shape.dim;
  return shape;
}

/// Copies the first `rows` rows of `from`, if any, into a larger tensor.
Tensor grown(const Tensor& from, const Shape& shape, std::int64_t rows) {
  Tensor to = Tensor::empty(shape);
  if (rows > 0) std::copy_n(from.data(), rows * shape[1] * shape[2], to.data());
  return to;
}

Tensor attend_rows(const CacheShape& shape, const Tensor& q, const Tensor& k, const Tensor& v,
                   std::span<const std::int32_t> table, std::int64_t stride,
                   std::span<const std::int32_t> lengths, double scale, Tensor* weights) {
  const Dims d("cached attention", {{"q", q.shape(), "rows H D"}});
  if (d["rows"] != static_cast<std::int64_t>(lengths.size()) || d["D"] != shape.dim ||
      d["H"] % shape.kv_heads != 0) {
    fail<ShapeError>("cached attention: q is {}, the cache has {} rows, Hkv {}, D {}",
                     to_string(q.shape()), lengths.size(), shape.kv_heads, shape.dim);
  }
  Tensor out = Tensor::empty({d["rows"], d["H"], shape.value_dim});
  if (weights) *weights = Tensor::empty({d["rows"], d["H"], stride});
  kernels::AttendCached a{};
  a.rows = d["rows"];
  a.heads = d["H"];
  a.kv_heads = shape.kv_heads;
  a.dim = shape.dim;
  a.value_dim = shape.value_dim;
  a.q = q.data();
  a.k = k.data();
  a.v = v.data();
  a.table = table.data();
  a.table_stride = stride;
  a.lengths = lengths.data();
  a.scale = scale != 0.0 ? scale : 1.0 / std::sqrt(static_cast<double>(shape.dim));
  a.out = out.data();
  a.weights = weights ? weights->data() : nullptr;
  kernels::attend_cached(a);
  return out;
}

void check_parents(std::span<const std::int32_t> parents, std::int64_t rows, std::int32_t least) {
  for (std::int32_t parent : parents) {
    if (parent < least || parent >= rows) fail("cache: parent {} of {} rows", parent, rows);
  }
}

}  // namespace

KvCache::KvCache(const CacheShape& shape, std::int64_t rows)
    : shape_(completed(shape)),
      keys_(static_cast<std::size_t>(shape.layers)),
      values_(static_cast<std::size_t>(shape.layers)),
      lengths_(static_cast<std::size_t>(rows), 0) {}

std::int32_t KvCache::take_row() {
  if (free_.empty()) {
    const std::int64_t grown_to = std::max<std::int64_t>(64, capacity_ + capacity_ / 2);
    for (std::size_t l = 0; l < keys_.size(); ++l) {
      keys_[l] = grown(keys_[l], {grown_to, shape_.kv_heads, shape_.dim}, capacity_);
      values_[l] = grown(values_[l], {grown_to, shape_.kv_heads, shape_.value_dim}, capacity_);
    }
    for (std::int64_t row = grown_to; row-- > capacity_;) {
      free_.push_back(static_cast<std::int32_t>(row));
    }
    capacity_ = grown_to;
  }
  const std::int32_t row = free_.back();
  free_.pop_back();
  return row;
}

void KvCache::begin_step() {
  const std::int64_t longest =
      lengths_.empty() ? 0 : *std::max_element(lengths_.begin(), lengths_.end());
  if (longest + 1 > stride_) {
    const std::int64_t wider = std::max<std::int64_t>(16, 2 * stride_);
    std::vector<std::int32_t> table(static_cast<std::size_t>(rows() * wider));
    for (std::int64_t b = 0; b < rows(); ++b) {
      std::copy_n(table_.begin() + b * stride_, length(b), table.begin() + b * wider);
    }
    table_ = std::move(table);
    stride_ = wider;
  }
  for (std::int64_t b = 0; b < rows(); ++b) {
    std::int32_t& length = lengths_[static_cast<std::size_t>(b)];
    table_[static_cast<std::size_t>(b * stride_ + length++)] = take_row();
  }
}

void KvCache::append(std::int64_t layer, const Tensor& k, const Tensor& v) {
  const Dims d("cache", {{"k", k.shape(), "rows Hkv D"}, {"v", v.shape(), "rows Hkv Dv"}});
  if (d["rows"] != rows() || d["Hkv"] != shape_.kv_heads || d["D"] != shape_.dim ||
      d["Dv"] != shape_.value_dim) {
    fail<ShapeError>("cache: k is {} and v {}, the cache has {} rows, Hkv {}, D {}, Dv {}",
                     to_string(k.shape()), to_string(v.shape()), rows(), shape_.kv_heads,
                     shape_.dim, shape_.value_dim);
  }
  const auto l = static_cast<std::size_t>(layer);
  const std::int64_t k_width = shape_.kv_heads * shape_.dim;
  const std::int64_t v_width = shape_.kv_heads * shape_.value_dim;
  for (std::int64_t b = 0; b < rows(); ++b) {
    if (length(b) == 0) fail("cache: append before begin_step");
    const std::int64_t row = table_[static_cast<std::size_t>(b * stride_ + length(b) - 1)];
    std::copy_n(k.data() + b * k_width, k_width, keys_[l].data() + row * k_width);
    std::copy_n(v.data() + b * v_width, v_width, values_[l].data() + row * v_width);
  }
}

Tensor KvCache::attend(std::int64_t layer, const Tensor& q, double scale, Tensor* weights) const {
  const auto l = static_cast<std::size_t>(layer);
  if (rows() > 0 && !keys_[l].defined()) fail("cache: attend before begin_step and append");
  return attend_rows(shape_, q, rows() > 0 ? keys_[l] : q, rows() > 0 ? values_[l] : q, table_,
                     stride_, lengths_, scale, weights);
}

void KvCache::reorder(std::span<const std::int32_t> parents) {
  check_parents(parents, rows(), -1);
  std::vector<std::int32_t> table(parents.size() * static_cast<std::size_t>(stride_));
  std::vector<std::int32_t> lengths(parents.size(), 0);
  std::vector<bool> used(static_cast<std::size_t>(capacity_), false);
  for (std::size_t b = 0; b < parents.size(); ++b) {
    if (parents[b] < 0) continue;
    lengths[b] = lengths_[static_cast<std::size_t>(parents[b])];
    const std::int32_t* from = table_.data() + parents[b] * stride_;
    std::copy_n(from, lengths[b], table.begin() + static_cast<std::int64_t>(b) * stride_);
    for (std::int32_t j = 0; j < lengths[b]; ++j) used[static_cast<std::size_t>(from[j])] = true;
  }
  free_.clear();
  for (std::int64_t row = capacity_; row-- > 0;) {
    if (!used[static_cast<std::size_t>(row)]) free_.push_back(static_cast<std::int32_t>(row));
  }
  table_ = std::move(table);
  lengths_ = std::move(lengths);
}

std::int64_t KvCache::bytes() const {
  return capacity_ * shape_.layers * shape_.kv_heads * (shape_.dim + shape_.value_dim) *
         static_cast<std::int64_t>(sizeof(float));
}

SourceCache::SourceCache(const CacheShape& shape, const Segments& source,
                         std::span<const std::int32_t> sentence_of)
    : shape_(completed(shape)),
      source_(source),
      keys_(static_cast<std::size_t>(shape.layers)),
      values_(static_cast<std::size_t>(shape.layers)),
      sentence_(sentence_of.begin(), sentence_of.end()) {
  check_parents(sentence_of, source.count(), 0);
  point();
}

void SourceCache::point() {
  const std::int64_t stride = source_.longest();
  table_.resize(sentence_.size() * static_cast<std::size_t>(stride));
  lengths_.resize(sentence_.size());
  for (std::size_t b = 0; b < sentence_.size(); ++b) {
    lengths_[b] = static_cast<std::int32_t>(source_.length(sentence_[b]));
    for (std::int32_t j = 0; j < lengths_[b]; ++j) {
      table_[b * static_cast<std::size_t>(stride) + static_cast<std::size_t>(j)] =
          static_cast<std::int32_t>(source_.begin(sentence_[b])) + j;
    }
  }
}

void SourceCache::set(std::int64_t layer, const Tensor& k, const Tensor& v) {
  const Dims d("source cache", {{"k", k.shape(), "Ts Hkv D"}, {"v", v.shape(), "Ts Hkv Dv"}});
  if (d["Ts"] != source_.total() || d["Hkv"] != shape_.kv_heads || d["D"] != shape_.dim ||
      d["Dv"] != shape_.value_dim) {
    fail<ShapeError>("source cache: k is {} and v {}, expected Ts {}, Hkv {}, D {}, Dv {}",
                     to_string(k.shape()), to_string(v.shape()), source_.total(), shape_.kv_heads,
                     shape_.dim, shape_.value_dim);
  }
  keys_[static_cast<std::size_t>(layer)] = k;
  values_[static_cast<std::size_t>(layer)] = v;
}

Tensor SourceCache::attend(std::int64_t layer, const Tensor& q, double scale,
                           Tensor* weights) const {
  const auto l = static_cast<std::size_t>(layer);
  if (!keys_[l].defined()) fail("source cache: layer {} has no keys yet", layer);
  return attend_rows(shape_, q, keys_[l], values_[l], table_, source_.longest(), lengths_, scale,
                     weights);
}

void SourceCache::reorder(std::span<const std::int32_t> parents) {
  check_parents(parents, rows(), 0);
  std::vector<std::int32_t> sentence(parents.size());
  for (std::size_t b = 0; b < parents.size(); ++b) {
    sentence[b] = sentence_[static_cast<std::size_t>(parents[b])];
  }
  if (sentence == sentence_) return;
  sentence_ = std::move(sentence);
  point();
}

}  // namespace qkv
