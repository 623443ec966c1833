// What decoding needs of a model, translator or language model: texts go in, then every living row
// grows by tokens. Policies (beam search, drawing, scoring) know nothing of layers and caches,
// models know nothing of beams.
//
//   model          its source    a row begins with
//   translator     a sentence    <bos>, or <bos> and a part of the translation
//   language model none          the prompt
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "qkv/ops/choose.h"
#include "qkv/tensor/segments.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

using Tokens = std::vector<std::int32_t>;

/// What one text goes on from.
struct Prompt {
  Tokens tokens = {};  // empty: <bos>, where there is one
  Tokens source = {};  // of a model that reads_sources(), without <eos>
};

/// What a step shall choose for each living row.
using Choice = TokenChoice;

/// The living rows of one batch; used by one thread.
class StepState {
 public:
  virtual ~StepState() = default;

  /// Row r becomes row parents[r] of the step before, grown by tokens[r]; rows that nobody names
  /// are gone. In the first call parents are indices of sources. What a row computes must not
  /// depend on the other rows, not even in its last bit.
  virtual void advance(std::span<const std::int32_t> parents,
                       std::span<const std::int32_t> tokens) = 0;

  /// The same with fresh.length(r) tokens of row r, at least one, end to end: a prompt. Gives what
  /// one token after the other would. A model that reads one token of every row at a time takes
  /// rows of one length only and throws Error for others.
  virtual void read(std::span<const std::int32_t> parents, std::span<const std::int32_t> tokens,
                    const Segments& fresh);

  /// The best next tokens of the rows as they stand: ids and their log-probabilities, both [rows,
  /// choice.count], best first, ties by the lower id. Places that cannot be filled hold the id −1.
  virtual void choose(const Choice& choice, std::int32_t* ids, float* log_probabilities) = 0;

  /// The logits of the next token of every row [rows V], for those who draw.
  virtual Tensor logits() = 0;

  /// How much row r looked at each source token when it read its last token: [source length], as
  /// the model sees the source (with its <eos>). Empty unless the batch was started with attention.
  virtual std::span<const float> attention(std::int64_t row) const = 0;
};

class StepModel {
 public:
  /// The limit of a model that has none.
  static constexpr std::int64_t kUnlimited = std::int64_t{1} << 40;

  virtual ~StepModel() = default;

  virtual std::int64_t vocabulary() const = 0;
  /// Whether there is a source; without one sources are empty and only their number counts.
  virtual bool reads_sources() const { return true; }
  /// Whether it puts an <eos> at the end of every source, which then counts in rows of attention.
  virtual bool ends_sources() const { return true; }
  /// Longest source and target in tokens, <bos> and <eos> not counted.
  virtual std::int64_t max_source() const = 0;
  virtual std::int64_t max_target() const = 0;
  /// Reads the sources (without <eos>; the model adds what it was trained with). Thread-safe.
  virtual std::unique_ptr<StepState> start(std::span<const Tokens* const> sources,
                                           bool with_attention) const = 0;
};

/// Lets a batch begin: row r goes on from source[r] by the tokens of its prompt, {bos} where it is
/// empty.
void read_prompts(StepState& state, std::span<const std::int32_t> source,
                  std::span<const Prompt* const> prompts, std::int32_t bos);

}  // namespace qkv
