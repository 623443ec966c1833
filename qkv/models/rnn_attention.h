// How the decoder of a recurrent translator looks at its source: at all of it, or at a window
// (Luong et al. 2015, local attention).
//
//   monotonic    the window of step t lies around source token p = t
//   predictive   p = S·sigmoid(v·tanh(W h)), S the source's length and h the state that asks; the
//                weights of the window are multiplied by exp(−(j − p)² / 2σ²), σ = D/2, and p
//                learns through it
//
// Key j is in the window when |j − p| ≤ D; tokens of both sides count from 0, the source's <eos> is
// its last. A target longer than its source keeps the last source token as monotonic p. The weights
// of a predictive window do not sum to 1: they say too how near p the words are.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "qkv/attention/attend.h"
#include "qkv/ops/steps.h"
#include "qkv/tensor/segments.h"

namespace qkv {

struct RnnMemory;
struct RnnTranslator;

enum class RnnLocal : std::uint8_t { none, monotonic, predictive };
constexpr std::array<std::string_view, 3> spelling(RnnLocal) {
  return {"none", "monotonic", "predictive"};
}

/// One for a memory and for all steps of a batch; both must outlive it.
class RnnAttention {
 public:
  /// `rows`: of all calls together, while recording.
  RnnAttention(const RnnTranslator& model, const RnnMemory& memory, std::int64_t rows);

  /// States [n H], the rows of sentence b being rows.begin(b) … rows.end(b) -> contexts [n M].
  /// `step`: which target token all rows are at; without it row i of a sentence is at token i.
  Tensor operator()(const Tensor& state, const Segments& rows,
                    std::optional<std::int64_t> step = {});

  /// How much each row looked at each source token in the last call: [n L], L the longest source.
  /// Only after watch().
  void watch() { watching_ = true; }
  const Tensor& weights() const { return weights_; }

 private:
  Tensor places(const Tensor& state, const Segments& rows);
  const Tensor& units();

  const RnnTranslator& model_;
  const RnnMemory& memory_;
  std::vector<StepLinear> query_, local_hidden_, local_place_;  // none or one each
  Tensor keys_, values_;                                        // [Ts 1 A], [Ts 1 M]
  Tensor units_;  // [Ts 1 L]: row j of a sentence is e_j
  Tensor weights_;
  bool watching_ = false;
};

}  // namespace qkv
