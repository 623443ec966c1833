#include "qkv/decode/language_decoder.h"

#include <algorithm>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"

namespace qkv {
namespace {

std::int64_t bound_of(const Mpt& model, std::int64_t context) {
  const Mpt::Config& c = model.config;
  if (context < 0) fail("language decoder: context is {}", context);
  if (c.learned_pos_emb) {
    return context == 0 ? c.max_seq_len : std::min(context, c.max_seq_len);
  }
  return c.attn_config.linear ? 0 : context;
}

void check(std::span<const std::int32_t> tokens) {
  if (tokens.empty()) fail("language decoder: no token to read");
}

}  // namespace

MptDecoder::MptDecoder(const Mpt& model, std::int64_t context)
    : model_(model),
      context_(bound_of(model, context)),
      head_(model.wte, VocabularyMatrix::table, {}) {}

void MptDecoder::extend(std::span<const std::int32_t> tokens) {
  const auto count = static_cast<std::int64_t>(tokens.size());
  MptBatch batch{.ids = {tokens.begin(), tokens.end()}, .segments = Segments::one(count)};
  const bool first = cache_.length(0) == 0;
  if (model_.config.attn_config.prefix_lm && first) batch.prefix.assign(tokens.size(), 1);
  const Tensor hidden = model_.extend(cache_, batch);
  last_ = hidden.rows(count - 1, count);
}

std::span<const float> MptDecoder::read(std::span<const std::int32_t> tokens) {
  check(tokens);
  const NoRecording off;
  if (context_ > 0) {
    const std::size_t held = recent_.size();
    recent_.insert(recent_.end(), tokens.begin(), tokens.end());
    const auto bound = static_cast<std::size_t>(context_);
    if (recent_.size() > bound) {
      // Half of the window, and always room for the token that made it overflow.
      const std::size_t kept = std::max<std::size_t>(1, bound / 2);
      recent_.erase(recent_.begin(), recent_.end() - static_cast<std::ptrdiff_t>(kept));
      cache_ = MptCache(1);
      extend(recent_);
    } else {
      extend(std::span(recent_).subspan(held));
    }
  } else {
    extend(tokens);
  }
  logits_ = head_.logits(model_.scaled(last_));
  return logits_.values();
}

RnnLanguageDecoder::RnnLanguageDecoder(const RnnLanguage& model)
    : model_(model), head_(model.output_matrix(), model.output_form(), model.output_bias()) {}

std::span<const float> RnnLanguageDecoder::read(std::span<const std::int32_t> tokens) {
  check(tokens);
  const NoRecording off;
  const auto count = static_cast<std::int64_t>(tokens.size());
  RnnLanguage::Result y = model_(tokens, Segments::one(count), states_);
  states_ = std::move(y.last);
  logits_ = head_.logits(y.hidden.rows(count - 1, count));
  return logits_.values();
}

}  // namespace qkv
