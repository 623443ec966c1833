#include "qkv/models/torch_transformer.h"

#include <cmath>
#include <limits>
#include <span>

#include "qkv/base/error.h"
#include "qkv/ops/dispatch.h"
#include "qkv/ops/shape.h"
#include "qkv/tensor/numbers.h"

namespace qkv {
namespace {

// --- initialisation -----------------------------------------------------------------------------

/// nn.Linear's own initialisation: weight and bias from U(−1/√in, 1/√in).
void redraw_as_linear(Initialiser& init, Linear& m) {
  const double limit = 1.0 / std::sqrt(static_cast<double>(m.weight.dim(0)));
  m.weight = init.uniform(m.weight.shape(), limit);
  if (m.bias.defined()) m.bias = init.uniform(m.bias.shape(), limit);
}

/// MultiHead::make draws q, k, v as nn.MultiheadAttention does; its output projection is a plain
/// nn.Linear there, with bias 0.
void redraw_output(Initialiser& init, MultiHead& m) {
  const Tensor zero_bias = m.o.bias;
  redraw_as_linear(init, m.o);
  m.o.bias = zero_bias;
}

template <class Layer>
void drop_biases(Layer& m) {
  m.feed_forward.inner.bias = m.feed_forward.outer.bias = Tensor();
  m.norm1.bias = m.norm2.bias = Tensor();
  if constexpr (std::is_same_v<Layer, DecoderLayer>) m.norm3.bias = Tensor();
}

template <class Layer>
Layer make_layer(Initialiser& init, const TorchLayerOptions& o) {
  o.check();
  Layer m = Layer::make(
      init,
      {.attention = {.width = o.d_model, .heads = o.nhead, .bias = o.bias, .dropout = o.dropout},
       .feed_forward = o.dim_feedforward,
       .activation = o.activation,
       .dropout = o.dropout,
       .activation_dropout = o.dropout,
       .norm_eps = o.layer_norm_eps});
  if (!o.bias) drop_biases(m);
  redraw_output(init, m.self);
  if constexpr (std::is_same_v<Layer, DecoderLayer>) redraw_output(init, m.cross);
  redraw_as_linear(init, m.feed_forward.inner);
  redraw_as_linear(init, m.feed_forward.outer);
  return m;
}

template <class M>
M deep_copy(const M& module) {
  M copy = module;
  for_each_parameter(copy, [](std::string_view, Tensor& p) { p = parameter(p.clone()); });
  return copy;
}

template <class Stack, class Layer>
Stack make_stack(const Layer& layer, std::int64_t num_layers, const LayerNorm& norm) {
  if (num_layers < 0) fail("torch transformer: {} layers", num_layers);
  Stack m;
  m.options = layer.options;
  for (std::int64_t i = 0; i < num_layers; ++i) m.layers.push_back(deep_copy(layer.layer));
  m.norm = deep_copy(norm);
  return m;
}

/// Xavier-uniform for every matrix, q, k and v as parts of [3C C]; biases and norms stay.
template <class M>
void redraw_matrices(Initialiser& init, M& module, std::int64_t width) {
  for_each_parameter(module, [&](std::string_view path, Tensor& p) {
    if (p.shape().rank() < 2) return;
    const bool fused =
        path.ends_with(".q.weight") || path.ends_with(".k.weight") || path.ends_with(".v.weight");
    p = init.xavier(p.shape(), 1.0, fused ? 4 * width : 0);
  });
}

// --- dense batches ------------------------------------------------------------------------------

/// A dense batch packed: sequence b is rows [b·L, (b+1)·L).
struct Dense {
  Tensor rows;  // [B·L C]
  std::int64_t batch = 1, length = 0;

  Segments segments() const {
    return Segments(std::vector<std::int64_t>(static_cast<std::size_t>(batch), length));
  }
};

/// Row r of the result is row (r mod inner)·outer + r / inner of x: swaps the two outer axes.
Tensor swap_outer_axes(const Tensor& x, std::int64_t outer, std::int64_t inner) {
  if (outer == 1 || inner == 1) return x;
  std::vector<std::int64_t> order;
  order.reserve(static_cast<std::size_t>(outer * inner));
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t i = 0; i < inner; ++i) order.push_back(i * outer + o);
  }
  return select_rows(x, order);
}

Dense pack(const char* name, const Tensor& x, const TorchLayerOptions& o) {
  const int rank = x.shape().rank();
  if ((rank != 2 && rank != 3) || x.dim(-1) != o.d_model) {
    fail<ShapeError>("torch transformer: {} is {}, must be [{} {}] or [L {}]", name,
                     to_string(x.shape()), o.batch_first ? "B L" : "L B", o.d_model, o.d_model);
  }
  if (rank == 2) return {.rows = x, .batch = 1, .length = x.dim(0)};
  Dense d;
  d.batch = x.dim(o.batch_first ? 0 : 1);
  d.length = x.dim(o.batch_first ? 1 : 0);
  d.rows = reshape(x, {d.batch * d.length, o.d_model});
  if (!o.batch_first) d.rows = swap_outer_axes(d.rows, d.batch, d.length);
  return d;
}

/// Rows back to the shape that x had.
Tensor unpack(const Tensor& rows, const Dense& d, const Tensor& x, const TorchLayerOptions& o) {
  if (x.shape().rank() == 2) return rows;
  return reshape(o.batch_first ? rows : swap_outer_axes(rows, d.length, d.batch), x.shape());
}

// --- masks --------------------------------------------------------------------------------------

void check_mask(const char* name, const TorchMask& mask, std::int64_t rows, std::int64_t cols) {
  if (mask.defined() && (mask.rows() != rows || mask.cols() != cols)) {
    fail<ShapeError>("torch transformer: {} is [{}, {}], must be [{}, {}]", name, mask.rows(),
                     mask.cols(), rows, cols);
  }
}

Mask to_mask(const TorchMasks& masks, const Dense& q, const Dense& k) {
  if (q.batch != k.batch) {
    fail<ShapeError>("torch transformer: a batch of {} targets with {} sources", q.batch, k.batch);
  }
  check_mask("attention mask", masks.attention, q.length, k.length);
  check_mask("key padding mask", masks.key_padding, k.batch, k.length);
  Mask mask = segments(q.segments(), k.segments());
  if (masks.causal) mask = mask & causal(Alignment::top_left);
  if (!masks.attention.defined() && !masks.key_padding.defined()) return mask;
  const auto visible = [attention = masks.attention, padding = masks.key_padding](
                           const MaskRow& row, Intervals& keys) {
    for (std::int64_t j = 0; j < row.keys; ++j) {
      if (attention.defined() && attention.hides(row.position, j)) continue;
      if (padding.defined() && padding.hides(row.segment, j)) continue;
      const std::int64_t key = row.k_begin + j;
      if (!keys.empty() && keys.back().end == key) {
        ++keys.back().end;
      } else {
        keys.push_back({key, key + 1});
      }
    }
  };
  return mask & Mask::of("dense", visible);
}

// --- forward ------------------------------------------------------------------------------------

ResidualStream stream_of(const Tensor& rows, const TorchLayerOptions& o) {
  return {rows, o.norm_first ? NormPlacement::pre : NormPlacement::post, o.dropout};
}

Tensor encode(const TorchLayerOptions& o, std::span<const EncoderLayer> layers,
              const LayerNorm& norm, const Tensor& src, const TorchMasks& masks) {
  const Dense x = pack("src", src, o);
  const Mask mask = to_mask(masks, x, x);
  ResidualStream stream = stream_of(x.rows, o);
  const ModuleScope at("encoder");
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const ModuleScope in("layers", static_cast<std::int64_t>(i));
    layers[i](stream, mask);
  }
  return unpack(stream.finish(norm), x, src, o);
}

Tensor decode(const TorchLayerOptions& o, std::span<const DecoderLayer> layers,
              const LayerNorm& norm, const Tensor& tgt, const Tensor& memory,
              const TorchMasks& target, const TorchMasks& cross) {
  const Dense x = pack("tgt", tgt, o), seen = pack("memory", memory, o);
  const Mask self_mask = to_mask(target, x, x), cross_mask = to_mask(cross, x, seen);
  ResidualStream stream = stream_of(x.rows, o);
  const ModuleScope at("decoder");
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const ModuleScope in("layers", static_cast<std::int64_t>(i));
    const DecoderLayer& layer = layers[i];
    layer(
        stream, [&](const Tensor& y) { return layer.self(y, y, self_mask); },
        [&](const Tensor& y) { return layer.cross(y, seen.rows, cross_mask); });
  }
  return unpack(stream.finish(norm), x, tgt, o);
}

}  // namespace

void TorchLayerOptions::check() const {
  if (d_model <= 0 || nhead <= 0 || dim_feedforward <= 0) {
    fail("torch transformer: d_model {}, nhead {}, dim_feedforward {} must be positive", d_model,
         nhead, dim_feedforward);
  }
  if (d_model % nhead != 0) {
    fail("torch transformer: d_model {} is no multiple of nhead {}", d_model, nhead);
  }
  if (!(dropout >= 0.0 && dropout < 1.0)) {
    fail("torch transformer: dropout {} is not in [0, 1)", dropout);
  }
  if (!(layer_norm_eps > 0.0)) {
    fail("torch transformer: layer_norm_eps {} must be positive", layer_norm_eps);
  }
}

TorchMask::TorchMask(std::int64_t rows, std::int64_t cols, std::vector<std::uint8_t> hidden)
    : rows_(rows), cols_(cols) {
  if (rows < 0 || cols < 0 || static_cast<std::int64_t>(hidden.size()) != rows * cols) {
    fail<ShapeError>("torch mask: {} values for [{}, {}]", hidden.size(), rows, cols);
  }
  hidden_ = std::make_shared<const std::vector<std::uint8_t>>(std::move(hidden));
}

TorchMask TorchMask::of(const Tensor& additive) {
  if (additive.shape().rank() != 2) {
    fail<ShapeError>("torch mask: {} is no matrix", to_string(additive.shape()));
  }
  std::vector<std::uint8_t> hidden;
  hidden.reserve(static_cast<std::size_t>(additive.count()));
  dispatch(additive, [&](auto zero) {
    using T = decltype(zero);
    for (const T value : additive.values<T>()) {
      const bool hide = value < 0 && std::isinf(value);
      if (!hide && !(value <= 0 && value >= 0)) {
        fail(
            "torch mask: the value {}; additive masks are not supported here, only 0 (seen) and "
            "-inf (hidden)",
            value);
      }
      hidden.push_back(hide ? 1 : 0);
    }
  });
  return {additive.dim(0), additive.dim(1), std::move(hidden)};
}

Tensor square_subsequent_mask(std::int64_t size, DType type) {
  return generated({size, size}, type, [size](std::int64_t i) {
    return i % size > i / size ? -std::numeric_limits<double>::infinity() : 0.0;
  });
}

TorchEncoderLayer TorchEncoderLayer::make(Initialiser init, const TorchLayerOptions& options) {
  return {options, make_layer<EncoderLayer>(init, options)};
}
Tensor TorchEncoderLayer::operator()(const Tensor& src, const TorchMasks& masks) const {
  return encode(options, {&layer, 1}, {}, src, masks);
}

TorchDecoderLayer TorchDecoderLayer::make(Initialiser init, const TorchLayerOptions& options) {
  return {options, make_layer<DecoderLayer>(init, options)};
}
Tensor TorchDecoderLayer::operator()(const Tensor& tgt, const Tensor& memory,
                                     const TorchMasks& target, const TorchMasks& cross) const {
  return decode(options, {&layer, 1}, {}, tgt, memory, target, cross);
}

TorchEncoder TorchEncoder::make(const TorchEncoderLayer& layer, std::int64_t num_layers,
                                const LayerNorm& norm) {
  return make_stack<TorchEncoder>(layer, num_layers, norm);
}
Tensor TorchEncoder::operator()(const Tensor& src, const TorchMasks& masks) const {
  return encode(options, layers, norm, src, masks);
}

TorchDecoder TorchDecoder::make(const TorchDecoderLayer& layer, std::int64_t num_layers,
                                const LayerNorm& norm) {
  return make_stack<TorchDecoder>(layer, num_layers, norm);
}
Tensor TorchDecoder::operator()(const Tensor& tgt, const Tensor& memory, const TorchMasks& target,
                                const TorchMasks& cross) const {
  return decode(options, layers, norm, tgt, memory, target, cross);
}

TorchTransformer TorchTransformer::make(Initialiser init, const Config& c) {
  const TorchLayerOptions& o = c.layer;
  Initialiser stack = init.branch(hash_name("stack"));
  const auto norm = [&] { return LayerNorm::make(stack, o.d_model, o.layer_norm_eps, o.bias); };
  TorchTransformer m;
  m.encoder =
      TorchEncoder::make(TorchEncoderLayer::make(init.branch(0), o), c.num_encoder_layers, norm());
  m.decoder =
      TorchDecoder::make(TorchDecoderLayer::make(init.branch(1), o), c.num_decoder_layers, norm());
  redraw_matrices(stack, m, o.d_model);
  return m;
}
Tensor TorchTransformer::operator()(const Tensor& src, const Tensor& tgt,
                                    const TorchTransformerMasks& masks) const {
  return decoder(tgt, encoder(src, masks.source), masks.target, masks.memory);
}

ArticleTransformer ArticleTransformer::make(Initialiser init, const TorchLayerOptions& layer,
                                            std::int64_t num_layers) {
  return {TorchEncoder::make(TorchEncoderLayer::make(init.branch(0), layer), num_layers),
          TorchDecoder::make(TorchDecoderLayer::make(init.branch(1), layer), num_layers)};
}
Tensor ArticleTransformer::literal(const Tensor& src, const Tensor& tgt) const {
  return decoder(encoder(tgt), encoder(src));
}
Tensor ArticleTransformer::corrected(const Tensor& src, const Tensor& tgt,
                                     const TorchMask& src_key_padding,
                                     const TorchMask& tgt_key_padding) const {
  return decoder(tgt, encoder(src, {.key_padding = src_key_padding}),
                 {.key_padding = tgt_key_padding, .causal = true},
                 {.key_padding = src_key_padding});
}

}  // namespace qkv
