#include "qkv/decode/transformer_decoder.h"

#include <algorithm>
#include <cmath>

#include "qkv/base/error.h"
#include "qkv/decode/history.h"
#include "qkv/kernels/attention/attend.h"

namespace qkv {
namespace {

struct KeysValues {
  Tensor keys, values;  // [slots Hkv D] each
};

/// out[slots[r]] = rows[r]
void scatter(const Tensor& rows, std::span<const std::int32_t> slots, Tensor& out) {
  const std::int64_t width = rows.dim(1) * rows.dim(2);
  const float* from = rows.data();
  for (std::size_t r = 0; r < slots.size(); ++r, from += width) {
    std::copy_n(from, width, out.data() + slots[r] * width);
  }
}

/// At least `slots` slots, the old ones kept.
void enlarge(Tensor& cache, std::int64_t slots, const MultiHead::Config& c) {
  if (cache.defined() && cache.dim(0) >= slots) return;
  Tensor larger = Tensor::empty({slots, c.kv_heads, c.head_dim});
  if (cache.defined()) std::ranges::copy(cache.values(), larger.data());
  cache = std::move(larger);
}

class TransformerState final : public StepState {
 public:
  TransformerState(const TransformerDecoder& decoder, std::span<const Tokens* const> sources,
                   bool with_attention)
      : decoder_(decoder), model_(decoder.model()), with_attention_(with_attention) {
    const NoRecording off;
    Tokens ids;
    std::vector<std::int64_t> lengths;
    for (const Tokens* source : sources) {
      ids.insert(ids.end(), source->begin(), source->end());
      ids.push_back(decoder.options().source_eos);
      lengths.push_back(static_cast<std::int64_t>(source->size()) + 1);
    }
    sources_ = Segments(lengths);
    const Tensor memory = model_.encode(ids, sources_);
    for (const DecoderLayer& layer : model_.decoder) {
      cross_.push_back({layer.cross.keys(memory), layer.cross.values(memory)});
    }
    self_.resize(model_.decoder.size());
  }

  void advance(std::span<const std::int32_t> parents,
               std::span<const std::int32_t> tokens) override {
    const NoRecording off;
    const auto rows = static_cast<std::int64_t>(parents.size());
    const auto position = static_cast<std::int32_t>(history_.length());
    fresh_ = history_.grow(parents);
    lengths_.assign(parents.size(), position + 1);
    positions_.assign(parents.size(), position);
    follow(parents, position == 0);

    ResidualStream stream(model_.embed_target(tokens, positions_), model_.config.norm, 0.0);
    for (std::size_t l = 0; l < model_.decoder.size(); ++l) {
      const DecoderLayer& layer = model_.decoder[l];
      layer(
          stream, [&](const Tensor& x) { return attend_self(layer.self, x, self_[l]); },
          [&](const Tensor& x) {
            const bool shown = with_attention_ &&
                               static_cast<std::int64_t>(l) == decoder_.options().attention_layer;
            return attend_cross(layer.cross, x, cross_[l], shown);
          });
    }
    hidden_ = stream.finish(model_.decoder_norm);
    if (hidden_.dim(0) != rows)
      fail<ShapeError>("decoder: {} rows became {}", rows, hidden_.dim(0));
  }

  void choose(const Choice& choice, std::int32_t* ids, float* log_probabilities) override {
    const NoRecording off;
    decoder_.head().choose(hidden_, choice, ids, log_probabilities);
  }

  std::span<const float> attention(std::int64_t row) const override {
    if (!with_attention_) return {};
    const std::int64_t length = source_lengths_[static_cast<std::size_t>(row)];
    return {attention_.data() + row * source_stride_, static_cast<std::size_t>(length)};
  }

 private:
  // Which source each row belongs to, and the table by which it finds its keys.
  void follow(std::span<const std::int32_t> parents, bool first) {
    std::vector<std::int32_t>& next = other_;
    next.clear();
    for (std::int32_t parent : parents) {
      next.push_back(first ? parent : source_of_row_[static_cast<std::size_t>(parent)]);
    }
    if (next == source_of_row_) return;
    std::swap(next, source_of_row_);
    source_stride_ = 0;
    source_lengths_.clear();
    for (std::int32_t s : source_of_row_) {
      source_lengths_.push_back(static_cast<std::int32_t>(sources_.length(s)));
      source_stride_ = std::max<std::int64_t>(source_stride_, source_lengths_.back());
    }
    source_table_.resize(source_of_row_.size() * static_cast<std::size_t>(source_stride_));
    for (std::size_t r = 0; r < source_of_row_.size(); ++r) {
      std::int32_t* row = source_table_.data() + r * static_cast<std::size_t>(source_stride_);
      for (std::int32_t j = 0; j < source_lengths_[r]; ++j) {
        row[j] = static_cast<std::int32_t>(sources_.begin(source_of_row_[r])) + j;
      }
    }
  }

  Tensor attend_self(const MultiHead& heads, const Tensor& x, KeysValues& cache) {
    const Tensor q = heads.queries(x);
    enlarge(cache.keys, history_.capacity(), heads.config);
    enlarge(cache.values, history_.capacity(), heads.config);
    scatter(heads.keys(x), fresh_, cache.keys);
    scatter(heads.values(x), fresh_, cache.values);
    kernels::AttendCached a = call(heads, q, cache);
    a.table = history_.table();
    a.table_stride = history_.stride();
    a.lengths = lengths_.data();
    return run(heads, a);
  }

  Tensor attend_cross(const MultiHead& heads, const Tensor& x, const KeysValues& memory,
                      bool shown) {
    const Tensor q = heads.queries(x);
    kernels::AttendCached a = call(heads, q, memory);
    a.table = source_table_.data();
    a.table_stride = source_stride_;
    a.lengths = source_lengths_.data();
    if (shown) {
      weights_.resize(static_cast<std::size_t>(a.rows * a.heads * a.table_stride));
      a.weights = weights_.data();
    }
    Tensor out = run(heads, a);
    if (shown) show(a);
    return out;
  }

  static kernels::AttendCached call(const MultiHead& heads, const Tensor& q,
                                    const KeysValues& cache) {
    const MultiHead::Config& c = heads.config;
    kernels::AttendCached a{};
    a.rows = q.dim(0);
    a.heads = c.heads;
    a.kv_heads = c.kv_heads;
    a.dim = a.value_dim = c.head_dim;
    a.q = q.data();
    a.k = cache.keys.data();
    a.v = cache.values.data();
    a.scale = 1.0 / std::sqrt(static_cast<double>(c.head_dim));
    return a;
  }

  static Tensor run(const MultiHead& heads, kernels::AttendCached& a) {
    Tensor out = Tensor::empty({a.rows, a.heads, a.value_dim});
    a.out = out.data();
    kernels::attend_cached(a);
    return heads.joined(out);
  }

  // Of the weights [rows H stride], one head or the mean of all.
  void show(const kernels::AttendCached& a) {
    const std::int64_t head = decoder_.options().attention_head;
    const std::int64_t from = head < 0 ? 0 : head, to = head < 0 ? a.heads : head + 1;
    attention_.assign(static_cast<std::size_t>(a.rows * source_stride_), 0.0f);
    for (std::int64_t r = 0; r < a.rows; ++r) {
      float* out = attention_.data() + r * source_stride_;
      for (std::int64_t h = from; h < to; ++h) {
        const float* w = weights_.data() + (r * a.heads + h) * source_stride_;
        for (std::int64_t j = 0; j < a.lengths[r]; ++j) {
          out[j] += w[j] / static_cast<float>(to - from);
        }
      }
    }
  }

  const TransformerDecoder& decoder_;
  const Transformer& model_;
  const bool with_attention_;
  Segments sources_;
  std::vector<KeysValues> cross_;  // one a layer: the rows of all sources
  std::vector<KeysValues> self_;   // one a layer: slots of history_
  History history_;
  Tensor hidden_;  // [rows C]

  // By row of the present step.
  std::span<const std::int32_t> fresh_;
  std::vector<std::int32_t> positions_, lengths_, source_of_row_, other_, source_lengths_;
  std::vector<std::int32_t> source_table_;  // [rows source_stride_]
  std::int64_t source_stride_ = 0;
  std::vector<float> weights_, attention_;
};

}  // namespace

TransformerDecoder::TransformerDecoder(const Transformer& model,
                                       const TransformerDecoderOptions& options)
    : model_(model),
      options_(options),
      head_(model.output_matrix(), model.output_stored(), model.output_bias) {
  const auto layers = static_cast<std::int64_t>(model.decoder.size());
  std::int64_t& layer = options_.attention_layer;
  if (layer == -2 && layers == 1) layer = -1;
  if (layer < 0) layer += layers;
  if (layers > 0 && (layer < 0 || layer >= layers)) {
    fail("attention layer {} of {}", options.attention_layer, layers);
  }
  if (options.attention_head < -1 || options.attention_head >= model.config.heads) {
    fail("attention head {} of {}", options.attention_head, model.config.heads);
  }
}

std::unique_ptr<StepState> TransformerDecoder::start(std::span<const Tokens* const> sources,
                                                     bool with_attention) const {
  if (with_attention && model_.decoder.empty()) fail("a decoder without layers has no attention");
  return std::make_unique<TransformerState>(*this, sources, with_attention);
}

}  // namespace qkv
