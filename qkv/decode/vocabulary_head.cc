#include "qkv/decode/vocabulary_head.h"

#include <algorithm>

#include "qkv/autograd/tape.h"
#include "qkv/base/dims.h"
#include "qkv/kernels/gemm.h"
#include "qkv/kernels/loss.h"

namespace qkv {
namespace {

// Rows whose logits are held at once: 4 MiB of them are still in the second-level caches when they
// are ranked, and 32 rows are enough for a product at full speed.
std::int64_t block_rows(std::int64_t vocabulary) {
  return std::max<std::int64_t>(32, (std::int64_t{4} << 20) / (vocabulary * 4) / 32 * 32);
}

}  // namespace

VocabularyHead::VocabularyHead(const Tensor& matrix, VocabularyMatrix stored, const Tensor& bias)
    : projection_(stored == VocabularyMatrix::table ? transposed_parameter(matrix) : matrix),
      bias_(bias) {
  if (bias.defined()) {
    Dims("vocabulary head", {{"matrix", projection_.shape(), "C V"}, {"bias", bias.shape(), "V"}});
  }
}

void VocabularyHead::choose(const Tensor& hidden, const Choice& choice, std::int32_t* ids,
                            float* log_probabilities) const {
  const Dims d("vocabulary head",
               {{"hidden", hidden.shape(), "R C"}, {"matrix", projection_.shape(), "C V"}});
  const std::int64_t rows = d["R"], width = d["C"], words = d["V"];
  const auto suppressed = static_cast<std::int64_t>(choice.suppressed.size());
  // What cannot be filled stays empty; the kernel is asked for what exists.
  const auto count = static_cast<int>(
      std::min<std::int64_t>(choice.count, std::max<std::int64_t>(0, words - suppressed)));
  const bool all_forced =
      !choice.forced.empty() && std::ranges::none_of(choice.forced, [](auto id) { return id < 0; });
  std::fill_n(ids, rows * choice.count, -1);
  std::fill_n(log_probabilities, rows * choice.count, 0.0f);

  // Always the same size, however many rows are left, so that the pool holds one such block.
  const std::int64_t block = block_rows(words);
  Tensor logits = Tensor::empty({block, words});
  const float* bias = bias_.defined() ? bias_.data() : nullptr;
  std::vector<std::int32_t> best(static_cast<std::size_t>(std::min(rows, block) * count));
  std::vector<float> scores(best.size());
  for (std::int64_t begin = 0; begin < rows; begin += block) {
    const std::int64_t m = std::min(block, rows - begin);
    float* z = logits.data();
    kernels::gemm_nn(m, words, width, hidden.data() + begin * width, width, projection_.data(),
                     words, 0.0f, z, words);
    if (!all_forced && count > 0) {
      kernels::log_softmax_top_k(m, words, z, bias, count, choice.suppressed.data(),
                                 static_cast<int>(suppressed), best.data(), scores.data());
    }
    for (std::int64_t i = 0; i < m; ++i) {
      const std::int64_t r = begin + i;
      std::int32_t* id = ids + r * choice.count;
      float* score = log_probabilities + r * choice.count;
      if (!choice.forced.empty() && choice.forced[static_cast<std::size_t>(r)] >= 0) {
        *id = choice.forced[static_cast<std::size_t>(r)];
        kernels::log_softmax_at(1, words, z + i * words, bias, id, score);
      } else {
        std::copy_n(best.data() + i * count, count, id);
        std::copy_n(scores.data() + i * count, count, score);
      }
    }
  }
}

Tensor VocabularyHead::logits(const Tensor& hidden) const {
  return qkv::logits(hidden, projection_, VocabularyMatrix::projection, bias_);
}

}  // namespace qkv
