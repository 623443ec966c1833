#include "qkv/models/sentence_losses.h"

#include <numeric>
#include <vector>

#include "qkv/base/error.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/features.h"
#include "qkv/ops/heads.h"
#include "qkv/ops/linear.h"
#include "qkv/ops/pieces.h"
#include "qkv/ops/shape.h"
#include "qkv/ops/softmax.h"
#include "qkv/tensor/numbers.h"

namespace qkv {
namespace {

constexpr double kNoCandidate = -1e9;  // e^ of it is 0, and no difference of it is NaN

void check_scores(const Tensor& a, std::span<const double> scores) {
  if (static_cast<std::int64_t>(scores.size()) != a.dim(0)) {
    fail<ShapeError>("sentence loss: {} scores for {} pairs", scores.size(), a.dim(0));
  }
}

}  // namespace

Tensor row_cosines(const Tensor& a, const Tensor& b) {
  return matmul(multiply(unit_rows(a), unit_rows(b)), Tensor::full({a.dim(1), 1}, 1, a.dtype()));
}

Tensor all_cosines(const Tensor& a, const Tensor& b) {
  return matmul(unit_rows(a), transposed(unit_rows(b)));
}

SentenceLossResult ranking_loss(const Tensor& a, const Tensor& b,
                                std::span<const std::uint8_t> hidden, double scale_of_cosines,
                                double factor) {
  if (b.dim(0) < a.dim(0)) {
    fail<ShapeError>("ranking loss: {} candidates for {} rows", b.dim(0), a.dim(0));
  }
  Tensor logits = scale(all_cosines(a, b), scale_of_cosines);
  if (!hidden.empty()) {
    if (static_cast<std::int64_t>(hidden.size()) != logits.count()) {
      fail<ShapeError>("ranking loss: {} marks for {} cosines", hidden.size(), logits.count());
    }
    logits = add(logits, generated(logits.shape(), logits.dtype(), [&](std::int64_t i) {
                   return hidden[static_cast<std::size_t>(i)] != 0 ? kNoCandidate : 0.0;
                 }));
  }
  std::vector<std::int32_t> own(static_cast<std::size_t>(a.dim(0)));
  std::iota(own.begin(), own.end(), 0);
  const CrossEntropyResult r = cross_entropy(logits, own, {.scale = factor});
  return {r.loss, r.nll_sum};
}

SentenceLossResult cosent_loss(const Tensor& a, const Tensor& b, std::span<const double> scores,
                               double scale_of_cosines, double factor) {
  check_scores(a, scores);
  const Tensor cosines = row_cosines(a, b);
  std::vector<std::int64_t> nearer, farther;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    for (std::size_t j = 0; j < scores.size(); ++j) {
      if (!(scores[i] > scores[j])) continue;
      nearer.push_back(static_cast<std::int64_t>(i));
      farther.push_back(static_cast<std::int64_t>(j));
    }
  }
  if (nearer.empty()) return {scale(sum(cosines), 0), 0};  // nothing is said of any two
  const Tensor off = add(scale(select_rows(cosines, farther), scale_of_cosines),
                         scale(select_rows(cosines, nearer), -scale_of_cosines));
  // log(1 + Σ exp(x)) is the cross-entropy of a column of 0 beside them.
  const Tensor columns[] = {Tensor::zeros({1, 1}, a.dtype()),
                            reshape(off, {1, static_cast<std::int64_t>(nearer.size())})};
  const auto count = static_cast<double>(scores.size());
  const std::vector<std::int32_t> first = {0};
  const CrossEntropyResult r =
      cross_entropy(join_columns(columns), first, {.scale = factor * count});
  return {r.loss, r.nll_sum * count};
}

SentenceLossResult cosine_loss(const Tensor& a, const Tensor& b, std::span<const double> scores,
                               double factor) {
  check_scores(a, scores);
  const Tensor cosines = row_cosines(a, b);
  const Tensor off = add(cosines, generated(cosines.shape(), cosines.dtype(), [&](std::int64_t i) {
                           return -scores[static_cast<std::size_t>(i)];
                         }));
  SentenceLossResult result;
  result.loss = scale(sum(multiply(off, off)), factor);
  for (std::int64_t i = 0; i < off.count(); ++i) result.sum += number(off, i) * number(off, i);
  return result;
}

}  // namespace qkv
