// Many sentences at once: batches by a budget of tokens, like lengths together, one batch a thread,
// results in the order of the input. Which sentences share a batch, and on how many threads,
// changes no bit of any result.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "qkv/base/progress.h"
#include "qkv/decode/sample.h"
#include "qkv/decode/search.h"

namespace qkv {

struct BatchTranslatorOptions {
  SearchOptions search = {};
  std::optional<SampleOptions> sample = {};  // draws (draw.h) in place of searching
  // What is translated at once, by all threads together: more is faster up to a point (about 32
  // sentences a thread) and takes more memory.
  std::int64_t batch_tokens = 4096;  // source tokens, <eos> counted
  std::int64_t batch_sentences = 64;
  std::int64_t window = 2048;  // sentences that a stream reads before it answers
};

struct Decoded {
  std::vector<Hypothesis> best;  // at most n_best; an empty source has one empty hypothesis
  std::int64_t cut = 0;          // source tokens dropped because the model cannot hold more
};

/// Where a stream of sentences comes from.
struct SentenceSource {
  /// The next sentence; nothing at the end.
  std::function<std::optional<Tokens>()> next;
  /// Whether another sentence (or the end) can be had without waiting; empty: always. When it says
  /// no, what was read is answered first, so that a person at a terminal gets an answer a line.
  std::function<bool()> ready = {};
};

/// Gets the answers, in order, on the caller's thread.
using DecodedSink = std::function<void(std::int64_t index, const Decoded&)>;

class BatchTranslator {
 public:
  /// The model must outlive it. Throws when the options make no sense.
  BatchTranslator(const StepModel& model, BatchTranslatorOptions options);

  /// One translation a source. Progress counts sentences and may be reported from any thread, one
  /// at a time. Exceptions of sink or progress end the work and reach the caller.
  std::vector<Decoded> translate(std::span<const Tokens> sources,
                                 const ProgressSink& progress = {}) const;
  /// Reads, translates and answers window by window, so memory does not grow with the stream.
  /// Returns how many sentences there were.
  std::int64_t stream(const SentenceSource& source, const DecodedSink& sink,
                      const ProgressSink& progress = {}) const;
  /// Forced scoring (score.h) of sources[i] with targets[i], in batches.
  std::vector<Hypothesis> score(std::span<const Tokens> sources, std::span<const Tokens> targets,
                                const ProgressSink& progress = {}) const;

 private:
  const StepModel& model_;
  BatchTranslatorOptions options_;
};

}  // namespace qkv
