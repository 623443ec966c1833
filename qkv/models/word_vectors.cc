#include "qkv/models/word_vectors.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <queue>
#include <tuple>

#include "qkv/base/error.h"
#include "qkv/kernels/word_vectors.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/embedding.h"
#include "qkv/ops/linear.h"
#include "qkv/ops/sequence.h"

namespace qkv {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// −log σ(x), without overflow.
double surprise(double x) { return std::max(-x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

}  // namespace

std::vector<HuffmanPath> huffman_paths(std::span<const std::int64_t> counts) {
  const auto words = static_cast<std::int32_t>(counts.size());
  if (words < 1) fail("huffman_paths: no words");
  // Nodes V, V + 1 … are inner ones; the last made is the root.
  struct Parent {
    std::int32_t node = -1;
    std::uint8_t branch = 0;
  };
  std::vector<Parent> parents(at(2 * words - 1));
  using Entry = std::pair<std::int64_t, std::int32_t>;  // count, node: the smallest comes first
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> open;
  for (std::int32_t i = 0; i < words; ++i) {
    if (counts[at(i)] < 0) fail("huffman_paths: word {} has count {}", i, counts[at(i)]);
    open.emplace(counts[at(i)], i);
  }
  for (std::int32_t next = words; open.size() > 1; ++next) {
    const Entry least = open.top();
    open.pop();
    const Entry second = open.top();
    open.pop();
    parents[at(least.second)] = {next, 0};
    parents[at(second.second)] = {next, 1};
    open.emplace(least.first + second.first, next);
  }
  std::vector<HuffmanPath> paths(at(words));
  for (std::int32_t i = 0; i < words; ++i) {
    HuffmanPath& path = paths[at(i)];
    for (std::int32_t node = i; parents[at(node)].node >= 0; node = parents[at(node)].node) {
      path.nodes.push_back(parents[at(node)].node - words);
      path.branches.push_back(parents[at(node)].branch);
    }
    std::reverse(path.nodes.begin(), path.nodes.end());
    std::reverse(path.branches.begin(), path.branches.end());
  }
  return paths;
}

AliasTable::AliasTable(std::span<const double> weights)
    : keep_(weights.size(), 1ULL << 32), other_(weights.size()) {
  double sum = 0;
  for (const double w : weights) {
    if (!(w >= 0)) fail("alias table: a weight of {}", w);
    sum += w;
  }
  if (!(sum > 0) || !std::isfinite(sum)) fail("alias table: weights of sum {}", sum);
  const auto n = static_cast<double>(weights.size());
  std::vector<double> share;  // 1: exactly its slot
  std::vector<std::int32_t> small, large;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    share.push_back(weights[i] / sum * n);
    other_[i] = static_cast<std::int32_t>(i);
    (share[i] < 1 ? small : large).push_back(static_cast<std::int32_t>(i));
  }
  while (!small.empty() && !large.empty()) {
    const std::int32_t low = small.back(), high = large.back();
    small.pop_back();
    keep_[at(low)] = static_cast<std::uint64_t>(share[at(low)] * 0x1.0p32);
    other_[at(low)] = high;
    share[at(high)] -= 1 - share[at(low)];
    if (share[at(high)] < 1) {
      large.pop_back();
      small.push_back(high);
    }
  }
}

void VectorNetwork::Config::check() const {
  if (words < 2) fail("word vectors: {} words, there must be 2", words);
  if (width < 1) fail("word vectors: width is {}, must be positive", width);
}

VectorNetwork VectorNetwork::make(Initialiser init, const Config& c) {
  c.check();
  VectorNetwork m;
  m.config = c;
  m.input = init.uniform({c.words, c.width}, 0.5 / static_cast<double>(c.width));
  m.output = init.zeros({c.loss == VectorLoss::hierarchical ? c.words - 1 : c.words, c.width});
  return m;
}

Tensor VectorNetwork::hidden(std::span<const std::int32_t> words, const Segments& contexts) const {
  const Tensor rows = embed(std::vector<std::int32_t>(words.begin(), words.end()), input);
  const Tensor mean = segment_mean(rows, contexts);
  if (config.context == ContextSum::mean) return mean;
  std::vector<double> lengths;
  for (std::int64_t b = 0; b < contexts.count(); ++b) {
    for (std::int64_t c = 0; c < config.width; ++c) {
      lengths.push_back(static_cast<double>(contexts.length(b)));
    }
  }
  return multiply(mean, Tensor::of(lengths, mean.shape()).to(mean.dtype()));
}

Tensor VectorNetwork::logits(std::span<const std::int32_t> words, const Segments& contexts) const {
  if (config.loss != VectorLoss::negative) {
    fail("word vectors: a tree has no logits of words");
  }
  return linear(hidden(words, contexts), transposed_parameter(output));
}

VectorTargets vector_targets(const VectorNetwork::Config& config,
                             std::span<const std::int64_t> counts, std::int64_t negatives,
                             double power) {
  if (static_cast<std::int64_t>(counts.size()) != config.words) {
    fail<ShapeError>("vector_targets: {} counts for {} words", counts.size(), config.words);
  }
  VectorTargets targets;
  targets.negatives = negatives;
  if (config.loss == VectorLoss::hierarchical) {
    targets.paths = huffman_paths(counts);
    return targets;
  }
  if (negatives < 1) fail("word vectors: {} negatives, must be positive", negatives);
  std::vector<double> weights;
  weights.reserve(counts.size());
  for (const std::int64_t count : counts) {
    weights.push_back(std::pow(static_cast<double>(count), power));
  }
  targets.noise = AliasTable(weights);
  return targets;
}

double VectorStep::towards(const float* h, std::int32_t word, float rate, float* error,
                           LinearCongruence& random) {
  const std::int64_t dim = model_.config.width;
  float* rows = model_.output.data();
  double loss = 0;
  const auto count = [&](float right) {
    if (measure_) loss += surprise(static_cast<double>(right));
  };
  if (model_.config.loss == VectorLoss::hierarchical) {
    const HuffmanPath& path = targets_.paths[at(word)];
    for (std::size_t i = 0; i < path.nodes.size(); ++i) {
      const bool up = path.branches[i] == 0;  // label 1 − branch
      const float f =
          kernels::pull(dim, h, rows + path.nodes[i] * dim, up ? 1.0F : 0.0F, rate, error);
      count(up ? f : -f);
    }
    return loss;
  }
  const float f = kernels::pull(dim, h, rows + word * dim, 1.0F, rate, error);
  count(f);
  for (std::int64_t k = 0; k < targets_.negatives; ++k) {
    const std::int32_t other = targets_.noise.draw((random.bits() << 32) | random.bits());
    if (other == word) continue;  // drawn all the same, as in word2vec.c
    const float away = kernels::pull(dim, h, rows + other * dim, 0.0F, rate, error);
    count(-away);
  }
  return loss;
}

double VectorStep::operator()(std::span<const std::int32_t> context, std::int32_t word, float rate,
                              LinearCongruence& random, bool measure) {
  if (context.empty()) return 0;
  measure_ = measure;
  const std::int64_t dim = model_.config.width;
  float* rows = model_.input.data();
  float* error = scratch_.data() + dim;
  std::fill(scratch_.begin(), scratch_.end(), 0.0F);
  const bool mean = model_.config.context == ContextSum::mean;
  const float share = mean ? 1.0F / static_cast<float>(context.size()) : 1.0F;
  for (const std::int32_t c : context) {
    kernels::add_scaled(dim, share, rows + c * dim, scratch_.data());
  }
  const double loss = towards(scratch_.data(), word, rate, error, random);
  for (const std::int32_t c : context) kernels::add_scaled(dim, 1.0F, error, rows + c * dim);
  return loss;
}

std::vector<double> unit_row(const Tensor& vectors, std::int32_t row) {
  const std::int64_t dim = vectors.dim(1);
  const float* from = vectors.data() + row * dim;
  std::vector<double> unit(from, from + dim);
  double squares = 0;
  for (const double v : unit) squares += v * v;
  if (squares > 0) {
    for (double& v : unit) v /= std::sqrt(squares);
  }
  return unit;
}

std::vector<std::pair<std::int32_t, double>> nearest_rows(const Tensor& vectors,
                                                          std::span<const double> query,
                                                          std::int64_t count,
                                                          std::span<const std::int32_t> except) {
  const std::int64_t dim = vectors.dim(1);
  if (static_cast<std::int64_t>(query.size()) != dim) {
    fail<ShapeError>("nearest_rows: a query of {} numbers for vectors {}", query.size(),
                     to_string(vectors.shape()));
  }
  double length = 0;
  for (const double q : query) length += q * q;
  length = std::sqrt(length);
  std::vector<std::pair<std::int32_t, double>> found;
  for (std::int32_t r = 0; r < vectors.dim(0); ++r) {
    if (std::find(except.begin(), except.end(), r) != except.end()) continue;
    const float* row = vectors.data() + r * dim;
    double dot = 0, squares = 0;
    for (std::int64_t i = 0; i < dim; ++i) {
      const auto v = static_cast<double>(row[i]);
      dot += v * query[at(i)];
      squares += v * v;
    }
    const double lengths = std::sqrt(squares) * length;
    found.emplace_back(r, lengths > 0 ? dot / lengths : 0.0);
  }
  const auto most = std::min(found.size(), at(std::max<std::int64_t>(count, 0)));
  const auto nearer = [](const auto& a, const auto& b) {
    return std::tuple(-a.second, a.first) < std::tuple(-b.second, b.first);
  };
  std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(most), found.end(),
                    nearer);
  found.resize(most);
  return found;
}

}  // namespace qkv
