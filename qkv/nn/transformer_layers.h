// The two layers of a Transformer (Vaswani et al. 2017, §3.1), on packed rows. Attention is passed
// in by the caller, so that training (whole sequences) and decoding (one row against a cache) share
// the layer.
#pragma once

#include "qkv/attention/observer.h"
#include "qkv/nn/multi_head.h"
#include "qkv/nn/residual.h"

namespace qkv {

/// Shared by both kinds of layer.
struct LayerConfig {
  MultiHead::Config attention;
  std::int64_t feed_forward = 0;
  Activation activation = Activation::relu;
  double dropout = 0.0;             // on each sub-layer's result
  double activation_dropout = 0.0;  // inside the feed-forward block
  double norm_eps = 1e-5;
};

struct EncoderLayer {
  MultiHead self;
  FeedForward feed_forward;
  LayerNorm norm1, norm2;

  static EncoderLayer make(Initialiser& init, const LayerConfig& c) {
    EncoderLayer m;
    m.self = MultiHead::make(init, c.attention);
    m.feed_forward = FeedForward::make(init, c.attention.width, c.feed_forward, c.activation,
                                       c.activation_dropout);
    m.norm1 = LayerNorm::make(init, c.attention.width, c.norm_eps);
    m.norm2 = LayerNorm::make(init, c.attention.width, c.norm_eps);
    return m;
  }
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("self", m.self);
    visit("feed_forward", m.feed_forward);
    visit("norm1", m.norm1);
    visit("norm2", m.norm2);
  }
  void operator()(ResidualStream& stream, const Mask& mask) const {
    stream.sub_layer(norm1, [&](const Tensor& x) {
      const ModuleScope at("self");
      return self(x, x, mask);
    });
    stream.sub_layer(norm2, [&](const Tensor& x) { return feed_forward(x); });
  }
};

struct DecoderLayer {
  MultiHead self, cross;
  FeedForward feed_forward;
  LayerNorm norm1, norm2, norm3;

  static DecoderLayer make(Initialiser& init, const LayerConfig& c) {
    DecoderLayer m;
    m.self = MultiHead::make(init, c.attention);
    m.cross = MultiHead::make(init, c.attention);
    m.feed_forward = FeedForward::make(init, c.attention.width, c.feed_forward, c.activation,
                                       c.activation_dropout);
    m.norm1 = LayerNorm::make(init, c.attention.width, c.norm_eps);
    m.norm2 = LayerNorm::make(init, c.attention.width, c.norm_eps);
    m.norm3 = LayerNorm::make(init, c.attention.width, c.norm_eps);
    return m;
  }
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("self", m.self);
    visit("cross", m.cross);
    visit("feed_forward", m.feed_forward);
    visit("norm1", m.norm1);
    visit("norm2", m.norm2);
    visit("norm3", m.norm3);
  }
  /// attend_self(x) and attend_cross(x): x [T C] -> [T C].
  template <class AttendSelf, class AttendCross>
  void operator()(ResidualStream& stream, AttendSelf&& attend_self,
                  AttendCross&& attend_cross) const {
    stream.sub_layer(norm1, [&](const Tensor& x) {
      const ModuleScope at("self");
      return attend_self(x);
    });
    stream.sub_layer(norm2, [&](const Tensor& x) {
      const ModuleScope at("cross");
      return attend_cross(x);
    });
    stream.sub_layer(norm3, [&](const Tensor& x) { return feed_forward(x); });
  }
};

}  // namespace qkv
