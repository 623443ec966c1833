// Label-smoothed cross-entropy over a vocabulary, for a block of rows whose logits are in cache.
// The caller goes through the rows block by block, so that no [T V] tensor ever exists; after the
// call the block holds the gradient of the logits, ready for the two products that consume it.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace qkv::kernels {

/// How the smoothing mass is spread (systems.md S5).
enum class Smoothing : std::uint8_t {
  uniform,     ///< (1−ε)·nll + ε/V·Σ_v −log p_v  (Vaswani et al. 2017; fairseq)
  off_target,  ///< (1−ε)·nll + ε/(V−1)·Σ_{v≠y} −log p_v
};
constexpr std::array<std::string_view, 2> spelling(Smoothing) { return {"uniform", "off_target"}; }

/// For each row r: p = softmax(logits[r]), loss[r] as above for targets[r], nll[r] = −log
/// p[target], correct[r] = 1 when the target is an arg-max. A target of `ignore` gives loss 0, nll
/// 0 and gradient 0. When gradient_scale ≠ 0: logits[r v] ← gradient_scale · (p_v − q_v), q the
/// smoothed target. A row with a non-finite logit gives a non-finite loss (the caller reports it),
/// never a crash.
template <class T>
struct CrossEntropy {
  std::int64_t rows, vocabulary;
  T* logits;                    // [rows V], overwritten when gradient_scale ≠ 0
  const T* bias = nullptr;      // [V] added to the logits first, or null
  const std::int32_t* targets;  // [rows]
  std::int32_t ignore = -1;
  double smoothing = 0;  // ε
  Smoothing form = Smoothing::uniform;
  double gradient_scale = 0;
  T* loss;                          // [rows]
  T* nll;                           // [rows]
  std::uint8_t* correct = nullptr;  // [rows] or null
};

namespace definition {
template <class T>
void cross_entropy(const CrossEntropy<T>& a);
}  // namespace definition

void cross_entropy(const CrossEntropy<float>& a);

/// For beam search. For each row r: the k best of logits[r] + bias by value, ties by the lower
/// index, best first: ids[r k], and scores[r k] = log-softmax of them (log-sum-exp over the whole
/// row, in a fixed order). `suppressed` lists ids that may not be chosen (they still count in the
/// sum). Places that cannot be filled (fewer than k ids allowed, logits of −∞ or NaN) get id −1.
/// Two passes over the row and another over the few blocks that hold the best; nothing of size V is
/// written.
void log_softmax_top_k(std::int64_t rows, std::int64_t vocabulary, const float* logits,
                       const float* bias, int k, const std::int32_t* suppressed,
                       int suppressed_count, std::int32_t* ids, float* scores);
/// log-softmax of one chosen id a row: scores[r] (forced scoring).
void log_softmax_at(std::int64_t rows, std::int64_t vocabulary, const float* logits,
                    const float* bias, const std::int32_t* ids, float* scores);

}  // namespace qkv::kernels
