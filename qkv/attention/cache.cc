#include "qkv/attention/cache.h"

#include <algorithm>
#include <utility>

#include "qkv/attention/cached_form.h"
#include "qkv/attention/observer.h"
#include "qkv/base/dims.h"
#include "qkv/base/error.h"
#include "qkv/kernels/attention/cached.h"

namespace qkv {
namespace {

CacheShape completed(CacheShape shape) {
  if (shape.value_dim == 0) shape.value_dim = shape.dim;
  if (shape.window < 0) fail("cache: window {}", shape.window);
  return shape;
}

void check_sides(const char* call, const CacheShape& shape, std::int64_t rows, const Tensor& k,
                 const Tensor& v) {
  const Dims d(call, {{"k", k.shape(), "T Hkv D"}, {"v", v.shape(), "T Hkv Dv"}});
  if (d["T"] != rows || d["Hkv"] != shape.kv_heads || d["D"] != shape.dim ||
      d["Dv"] != shape.value_dim) {
    fail<ShapeError>("{}: k is {} and v {}, expected T {}, Hkv {}, D {}, Dv {}", call,
                     to_string(k.shape()), to_string(v.shape()), rows, shape.kv_heads, shape.dim,
                     shape.value_dim);
  }
}

/// Where the keys of each hypothesis (or run of hypotheses) stand.
struct Lookup {
  kernels::StoredRows k, v;
  std::span<const std::int32_t> table, lengths;
  std::int64_t stride;
  const std::int64_t* first;
  std::int64_t queries;
  std::int64_t texts;  // hypotheses, however many stand together in a run
  bool causal;
};

/// The narrower of two windows, 0 being none.
std::int64_t narrower(std::int64_t a, std::int64_t b) {
  return a == 0 ? b : b == 0 ? a : std::min(a, b);
}

/// Weights [T H longest] as a block [H R C].
Tensor block_of(const Tensor& weights, kernels::Interval rows, kernels::Interval keys) {
  const std::int64_t heads = weights.dim(1), stride = weights.dim(2);
  const std::int64_t high = rows.end - rows.begin, wide = keys.end - keys.begin;
  Tensor block = Tensor::empty({heads, high, wide});
  for (std::int64_t h = 0; h < heads; ++h) {
    for (std::int64_t t = 0; t < high; ++t) {
      std::copy_n(weights.data() + ((rows.begin + t) * heads + h) * stride + keys.begin, wide,
                  block.data() + (h * high + t) * wide);
    }
  }
  return block;
}

Tensor attend_rows(const CacheShape& shape, const Tensor& q, const Lookup& in, const Attention& how,
                   Tensor* wanted) {
  const Dims d("cached attention", {{"q", q.shape(), "T H D"}});
  if (d["T"] != in.queries || d["D"] != shape.dim || d["H"] % shape.kv_heads != 0) {
    fail<ShapeError>("cached attention: q is {}, the cache has {} rows, Hkv {}, D {}",
                     to_string(q.shape()), in.queries, shape.kv_heads, shape.dim);
  }
  const std::int64_t runs = static_cast<std::int64_t>(in.lengths.size());
  const CachedForm form =
      cached_form(how, d["H"], shape.dim,
                  {std::span(in.first, static_cast<std::size_t>(runs) + 1), in.lengths, in.causal});
  Tensor out = Tensor::empty({d["T"], d["H"], shape.value_dim});
  Tensor weights;
  if (wanted || attention_observed()) weights = Tensor::empty({d["T"], d["H"], in.stride});
  kernels::AttendCached<float> a{};
  a.rows = runs;
  a.heads = d["H"];
  a.kv_heads = shape.kv_heads;
  a.q = q.data();
  a.first = in.first;
  a.causal = in.causal;
  a.k = in.k;
  a.v = in.v;
  a.table = in.table.data();
  a.table_stride = in.stride;
  a.lengths = in.lengths.data();
  a.scale = form.scale;
  a.soft_cap = form.soft_cap;
  a.window = narrower(shape.window, form.window);
  a.slopes = form.slopes.defined() ? form.slopes.data() : nullptr;
  a.sinks = form.sinks.defined() ? form.sinks.data() : nullptr;
  a.out = out.data();
  a.weights = weights.defined() ? weights.data() : nullptr;
  if (form.definition) {
    kernels::definition::attend_cached(a);
  } else {
    kernels::attend_cached(a);
  }
  if (attention_observed()) {
    std::int32_t longest = 0;
    for (const std::int32_t length : in.lengths) longest = std::max(longest, length);
    tell_observer(
        {.kind = AttentionKind::cached,
         .q = q,
         .how = &how,
         .keys = longest,
         .texts = in.texts,
         .weights_of = [&](auto rows, auto keys) { return block_of(weights, rows, keys); }});
  }
  if (wanted) *wanted = std::move(weights);
  return out;
}

void check_parents(std::span<const std::int32_t> parents, std::int64_t rows, std::int32_t least) {
  for (std::int32_t parent : parents) {
    if (parent < least || parent >= rows) fail("cache: parent {} of {} rows", parent, rows);
  }
}

/// 0, 1 … rows: one query row each.
std::vector<std::int64_t> one_each(std::size_t rows) {
  std::vector<std::int64_t> first(rows + 1);
  for (std::size_t b = 0; b <= rows; ++b) first[b] = static_cast<std::int64_t>(b);
  return first;
}

}  // namespace

KvCache::KvCache(const CacheShape& shape, std::int64_t rows)
    : shape_(completed(shape)),
      storage_(shape_),
      lengths_(static_cast<std::size_t>(rows), 0),
      forgotten_(lengths_),
      first_(one_each(lengths_.size())) {}

void KvCache::reserve(std::int64_t tokens) {
  storage_.grow(tokens);
  slots_.grow(storage_.capacity());
}

void KvCache::widen(std::int64_t keys) {
  if (keys <= stride_) return;
  const std::int64_t wider = std::max<std::int64_t>({16, keys, 2 * stride_});
  std::vector<std::int32_t> table(static_cast<std::size_t>(rows() * wider));
  for (std::int64_t b = 0; b < rows(); ++b) {
    std::copy_n(table_.begin() + b * stride_, length(b), table.begin() + b * wider);
  }
  table_ = std::move(table);
  stride_ = wider;
}

void KvCache::forget_behind_window(std::size_t b) {
  if (shape_.window == 0) return;
  const std::int32_t* rows = table_.data() + static_cast<std::int64_t>(b) * stride_;
  while (forgotten_[b] + shape_.window < lengths_[b] + 1) {
    slots_.release(
        static_cast<std::int32_t>(kernels::stored_token(rows[forgotten_[b]++], shape_.kv_heads)));
  }
}

void KvCache::begin_step() { begin_step(Segments(std::vector<std::int64_t>(lengths_.size(), 1))); }

void KvCache::begin_step(const Segments& fresh) {
  if (fresh.count() != rows()) {
    fail<ShapeError>("cache: {} segments for {} rows", fresh.count(), rows());
  }
  std::int64_t longest = 0;
  for (std::int64_t b = 0; b < rows(); ++b) {
    longest = std::max(longest, length(b) + fresh.length(b));
  }
  widen(longest);
  for (std::size_t b = 0; b < lengths_.size(); ++b) forget_behind_window(b);
  for (std::int64_t b = 0; b < rows(); ++b) {
    std::int32_t& length = lengths_[static_cast<std::size_t>(b)];
    for (std::int64_t i = 0; i < fresh.length(b); ++i) {
      std::int32_t* row = table_.data() + b * stride_ + length;
      const auto before =
          length > 0 ? static_cast<std::int32_t>(kernels::stored_token(row[-1], shape_.kv_heads))
                     : -1;
      std::int32_t token = slots_.take(before);
      if (token < 0) {
        const std::int64_t now = storage_.capacity();
        reserve(std::max<std::int64_t>(64, now + now / 2));
        token = slots_.take(before);
      }
      *row = static_cast<std::int32_t>(kernels::stored_row(token, shape_.kv_heads));
      ++length;
    }
  }
  first_.assign(fresh.offsets().begin(), fresh.offsets().end());
}

void KvCache::append(std::int64_t layer, const Tensor& k, const Tensor& v) {
  check_sides("cache", shape_, first_.back(), k, v);
  std::vector<std::int32_t> rows;
  rows.reserve(static_cast<std::size_t>(first_.back()));
  for (std::size_t b = 0; b < lengths_.size(); ++b) {
    const std::int64_t count = first_[b + 1] - first_[b];
    if (lengths_[b] < count) fail("cache: append before begin_step");
    const auto end = table_.begin() + static_cast<std::int64_t>(b) * stride_ + lengths_[b];
    rows.insert(rows.end(), end - count, end);
  }
  storage_.put(layer, k, v, rows);
}

Tensor KvCache::attend(std::int64_t layer, const Tensor& q, const Attention& how,
                       Tensor* weights) const {
  if (rows() > 0 && storage_.capacity() == 0) fail("cache: attend before begin_step and append");
  return attend_rows(shape_, q,
                     {storage_.keys(layer), storage_.values(layer), table_, lengths_, stride_,
                      first_.data(), first_.back(), rows(), true},
                     how, weights);
}

void KvCache::reorder(std::span<const std::int32_t> parents) {
  check_parents(parents, rows(), -1);
  first_ = one_each(parents.size());
  bool same = static_cast<std::int64_t>(parents.size()) == rows();
  for (std::size_t b = 0; same && b < parents.size(); ++b) {
    same = parents[b] == static_cast<std::int32_t>(b);
  }
  if (same) return;
  std::vector<std::int32_t> table(parents.size() * static_cast<std::size_t>(stride_));
  std::vector<std::int32_t> lengths(parents.size(), 0), forgotten(parents.size(), 0);
  slots_.clear();
  for (std::size_t b = 0; b < parents.size(); ++b) {
    if (parents[b] < 0) continue;
    const auto parent = static_cast<std::size_t>(parents[b]);
    lengths[b] = lengths_[parent];
    forgotten[b] = forgotten_[parent];
    const std::int32_t* from = table_.data() + parents[b] * stride_;
    std::copy_n(from, lengths[b], table.begin() + static_cast<std::int64_t>(b) * stride_);
    for (std::int32_t j = forgotten[b]; j < lengths[b]; ++j) {
      slots_.use(static_cast<std::int32_t>(kernels::stored_token(from[j], shape_.kv_heads)));
    }
  }
  slots_.settle();
  table_ = std::move(table);
  lengths_ = std::move(lengths);
  forgotten_ = std::move(forgotten);
}

void KvCache::shorten(std::span<const std::int64_t> lengths) {
  if (static_cast<std::int64_t>(lengths.size()) != rows()) {
    fail<ShapeError>("cache: {} lengths for {} rows", lengths.size(), rows());
  }
  for (std::int64_t b = 0; b < rows(); ++b) {
    const std::int64_t to = lengths[static_cast<std::size_t>(b)];
    const std::int64_t forgotten = forgotten_[static_cast<std::size_t>(b)];
    if (to < 0 || to > length(b) || (forgotten > 0 && to + 1 - shape_.window < forgotten)) {
      fail("cache: row {} of {} keys, {} of them forgotten, cannot be shortened to {}", b,
           length(b), forgotten, to);
    }
  }
  for (std::size_t b = 0; b < lengths_.size(); ++b) {
    const std::int32_t* rows = table_.data() + static_cast<std::int64_t>(b) * stride_;
    while (lengths_[b] > lengths[b]) {
      slots_.release(
          static_cast<std::int32_t>(kernels::stored_token(rows[--lengths_[b]], shape_.kv_heads)));
    }
  }
  first_ = one_each(lengths_.size());
}

SourceCache::SourceCache(const CacheShape& shape, const Segments& source,
                         std::span<const std::int32_t> sentence_of)
    : shape_(completed(shape)),
      source_(source),
      storage_(shape_),
      set_(static_cast<std::size_t>(shape.layers), false),
      sentence_(sentence_of.begin(), sentence_of.end()) {
  check_parents(sentence_of, source.count(), 0);
  point();
}

void SourceCache::point() {
  const std::int64_t stride = source_.longest();
  table_.clear();
  lengths_.clear();
  first_.clear();
  for (std::size_t b = 0; b < sentence_.size(); ++b) {
    if (b > 0 && sentence_[b] == sentence_[b - 1]) continue;
    first_.push_back(static_cast<std::int64_t>(b));
    lengths_.push_back(static_cast<std::int32_t>(source_.length(sentence_[b])));
    for (std::int64_t j = 0; j < stride; ++j) {
      const std::int64_t token = source_.begin(sentence_[b]) + j;
      table_.push_back(static_cast<std::int32_t>(
          j < lengths_.back() ? kernels::stored_row(token, shape_.kv_heads) : -1));
    }
  }
  first_.push_back(rows());
}

void SourceCache::set(std::int64_t layer, const Tensor& k, const Tensor& v) {
  check_sides("source cache", shape_, source_.total(), k, v);
  storage_.grow(source_.total());
  std::vector<std::int32_t> rows(static_cast<std::size_t>(source_.total()));
  for (std::size_t t = 0; t < rows.size(); ++t) {
    rows[t] = static_cast<std::int32_t>(
        kernels::stored_row(static_cast<std::int64_t>(t), shape_.kv_heads));
  }
  storage_.put(layer, k, v, rows);
  set_[static_cast<std::size_t>(layer)] = true;
}

Tensor SourceCache::attend(std::int64_t layer, const Tensor& q, const Attention& how,
                           Tensor* weights) const {
  if (!set_[static_cast<std::size_t>(layer)]) {
    fail("source cache: layer {} has no keys yet", layer);
  }
  return attend_rows(shape_, q,
                     {storage_.keys(layer), storage_.values(layer), table_, lengths_,
                      source_.longest(), first_.data(), rows(), rows(), false},
                     how, weights);
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
