#include "qkv/decode/vocabulary_head.h"

#include "qkv/autograd/tape.h"
#include "qkv/base/dims.h"
#include "qkv/ops/choose.h"

namespace qkv {
VocabularyHead::VocabularyHead(const Tensor& matrix, VocabularyMatrix stored, const Tensor& bias)
    : projection_(stored == VocabularyMatrix::table ? transposed_parameter(matrix) : matrix),
      bias_(bias) {
  if (bias.defined()) {
    Dims("vocabulary head", {{"matrix", projection_.shape(), "C V"}, {"bias", bias.shape(), "V"}});
  }
}

void VocabularyHead::choose(const Tensor& hidden, const Choice& choice, std::int32_t* ids,
                            float* log_probabilities) const {
  choose_tokens(hidden, projection_, bias_, choice, ids, log_probabilities);
}

Tensor VocabularyHead::logits(const Tensor& hidden) const {
  return qkv::logits(hidden, projection_, VocabularyMatrix::projection, bias_);
}

void HiddenRows::choose(const Choice& choice, std::int32_t* ids, float* log_probabilities) {
  const NoRecording off;
  head_.choose(hidden_, choice, ids, log_probabilities);
}

Tensor HiddenRows::logits() {
  const NoRecording off;
  return head_.logits(hidden_);
}

}  // namespace qkv
