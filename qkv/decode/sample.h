// Drawing tokens from a model: temperature, top-k, top-p, a penalty for repetition, and a loop that
// asks the model for one token of every text after the other. Token t of a text is a pure function
// of the model, what stands before it, the options and (seed, t).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "qkv/decode/bans.h"
#include "qkv/decode/step_model.h"

namespace qkv {

struct SampleOptions {
  double temperature = 1.0;  // logits are divided by it; 0: always the most likely token
  std::int64_t top_k = 0;    // only the k most likely tokens; 0: all
  double top_p = 1.0;  // only the fewest most likely tokens whose probabilities reach p (Holtzman
                       // et al. 2020); counted after temperature and top_k
  /// Logits of tokens that occurred are divided by it where they are positive and multiplied where
  /// not (Keskar et al. 2019); 1: no penalty.
  double repetition_penalty = 1.0;
  std::int64_t repetition_window = 0;         // how many tokens back an occurrence counts; 0: all
  std::vector<std::int32_t> suppressed = {};  // never drawn
  Bans bans = {};                             // not drawn where they would complete something
  std::uint64_t seed = 1;

  /// Throws with the option's name when a value makes no sense.
  void check() const;
};

/// A token that may be drawn, and its probability.
struct Candidate {
  std::int32_t id;
  double probability;
};

/// What `options` leave of the logits [V], most likely first, equal logits by the lower id; their
/// probabilities sum to 1. `before` are the tokens so far. Throws NumericError when a logit is NaN
/// or +∞, Error when nothing is left.
std::vector<Candidate> candidates(std::span<const float> logits,
                                  std::span<const std::int32_t> before,
                                  const SampleOptions& options);

/// The token at place `index` of a text.
std::int32_t sample(std::span<const float> logits, std::span<const std::int32_t> before,
                    std::int64_t index, const SampleOptions& options);

struct GenerateOptions {
  SampleOptions sample = {};
  std::int64_t max_tokens = 256;              // of a text
  std::int32_t stop = -1;                     // drawing it ends the text (it is not part of it)
  std::vector<std::int32_t> more_stops = {};  // so do these
  std::int64_t batch = 32;                    // texts under way at once
  bool attention = false;                     // DrawnToken::attention is wanted
  bool close = false;  // a text that reaches its limit is told `stop` once more: for its score
};

/// A token of a text under way. The spans last as long as the call that gets them.
struct DrawnToken {
  std::int64_t text = 0;
  std::int32_t token = 0;
  bool ends = false;                      // it is `stop` or one of more_stops
  std::span<const float> logits = {};     // [V], as the model gave them
  std::span<const float> attention = {};  // to the source, where it was asked for
};
/// Gets each token as soon as it is drawn and returns false to end its text.
using DrawSink = std::function<bool(const DrawnToken&)>;

/// What a text to be drawn goes on from.
struct Draw {
  Prompt prompt = {};           // its tokens must not be empty
  std::uint64_t seed = 1;       // in place of options.sample.seed
  std::int64_t max_tokens = 0;  // > 0: in place of options.max_tokens
  std::int64_t min_tokens = 0;  // before so many tokens `stop` is not drawn
};

/// Goes on from all prompts, options.batch at a time; texts that are done leave the batch.
/// Neighbours with the same prompt read it once. A text is a function of the model, its prompt, its
/// seed and the options; not of the other texts, the batch or the number of threads. Returns the
/// tokens drawn.
std::vector<Tokens> generate(const StepModel& model, std::span<const Draw> texts,
                             const GenerateOptions& options, const DrawSink& sink = {});
/// The same for one text and no source, with options.sample.seed.
Tokens generate(const StepModel& model, std::span<const std::int32_t> prompt,
                const GenerateOptions& options, const std::function<bool(std::int32_t)>& sink = {});

}  // namespace qkv
