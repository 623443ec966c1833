// Connectionist temporal classification (Graves et al. 2006) over packed sequences: rows of logits
// and a shorter text, without saying which row says what. Label 0 is the blank. A path of T labels
// stands for the text that is left when equal neighbours are joined and blanks then dropped;
//   loss = −log Σ over the paths of the text Π_t softmax(logits_t)[path_t].
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "qkv/tensor/segments.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

struct CtcResult {
  Tensor loss;                  // scalar, differentiable: scale · Σ nll of the possible texts
  double nll_sum = 0;           // unscaled, in order of sequences
  std::vector<double> nll;      // [B]; 0 for an impossible text
  std::int64_t impossible = 0;  // texts that need more rows than there are
};

/// Rows that a text needs: a label each, and a blank between equal neighbours.
std::int64_t ctc_rows(std::span<const std::int32_t> text);

/// logits [T L], `rows` T rows of B sequences, labels of `texts` in [1, L), B texts end to end. A
/// text may be empty: all blanks. One that is impossible (ctc_rows() beyond its rows) gives loss 0,
/// no gradient, and is counted; −∞ among the logits that forbids every path gives an infinite loss
/// without gradient.
CtcResult ctc_loss(const Tensor& logits, const Segments& rows, std::span<const std::int32_t> labels,
                   const Segments& texts, double scale = 1.0);

}  // namespace qkv
