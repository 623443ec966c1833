// What search needs of a model: sources go in once, then every living hypothesis grows by one token
// a step. Search knows nothing of layers and caches, models know nothing of beams.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace qkv {

using Tokens = std::vector<std::int32_t>;

/// What a step shall choose for each living row.
struct Choice {
  int count = 1;                                  // candidates wanted a row
  std::span<const std::int32_t> suppressed = {};  // ids never chosen (they still count in the sum)
  /// Empty, or an id a row: where it is not −1 the row's only candidate is that id.
  std::span<const std::int32_t> forced = {};
};

/// The living rows of one batch; used by one thread.
class StepState {
 public:
  virtual ~StepState() = default;

  /// Row r becomes row parents[r] of the step before, grown by tokens[r]; rows that nobody names
  /// are gone. In the first call parents are indices of sources and tokens <bos>. What a row
  /// computes must not depend on the other rows, not even in its last bit.
  virtual void advance(std::span<const std::int32_t> parents,
                       std::span<const std::int32_t> tokens) = 0;

  /// The best next tokens of the rows as advance() left them: ids and their log-probabilities, both
  /// [rows, choice.count], best first, ties by the lower id. Places that cannot be filled hold the
  /// id −1. Called at most once after each advance().
  virtual void choose(const Choice& choice, std::int32_t* ids, float* log_probabilities) = 0;

  /// How much row r looked at each source token in the last advance(): [source length], as the
  /// model sees the source (with its <eos>). Empty unless the batch was started with attention.
  virtual std::span<const float> attention(std::int64_t row) const = 0;
};

class StepModel {
 public:
  virtual ~StepModel() = default;

  virtual std::int64_t vocabulary() const = 0;
  /// Longest source and target in tokens, <bos> and <eos> not counted.
  virtual std::int64_t max_source() const = 0;
  virtual std::int64_t max_target() const = 0;
  /// Reads the sources (without <eos>; the model adds what it was trained with). Thread-safe.
  virtual std::unique_ptr<StepState> start(std::span<const Tokens* const> sources,
                                           bool with_attention) const = 0;
};

}  // namespace qkv
