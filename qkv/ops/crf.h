// Linear-chain conditional random fields (Lafferty et al. 2001) over packed sequences:
//   score(y) = start[y₁] + Σ_t E_t[y_t] + Σ_t A[y_{t−1}, y_t] + end[y_n],  p(y) = e^score(y) / Z
// An empty sequence has one labelling, with score 0. Emissions of −inf forbid a label; where every
// path is forbidden, log Z and the best score are −inf, and the gradient is 0.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "qkv/tensor/segments.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

/// Which label may follow which: 1 allowed, 0 not. Empty vectors allow everything.
struct TagRules {
  std::vector<std::uint8_t> transition;  // [L·L], row: from, column: to
  std::vector<std::uint8_t> start, end;  // [L]

  bool empty() const { return transition.empty() && start.empty() && end.empty(); }
};

struct CrfWeights {
  Tensor transition;  // A [L L], row: from, column: to; undefined: 0
  Tensor start;       // [L], or undefined
  Tensor end;         // [L], or undefined

  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("transition", m.transition);
    visit("start", m.start);
    visit("end", m.end);
  }
};

struct CrfResult {
  Tensor loss;              // scalar, differentiable: scale · Σ −log p(labels)
  double nll_sum = 0;       // unscaled, added in order of sequences
  std::vector<double> nll;  // [B]
};

/// emissions [T L], labels [T] in [0, L). Differentiable in emissions and weights. Labels that are
/// forbidden have an infinite loss.
CrfResult crf_loss(const Tensor& emissions, const Segments& segments, const CrfWeights& weights,
                   std::span<const std::int32_t> labels, double scale = 1.0,
                   const TagRules& rules = {});

/// log Z of each sequence [B]; not recorded.
std::vector<double> crf_log_partition(const Tensor& emissions, const Segments& segments,
                                      const CrfWeights& weights, const TagRules& rules = {});

/// p of each of these labels at its place, all paths through it together (marginals) [T]; not
/// recorded. 0 where every path is forbidden.
std::vector<double> crf_label_probabilities(const Tensor& emissions, const Segments& segments,
                                            const CrfWeights& weights,
                                            std::span<const std::int32_t> labels,
                                            const TagRules& rules = {});

struct CrfPaths {
  std::vector<std::int32_t> labels;  // [T]; among equals the lowest label, from the end on
  std::vector<double> scores;        // [B]: score(labels)
};
/// The best labelling of each sequence (Viterbi). Where every path is forbidden the labels are
/// those of the largest emissions and the score is −inf.
CrfPaths crf_decode(const Tensor& emissions, const Segments& segments, const CrfWeights& weights,
                    const TagRules& rules = {});

}  // namespace qkv
