// Drawing tokens from a language model: temperature, top-k, top-p, a penalty for repetition, and a
// loop that asks the model for one token after the other. Token t of a text is a pure function of
// the model, what stands before it, the options and (seed, t).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "qkv/decode/language_decoder.h"

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
  SampleOptions sample;
  std::int64_t max_tokens = 256;
  std::int32_t stop = -1;  // drawing it ends the text (it is not part of it)
};

/// Goes on from the prompt, which must not be empty. `sink` gets each token as soon as it is drawn
/// and returns false to end the text. Returns the tokens drawn.
std::vector<std::int32_t> generate(LanguageDecoder& decoder, std::span<const std::int32_t> prompt,
                                   const GenerateOptions& options,
                                   const std::function<bool(std::int32_t)>& sink = {});

}  // namespace qkv
