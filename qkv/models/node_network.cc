#include "qkv/models/node_network.h"

#include <type_traits>

#include "qkv/attention/observer.h"
#include "qkv/base/error.h"
#include "qkv/ops/loss.h"

namespace qkv {
namespace {

/// What a class's own logit is multiplied by, so that logits count as their own projection.
Tensor identity(std::int64_t size, DType type) {
  Tensor one = Tensor::zeros({size, size}, DType::f64);
  for (std::int64_t i = 0; i < size; ++i) {
    one.values<double>()[static_cast<std::size_t>(i * size + i)] = 1.0;
  }
  return one.to(type);
}

}  // namespace

void NodeNetwork::Config::check() const {
  if (features < 1) fail("node network: features is {}, must be at least 1", features);
  if (classes < 2) fail("node network: classes is {}, must be at least 2", classes);
  check_ranges(*this);
  // Far beyond memory, and still so that the sizes of all weights fit 64 bits.
  constexpr std::int64_t kMostWide = 1 << 20, kMostOut = std::int64_t{1} << 30;
  if (heads > kMostWide / width || out_heads > kMostOut / classes) {
    fail("node network: {} heads of {}, {} of {} classes in the last layer, are too many", heads,
         width, out_heads, classes);
  }
}

NodeNetwork NodeNetwork::make(Initialiser init, const Config& c) {
  c.check();
  NodeNetwork m;
  m.config = c;
  std::int64_t in = c.features;
  for (std::int64_t n = 0; n < c.layers; ++n) {
    const bool last = n + 1 == c.layers;
    if (c.attends()) {
      m.layers.push_back({GraphAttention::make(
          init, {.features = in,
                 .heads = last ? c.out_heads : c.heads,
                 .width = last ? c.classes : c.width,
                 .match = c.kind == NodeKind::gat ? GraphAttention::Match::gat
                                                  : GraphAttention::Match::gatv2,
                 .average = last,
                 .slope = c.slope,
                 .activation = last ? Activation::none : Activation::elu,
                 .feature_dropout = c.dropout,
                 .dropout = c.dropout})});
      in = c.heads * c.width;
    } else {
      m.layers.push_back(
          {GraphConvolution::make(init, in, last ? c.classes : c.width,
                                  last ? Activation::none : Activation::relu, c.dropout)});
      in = c.width;
    }
  }
  return m;
}

Tensor NodeNetwork::logits(const NodeBatch& batch) const {
  NodeRows rows = batch.features;
  for (std::size_t n = 0; n < layers.size(); ++n) {
    const ModuleScope layer("encoder", static_cast<std::int64_t>(n));
    const ModuleScope self("self");
    rows = std::visit(
        [&](const auto& held) {
          if constexpr (std::is_same_v<std::decay_t<decltype(held)>, GraphAttention>) {
            return held(rows, batch.graph.neighbours);
          } else {
            return config.kind == NodeKind::mlp ? held(rows) : held(rows, batch.graph);
          }
        },
        layers[n].kind);
  }
  return std::get<Tensor>(rows);
}

NodeLoss node_loss(const Tensor& logits, std::span<const std::int32_t> classes, double scale) {
  const CrossEntropyResult r =
      cross_entropy(logits, identity(logits.dim(1), logits.dtype()), VocabularyMatrix::projection,
                    {}, classes, {.scale = scale});
  return {.loss = r.loss, .nll_sum = r.nll_sum, .nodes = r.tokens, .correct = r.correct};
}

NodeLoss NodeNetwork::loss(const NodeBatch& batch, std::span<const std::int32_t> classes,
                           double scale) const {
  return node_loss(logits(batch), classes, scale);
}

}  // namespace qkv
