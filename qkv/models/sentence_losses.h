// What teaches an encoder that vectors of like texts are alike, by their cosines:
//   ranking   each text finds its own partner among those of the whole batch: cross-entropy of
//             λ·cos(a_i, b_j) over j (multiple negatives: Henderson et al. 2017)
//   cosent    log(1 + Σ exp(λ(cos_j − cos_i))) over all pairs i that are to be nearer than j (Su
//             2022): only the order of the scores counts
//   cosine    Σ (cos_i − score_i)²
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "qkv/tensor/tensor.h"

namespace qkv {

enum class SentenceLoss : std::uint8_t { ranking, cosent, cosine };
constexpr std::array<std::string_view, 3> spelling(SentenceLoss) {
  return {"ranking", "cosent", "cosine"};
}

struct SentenceLossResult {
  Tensor loss;     // scalar, differentiable: factor · sum
  double sum = 0;  // over the B pairs; of cosent B times the one value
};

/// cos of row i with row i: a, b [B C] -> [B 1]. Rows of zeros give 0.
Tensor row_cosines(const Tensor& a, const Tensor& b);
/// cos of every row of a [B C] with every row of b [M C]: [B M].
Tensor all_cosines(const Tensor& a, const Tensor& b);

/// a [B C], b [M C] with M ≥ B: row i of b belongs to row i of a, rows behind B to none. `hidden`
/// is empty or [B M]: where it is 1 a row of b is no candidate (the same text once more).
SentenceLossResult ranking_loss(const Tensor& a, const Tensor& b,
                                std::span<const std::uint8_t> hidden, double scale,
                                double factor = 1.0);
/// a, b [B C], scores [B]; pairs of equal score say nothing of each other.
SentenceLossResult cosent_loss(const Tensor& a, const Tensor& b, std::span<const double> scores,
                               double scale, double factor = 1.0);
SentenceLossResult cosine_loss(const Tensor& a, const Tensor& b, std::span<const double> scores,
                               double factor = 1.0);

}  // namespace qkv
