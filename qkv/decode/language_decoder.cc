#include "qkv/decode/language_decoder.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/ops/pieces.h"
#include "qkv/ops/shape.h"

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

void check_start(std::span<const Tokens* const> sources, bool with_attention) {
  if (with_attention) fail("a language model has no source that it could look at");
  for (const Tokens* source : sources) {
    if (!source->empty()) fail("a language model reads a prompt, it has no source");
  }
}

void check_fresh(std::span<const std::int32_t> parents, std::span<const std::int32_t> tokens,
                 const Segments& fresh, std::int64_t rows) {
  if (fresh.count() != static_cast<std::int64_t>(parents.size()) ||
      fresh.total() != static_cast<std::int64_t>(tokens.size())) {
    fail<ShapeError>("language decoder: {} tokens of {} rows for {} rows", tokens.size(),
                     fresh.count(), parents.size());
  }
  for (std::int64_t b = 0; b < fresh.count(); ++b) {
    if (fresh.length(b) == 0) fail("language decoder: no token to read");
  }
  for (const std::int32_t parent : parents) {
    if (parent < 0 || parent >= rows) fail("language decoder: parent {} of {}", parent, rows);
  }
}

Segments one_each(std::size_t rows) { return Segments(std::vector<std::int64_t>(rows, 1)); }

/// The last of each sequence's rows; x itself where each has one.
Tensor last_rows(const Tensor& x, const Segments& segments) {
  if (x.dim(0) == segments.count()) return x;
  std::vector<std::int64_t> last;
  for (std::int64_t b = 0; b < segments.count(); ++b) last.push_back(segments.end(b) - 1);
  return select_rows(x, last);
}

class MptState final : public HiddenRows {
 public:
  MptState(const MptDecoder& decoder, std::size_t rows)
      : HiddenRows(decoder.head()),
        decoder_(decoder),
        cache_(static_cast<std::int64_t>(rows), decoder.options().cache),
        recent_(rows) {}

  void advance(std::span<const std::int32_t> parents,
               std::span<const std::int32_t> tokens) override {
    read(parents, tokens, one_each(parents.size()));
  }

  void read(std::span<const std::int32_t> parents, std::span<const std::int32_t> tokens,
            const Segments& fresh) override {
    check_fresh(parents, tokens, fresh, cache_.rows());
    const NoRecording off;
    std::vector<Tokens> read;
    for (std::int64_t b = 0; b < fresh.count(); ++b) {
      const auto part = tokens.subspan(static_cast<std::size_t>(fresh.begin(b)),
                                       static_cast<std::size_t>(fresh.length(b)));
      read.emplace_back(part.begin(), part.end());
    }
    cache_.reorder(bounded(parents, read));
    const bool prefix = decoder_.model().config.attn_config.prefix_lm;
    hidden_ = decoder_.model().scaled(prefix ? beginnings_first(read) : extended(read, false));
  }

  std::span<const float> attention(std::int64_t) const override { return {}; }

 private:
  /// A prefix and a step differ in who sees whom, so rows that begin go first, by themselves.
  Tensor beginnings_first(std::vector<Tokens>& read) {
    std::vector<Tokens> begin(read.size());
    for (std::size_t b = 0; b < read.size(); ++b) {
      if (cache_.length(static_cast<std::int64_t>(b)) == 0) std::swap(begin[b], read[b]);
    }
    const Tensor first = extended(begin, true), rest = extended(read, false);
    if (!first.defined()) return rest;
    return rest.defined() ? merged(first, begin, rest) : first;
  }

  /// Parents of the rows, −1 where the context is full: there `read` becomes the half of it that
  /// goes in again.
  std::vector<std::int32_t> bounded(std::span<const std::int32_t> parents,
                                    std::vector<Tokens>& read) {
    std::vector<std::int32_t> from(parents.begin(), parents.end());
    if (decoder_.options().context == 0) return from;
    const auto bound = static_cast<std::size_t>(decoder_.options().context);
    std::vector<Tokens> recent;
    for (std::size_t b = 0; b < read.size(); ++b) {
      Tokens held = recent_[static_cast<std::size_t>(parents[b])];
      held.insert(held.end(), read[b].begin(), read[b].end());
      if (held.size() > bound) {
        // Half of the window, and always room for the token that made it overflow.
        const std::size_t kept = std::max<std::size_t>(1, bound / 2);
        held.erase(held.begin(), held.end() - static_cast<std::ptrdiff_t>(kept));
        from[b] = -1;
        read[b] = held;
      }
      recent.push_back(std::move(held));
    }
    recent_ = std::move(recent);
    return from;
  }

  /// The last hidden state of each row that reads something; undefined when none does.
  Tensor extended(const std::vector<Tokens>& read, bool prefix) {
    MptBatch batch;
    std::vector<std::int64_t> lengths, last;
    for (const Tokens& tokens : read) {
      batch.ids.insert(batch.ids.end(), tokens.begin(), tokens.end());
      lengths.push_back(static_cast<std::int64_t>(tokens.size()));
      if (!tokens.empty()) last.push_back(static_cast<std::int64_t>(batch.ids.size()) - 1);
    }
    if (batch.ids.empty()) return {};
    batch.segments = Segments(lengths);
    if (prefix) batch.prefix.assign(batch.ids.size(), 1);
    const Tensor hidden = decoder_.model().extend(cache_, batch);
    return last.size() == batch.ids.size() ? hidden : select_rows(hidden, last);
  }

  /// Rows of `first` where `begin` has tokens, of `rest` elsewhere.
  static Tensor merged(const Tensor& first, const std::vector<Tokens>& begin, const Tensor& rest) {
    const Tensor both[] = {first, rest};
    std::vector<std::int64_t> rows;
    rows.reserve(begin.size());
    std::int64_t at = 0, other = first.dim(0);
    for (const Tokens& tokens : begin) rows.push_back(tokens.empty() ? other++ : at++);
    return select_rows(stack_rows(both), rows);
  }

  const MptDecoder& decoder_;
  MptCache cache_;
  std::vector<Tokens> recent_;  // what the cache holds of each row, where it is bounded
};

class RnnState final : public HiddenRows {
 public:
  RnnState(const RnnLanguageDecoder& decoder, std::size_t rows)
      : HiddenRows(decoder.head()), decoder_(decoder), rows_(static_cast<std::int64_t>(rows)) {}

  void advance(std::span<const std::int32_t> parents,
               std::span<const std::int32_t> tokens) override {
    read(parents, tokens, one_each(parents.size()));
  }

  void read(std::span<const std::int32_t> parents, std::span<const std::int32_t> tokens,
            const Segments& fresh) override {
    check_fresh(parents, tokens, fresh, rows_);
    const NoRecording off;
    const std::vector<std::int64_t> from(parents.begin(), parents.end());
    for (RecurrentState& s : states_) {
      s.h = select_rows(s.h, from);
      if (s.c.defined()) s.c = select_rows(s.c, from);
    }
    RnnLanguage::Result y = decoder_.model()(tokens, fresh, states_);
    states_ = std::move(y.last);
    rows_ = fresh.count();
    hidden_ = last_rows(y.hidden, fresh);
  }

  std::span<const float> attention(std::int64_t) const override { return {}; }

 private:
  const RnnLanguageDecoder& decoder_;
  std::int64_t rows_;
  RecurrentStates states_;  // empty before the first tokens: zeros
};

}  // namespace

MptDecoder::MptDecoder(const Mpt& model, const LanguageDecoderOptions& options)
    : model_(model), options_(options), head_(model.output_matrix(), VocabularyMatrix::table, {}) {
  options_.context = bound_of(model, options.context);
  if (model.config.attn_config.linear && options.cache != CacheOptions{}) {
    fail("language decoder: linear attention keeps a state, no cache with a precision or a window");
  }
  if (options.cache.window < 0) fail("language decoder: window is {}", options.cache.window);
  if (options.cache.window > 0 && model.config.attn_config.prefix_lm) {
    fail("language decoder: a window cannot hold a prefix that is seen by all (prefix_lm)");
  }
}

std::unique_ptr<StepState> MptDecoder::start(std::span<const Tokens* const> sources,
                                             bool with_attention) const {
  check_start(sources, with_attention);
  return std::make_unique<MptState>(*this, sources.size());
}

RnnLanguageDecoder::RnnLanguageDecoder(const RnnLanguage& model,
                                       const LanguageDecoderOptions& options)
    : model_(model), head_(model.output_matrix(), model.output_form(), model.output_bias()) {
  if (options.context < 0) fail("language decoder: context is {}", options.context);
  if (options.cache != CacheOptions{}) {
    fail(
        "language decoder: a recurrent model keeps a state, no cache with a precision or a window");
  }
}

std::unique_ptr<StepState> RnnLanguageDecoder::start(std::span<const Tokens* const> sources,
                                                     bool with_attention) const {
  check_start(sources, with_attention);
  return std::make_unique<RnnState>(*this, sources.size());
}

}  // namespace qkv
