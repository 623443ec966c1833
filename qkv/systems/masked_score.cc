#include "qkv/systems/masked_score.h"

#include <algorithm>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"

namespace qkv {

MaskVocabulary mask_vocabulary(const BertPieces& pieces) {
  if (pieces.mask() < 0) fail("the vocabulary has no piece [MASK]");
  MaskVocabulary v{.cls = pieces.cls(),
                   .sep = pieces.sep(),
                   .mask = pieces.mask(),
                   .size = pieces.size(),
                   .continues = {}};
  for (std::int32_t id = 0; id < pieces.size(); ++id) {
    v.continues.push_back(pieces.continues(id) ? 1 : 0);
  }
  return v;
}

std::vector<ExampleLength> lengths_of(std::span<const MaskedExample> examples) {
  std::vector<ExampleLength> lengths;
  for (const MaskedExample& e : examples) {
    lengths.push_back({.source = static_cast<std::int64_t>(e.ids.size()), .target = 0});
  }
  return lengths;
}

BertLoss loss_of(const BertModel& model, const MaskedBatch& batch, const BertLossOptions& options) {
  return model.network.loss({batch.ids, batch.types, batch.segments}, batch.where, batch.targets,
                            batch.follows, options);
}

double MaskedScore::loss() const {
  return word_nll / static_cast<double>(std::max<std::int64_t>(1, words));
}

MaskedScore score_masked(const BertModel& model, std::span<const MaskedExample> examples,
                         std::int64_t batch_tokens) {
  const NoRecording off;
  MaskedScore score;
  for (const auto& index : plan_in_order(lengths_of(examples), batch_tokens)) {
    const BertLoss r = loss_of(model, pack(examples, index), {});
    score.word_nll += r.word_sum;
    score.next_nll += r.next_sum;
    score.words += r.words;
    score.right_words += r.right_words;
    score.pairs += r.pairs;
    score.right_pairs += r.right_pairs;
  }
  return score;
}

}  // namespace qkv
