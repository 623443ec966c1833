#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/ops/choose.h"
#include "qkv/systems/bert_model.h"

namespace qkv {

std::vector<std::vector<BertCandidate>> fill_masks(const BertModel& model, const BertRows& rows,
                                                   int count) {
  const NoRecording off;
  std::vector<std::int64_t> where;
  for (std::size_t t = 0; t < rows.ids.size(); ++t) {
    if (rows.ids[t] == model.pieces.mask()) where.push_back(static_cast<std::int64_t>(t));
  }
  std::vector<std::vector<BertCandidate>> filled(where.size());
  if (where.empty() || count < 1) return filled;
  const Tensor scores = model.network.word_logits(rows, where);
  std::vector<std::int32_t> never;
  for (std::int32_t id = 0; id < model.pieces.size(); ++id) {
    if (model.pieces.is_special(id)) never.push_back(id);
  }
  const auto k = static_cast<std::size_t>(std::min(count, model.pieces.size()));
  std::vector<std::int32_t> ids(where.size() * k);
  std::vector<float> log_p(ids.size());
  choose_tokens(scores, {.count = static_cast<int>(k), .suppressed = never}, ids.data(),
                log_p.data());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0) continue;  // fewer pieces than asked for
    filled[i / k].push_back({ids[i], std::exp(static_cast<double>(log_p[i]))});
    if (std::isnan(log_p[i])) filled[i / k].clear();
  }
  for (std::size_t m = 0; m < filled.size(); ++m) {
    if (!filled[m].empty()) continue;
    fail<NumericError>("fill: the model gives NaN for [MASK] {}; its weights ran away", m + 1);
  }
  return filled;
}

}  // namespace qkv
