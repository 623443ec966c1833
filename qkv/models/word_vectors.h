// word2vec (Mikolov et al. 2013): CBOW and skip-gram, with negative sampling or hierarchical
// softmax. Two tables and nothing else: a word as context (`input`, the vectors that are kept) and
// as what is predicted (`output`), or an inner node of a Huffman tree.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "qkv/base/options.h"
#include "qkv/nn/module.h"
#include "qkv/tensor/segments.h"

namespace qkv {

enum class VectorTask : std::uint8_t {
  cbow,       ///< a word from the words around it
  skip_gram,  ///< the words around it from a word: each pair an example
};
constexpr std::array<std::string_view, 2> spelling(VectorTask) { return {"cbow", "skip_gram"}; }
enum class ContextSum : std::uint8_t { mean, sum };  // of the context's vectors, CBOW
constexpr std::array<std::string_view, 2> spelling(ContextSum) { return {"mean", "sum"}; }
enum class VectorLoss : std::uint8_t { negative, hierarchical };
constexpr std::array<std::string_view, 2> spelling(VectorLoss) {
  return {"negative", "hierarchical"};
}

/// The way to a word in the tree: inner nodes from the root, and which branch to take at each.
struct HuffmanPath {
  std::vector<std::int32_t> nodes;     // below V − 1
  std::vector<std::uint8_t> branches;  // 0 or 1
};
/// Frequent words get short paths. Equal counts are told apart by their number. counts [V], V >= 1,
/// none negative; a lone word has an empty path.
std::vector<HuffmanPath> huffman_paths(std::span<const std::int64_t> counts);

/// Draws i with probability weight_i / Σ weights from 64 random bits, in constant time (Walker
/// 1977, Vose 1991).
class AliasTable {
 public:
  AliasTable() = default;
  /// None negative, their sum positive.
  explicit AliasTable(std::span<const double> weights);
  std::int32_t draw(std::uint64_t random) const {
    const std::uint64_t slot = ((random >> 32) * keep_.size()) >> 32;
    return (random & 0xffffffffULL) < keep_[slot] ? static_cast<std::int32_t>(slot) : other_[slot];
  }

 private:
  std::vector<std::uint64_t> keep_;  // of 2^32
  std::vector<std::int32_t> other_;
};

struct VectorNetwork {
  struct Config {
    std::int64_t words = 0;  // V
    std::int64_t width = 100;
    VectorTask task = VectorTask::cbow;
    ContextSum context = ContextSum::mean;
    VectorLoss loss = VectorLoss::negative;
    template <class Self, class Visit>
    static void each(Self& c, Visit&& visit) {
      visit({"words"}, c.words);
      visit({"width", "Numbers of a vector", side_bounds()}, c.width);
      visit({"task", "cbow: a word from those around; skip_gram: each of them alone"}, c.task);
      visit({"context", "cbow: mean or sum of the vectors around"}, c.context);
      visit({"loss", "Negative sampling, or a hierarchical softmax over a tree"}, c.loss);
    }
    void check() const;
  };
  Config config;
  Tensor input;   // [V D], U(−½, ½)/D at first
  Tensor output;  // [V D], zeros at first; hierarchical: [V − 1, D], the tree's inner nodes

  static VectorNetwork make(Initialiser init, const Config& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("input", m.input);
    visit("output", m.output);
  }

  /// CBOW as a layer: the words of each segment -> their mean or sum [B D]. Differentiable.
  Tensor hidden(std::span<const std::int32_t> words, const Segments& contexts) const;
  /// hidden · outputᵀ [B V]: what a softmax over all words would take. Negative sampling only.
  Tensor logits(std::span<const std::int32_t> words, const Segments& contexts) const;
};

/// Where a step gets its targets from.
struct VectorTargets {
  std::vector<HuffmanPath> paths;  // hierarchical
  AliasTable noise;                // negative: counts^¾
  std::int64_t negatives = 5;
};
VectorTargets vector_targets(const VectorNetwork::Config& config,
                             std::span<const std::int64_t> counts, std::int64_t negatives = 5,
                             double power = 0.75);

/// The generator of word2vec.c.
struct LinearCongruence {
  std::uint64_t state = 1;
  std::uint64_t operator()() { return state = state * 25214903917ULL + 11; }
  /// 32 good bits; the low ones have short periods.
  std::uint64_t bits() { return ((*this)() >> 16) & 0xffffffffULL; }
  double uniform() { return static_cast<double>(bits()) * 0x1.0p-32; }
};

/// One step of stochastic descent, as word2vec.c takes it: the context's vectors, averaged or
/// summed, are pulled towards `word` (or along its path) and pushed from drawn words; what they
/// are pulled by is added to each of them (to the mean's parts, too: that is |context| times the
/// gradient). Returns −log p of what was right, from before the step.
class VectorStep {
 public:
  VectorStep(VectorNetwork& model, const VectorTargets& targets)
      : model_(model),
        targets_(targets),
        scratch_(static_cast<std::size_t>(2 * model.config.width)) {}
  /// Without `measure` the result is 0: two logarithms a word would cost more than the step.
  double operator()(std::span<const std::int32_t> context, std::int32_t word, float rate,
                    LinearCongruence& random, bool measure);

 private:
  double towards(const float* h, std::int32_t word, float rate, float* error,
                 LinearCongruence& random);
  VectorNetwork& model_;
  const VectorTargets& targets_;
  std::vector<float> scratch_;  // h and error
  bool measure_ = false;
};

/// Rows of `vectors` [V D] by falling cosine to `query` [D], at most `count`, without `except`.
/// Equal cosines in the order of the rows; a row of zeros has cosine 0.
std::vector<std::pair<std::int32_t, double>> nearest_rows(const Tensor& vectors,
                                                          std::span<const double> query,
                                                          std::int64_t count,
                                                          std::span<const std::int32_t> except);
/// The row divided by its length.
std::vector<double> unit_row(const Tensor& vectors, std::int32_t row);

}  // namespace qkv
