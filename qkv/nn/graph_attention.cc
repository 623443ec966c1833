#include "qkv/nn/graph_attention.h"

#include <vector>

#include "qkv/base/error.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/features.h"
#include "qkv/ops/heads.h"
#include "qkv/ops/shape.h"
#include "qkv/ops/sparse.h"

namespace qkv {
namespace {

/// Each head's own dropout: x [N C] once a head, and the weight [C H·O] as a matrix a head.
Tensor project_apart(const Tensor& x, const Tensor& weight, std::int64_t heads, double rate) {
  const std::int64_t rows = x.dim(0), in = x.dim(1), out = weight.dim(1) / heads;
  std::vector<std::int64_t> columns, parts;
  for (std::int64_t h = 0; h < heads; ++h) {
    for (std::int64_t c = 0; c < in; ++c) {
      columns.push_back(c);
      parts.push_back(c * heads + h);
    }
  }
  const Tensor copies = dropout(select_columns(x, columns), rate);
  const Tensor matrices = select_rows(reshape(weight, {in * heads, out}), parts);
  const Tensor y =
      project_heads(reshape(copies, {rows, heads, in}), reshape(matrices, {heads, in, out}));
  return reshape(y, {rows, heads * out});
}

/// The mean over the heads of x [N H F'].
Tensor mean_of_heads(const Tensor& x) {
  const std::int64_t heads = x.dim(1), width = x.dim(2);
  if (heads == 1) return reshape(x, {x.dim(0), width});
  Tensor mean = Tensor::zeros({heads * width, width}, DType::f64);
  for (std::int64_t i = 0; i < heads * width; ++i) {
    mean.values<double>()[static_cast<std::size_t>(i * width + i % width)] =
        1.0 / static_cast<double>(heads);
  }
  return matmul(reshape(x, {x.dim(0), heads * width}), mean.to(x.dtype()));
}

}  // namespace

Tensor project_nodes(const NodeRows& x, const Tensor& weight, std::int64_t heads, double rate) {
  if (const auto* sparse = std::get_if<std::shared_ptr<const SparseRows>>(&x)) {
    return sparse_linear(*sparse, weight, heads, rate);
  }
  const Tensor& dense = std::get<Tensor>(x);
  if (heads > 1 && rate > 0 && recording()) return project_apart(dense, weight, heads, rate);
  return matmul(dropout(dense, rate), weight);
}

GraphAttention GraphAttention::make(Initialiser& init, const Config& c) {
  if (c.features < 1 || c.heads < 1 || c.width < 1) {
    fail<ShapeError>("graph attention: {} features, {} heads of {}", c.features, c.heads, c.width);
  }
  GraphAttention m;
  m.config = c;
  const std::int64_t all = c.heads * c.width;
  m.weight = init.xavier({c.features, all}, 1.0, c.features + c.width);
  if (c.match == Match::gatv2) m.query = init.xavier({c.features, all}, 1.0, c.features + c.width);
  m.own = init.xavier({c.heads, c.width}, 1.0, c.width + 1);
  if (c.match == Match::gat) m.seen = init.xavier({c.heads, c.width}, 1.0, c.width + 1);
  m.bias = init.zeros({c.average ? c.width : all});
  return m;
}

Tensor GraphAttention::operator()(const NodeRows& x, const Mask& neighbours) const {
  const Config& c = config;
  const bool v2 = c.match == Match::gatv2;
  const auto heads_of = [&](const Tensor& y) { return reshape(y, {y.dim(0), c.heads, c.width}); };
  const Tensor keys = heads_of(project_nodes(x, weight, c.heads, c.feature_dropout));
  const Tensor queries = v2 ? heads_of(project_nodes(x, query, c.heads, c.feature_dropout)) : keys;
  Additive score{.weight = own, .query = {}, .key = {}, .activation = LeakyRelu{c.slope}};
  if (!v2) {
    score.weight = Tensor::full({1}, 1.0, keys.dtype());
    score.query = reshape(own, {c.heads, c.width, 1});
    score.key = reshape(seen, {c.heads, c.width, 1});
  }
  const Tensor out = attend(queries, keys, qkv::dropout(keys, c.feature_dropout),
                            {.score = score, .mask = neighbours, .dropout = c.dropout});
  return bias_activate(
      c.average ? mean_of_heads(out) : reshape(out, {out.dim(0), c.heads * c.width}), bias,
      c.activation);
}

Tensor GraphConvolution::operator()(const NodeRows& x, const GraphWeights& graph) const {
  const Tensor y = project_nodes(x, weight, 1, feature_dropout);
  const std::int64_t rows = y.dim(0), width = y.dim(1);
  // S_ij = 1/√d_i · A_ij · 1/√d_j is a product of one feature, taken as it is.
  const Tensor side = reshape(graph.inverse_root, {rows, 1, 1});
  const Tensor out = attend(
      side, side, reshape(y, {rows, 1, width}),
      {.score = ScaledDot{1.0}, .bias = graph.edges, .mask = graph.neighbours, .norm = Relu{}});
  return bias_activate(reshape(out, {rows, width}), {}, activation);
}

Tensor GraphConvolution::operator()(const NodeRows& x) const {
  return bias_activate(project_nodes(x, weight, 1, feature_dropout), {}, activation);
}

}  // namespace qkv
