#include "qkv/systems/nearest_texts.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/features.h"
#include "qkv/ops/linear.h"
#include "qkv/ops/sequence.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

constexpr std::int64_t kBlock = 4096;  // texts that are compared at once

/// −‖q_i − x‖ or −Σ|q_i − x| for every row of x [N C]: [N 1], the distances not yet roots.
Tensor distances(const Tensor& queries, std::int64_t i, const Tensor& x, Similarity how) {
  const std::vector<std::int64_t> same(static_cast<std::size_t>(x.dim(0)), i);
  const Tensor off = add(x, scale(select_rows(queries, same), -1));
  const Tensor parts =
      how == Similarity::euclidean
          ? multiply(off, off)
          : add(activate(off, Activation::relu), activate(scale(off, -1), Activation::relu));
  return matmul(parts, Tensor::full({x.dim(1), 1}, 1));
}

/// How near each query is to each row of x: [Q N].
std::vector<std::vector<double>> compared(const Tensor& queries, const Tensor& x, Similarity how) {
  std::vector<std::vector<double>> scores(static_cast<std::size_t>(queries.dim(0)));
  if (how == Similarity::cosine || how == Similarity::dot) {
    const Tensor products = matmul(queries, transposed(x));
    const auto width = static_cast<std::size_t>(products.dim(1));
    for (std::size_t i = 0; i < scores.size(); ++i) {
      const auto row = products.values().subspan(i * width, width);
      scores[i].assign(row.begin(), row.end());
    }
    return scores;
  }
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const Tensor far = distances(queries, static_cast<std::int64_t>(i), x, how);
    for (const float d : far.values()) {
      const auto distance = static_cast<double>(d);
      scores[i].push_back(how == Similarity::euclidean ? -std::sqrt(distance) : -distance);
    }
  }
  return scores;
}

/// Takes what is nearest of a block's scores, its first text being `begin`.
void keep_nearest(const std::vector<double>& scores, std::int64_t begin, std::size_t top,
                  std::vector<NearText>& kept) {
  for (std::size_t j = 0; j < scores.size(); ++j) {
    kept.push_back({begin + static_cast<std::int64_t>(j), scores[j]});
  }
  const auto most = std::min(top, kept.size());
  std::partial_sort(kept.begin(), kept.begin() + static_cast<std::ptrdiff_t>(most), kept.end(),
                    [](const NearText& a, const NearText& b) {
                      return std::tuple(-a.score, a.index) < std::tuple(-b.score, b.index);
                    });
  kept.resize(most);
}

}  // namespace

NearestTexts::NearestTexts(Encoder encoder, std::vector<std::string> texts,
                           const NearestOptions& options)
    : encoder_(std::move(encoder)),
      texts_(std::move(texts)),
      options_(options),
      similarity_(options.similarity.value_or(encoder_.similarity())) {
  if (texts_.empty()) fail("there is no text to compare with");
  vectors_ = encoder_.embed(texts_, options_.embed);
  if (similarity_ == Similarity::cosine) vectors_ = rows_of_length_one(vectors_);
}

const std::string& NearestTexts::text(std::int64_t index) const {
  return texts_.at(static_cast<std::size_t>(index));
}

std::vector<std::vector<NearText>> NearestTexts::nearest(
    std::span<const std::string> queries) const {
  const NoRecording off;
  Tensor q = encoder_.embed(queries, options_.embed);
  if (similarity_ == Similarity::cosine) q = rows_of_length_one(q);
  std::vector<std::vector<NearText>> found(queries.size());
  const auto top = static_cast<std::size_t>(std::max<std::int64_t>(0, options_.top));
  for (std::int64_t begin = 0; begin < size() && !queries.empty(); begin += kBlock) {
    const Tensor block = vectors_.rows(begin, std::min(begin + kBlock, size()));
    const std::vector<std::vector<double>> scores = compared(q, block, similarity_);
    for (std::size_t i = 0; i < found.size(); ++i) keep_nearest(scores[i], begin, top, found[i]);
  }
  return found;
}

}  // namespace qkv
