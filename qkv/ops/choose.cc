#include "qkv/ops/choose.h"

#include <algorithm>
#include <vector>

#include "qkv/base/dims.h"
#include "qkv/kernels/loss.h"
#include "qkv/ops/dispatch.h"

namespace qkv {
namespace {

// Rows whose logits are held at once: 4 MiB of them are still in the second-level caches when they
// are ranked, and 32 rows are enough for a product at full speed.
std::int64_t block_rows(std::int64_t vocabulary) {
  return std::max<std::int64_t>(32, (std::int64_t{4} << 20) / (vocabulary * 4) / 32 * 32);
}

/// Ranks blocks of logits.
class Chooser {
 public:
  Chooser(const TokenChoice& choice, std::int64_t rows, std::int64_t words, const Tensor& bias,
          std::int32_t* ids, float* log_probabilities)
      : choice_(choice),
        words_(words),
        bias_(data_or_null<float>(bias)),
        all_forced_(!choice.forced.empty() &&
                    std::ranges::none_of(choice.forced, [](auto id) { return id < 0; })),
        ids_(ids),
        log_probabilities_(log_probabilities) {
    // What cannot be filled stays empty; the kernel is asked for what exists.
    const auto suppressed = static_cast<std::int64_t>(choice.suppressed.size());
    count_ = static_cast<int>(
        std::min<std::int64_t>(choice.count, std::max<std::int64_t>(0, words - suppressed)));
    std::fill_n(ids, rows * choice.count, -1);
    std::fill_n(log_probabilities, rows * choice.count, 0.0f);
  }

  /// z [rows V], the logits without bias of the rows from `begin` on.
  void operator()(std::int64_t begin, std::int64_t rows, const float* z) {
    best_.resize(static_cast<std::size_t>(rows * count_));
    scores_.resize(best_.size());
    if (!all_forced_ && count_ > 0) {
      kernels::log_softmax_top_k(rows, words_, z, bias_, count_, choice_.suppressed.data(),
                                 static_cast<int>(choice_.suppressed.size()), best_.data(),
                                 scores_.data());
    }
    for (std::int64_t i = 0; i < rows; ++i) {
      const std::int64_t r = begin + i;
      std::int32_t* id = ids_ + r * choice_.count;
      float* score = log_probabilities_ + r * choice_.count;
      if (!choice_.forced.empty() && choice_.forced[static_cast<std::size_t>(r)] >= 0) {
        *id = choice_.forced[static_cast<std::size_t>(r)];
        kernels::log_softmax_at(1, words_, z + i * words_, bias_, id, score);
      } else {
        std::copy_n(best_.data() + i * count_, count_, id);
        std::copy_n(scores_.data() + i * count_, count_, score);
      }
    }
  }

 private:
  const TokenChoice& choice_;
  std::int64_t words_;
  const float* bias_;
  bool all_forced_;
  std::int32_t* ids_;
  float* log_probabilities_;
  int count_ = 0;
  std::vector<std::int32_t> best_;
  std::vector<float> scores_;
};

}  // namespace

void choose_tokens(const Tensor& hidden, const Tensor& projection, const Tensor& bias,
                   const TokenChoice& choice, std::int32_t* ids, float* log_probabilities) {
  const Dims d("choose_tokens",
               {{"hidden", hidden.shape(), "R C"}, {"projection", projection.shape(), "C V"}});
  const std::int64_t rows = d["R"], width = d["C"], words = d["V"];
  Chooser choose(choice, rows, words, bias, ids, log_probabilities);
  // Always the same size, however many rows are left, so that the pool holds one such block.
  const std::int64_t block = block_rows(words);
  Tensor logits = Tensor::empty({block, words});
  for (std::int64_t begin = 0; begin < rows; begin += block) {
    const std::int64_t m = std::min(block, rows - begin);
    kernels_for<float>().gemm_nn(m, words, width, hidden.data() + begin * width, width,
                                 projection.data(), words, 0.0f, logits.data(), words);
    choose(begin, m, logits.data());
  }
}

void choose_tokens(const Tensor& logits, const TokenChoice& choice, std::int32_t* ids,
                   float* log_probabilities) {
  const Dims d("choose_tokens", {{"logits", logits.shape(), "R V"}});
  Chooser(choice, d["R"], d["V"], {}, ids, log_probabilities)(0, d["R"], logits.data());
}

}  // namespace qkv
