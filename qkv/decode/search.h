// Beam search, with greedy search as its beam of one.
//
// Each step every living hypothesis of a sentence offers its beam + 1 best tokens. All offers are
// ranked by the sum of log-probabilities, ties by the better-ranked parent, then by the lower id.
// An <eos> among the first `beam` offers finishes a hypothesis; the first `beam` other offers live
// on. So finished hypotheses do not narrow the beam (as in fairseq). A hypothesis that has reached
// the maximum length can only finish, and pays the true log-probability of <eos>: all scores are
// log-probabilities of complete sentences.
//
// A sentence ends by rules that see nothing but itself, whichever comes first:
//   1. nothing lives on: the maximum length is reached;
//   2. Stop::full (default): `beam` hypotheses have finished;
//   3. n_best have finished and no living hypothesis can still beat the n_best-th of them. Its
//      score is bounded by its present sum, normalised at the maximum length (log-probabilities and
//      what coverage adds are never positive, so this cannot change the result), or at its present
//      length with Stop::likely. Stop::worst takes the beam-th finished one in its place.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "qkv/decode/bans.h"
#include "qkv/decode/step_model.h"

namespace qkv {

/// What divides the sum of log-probabilities of a sentence of |Y| tokens, <eos> counted.
struct LengthPenalty {
  enum class Kind : std::uint8_t {
    power,  ///< |Y|^α: α = 1 is the mean (fairseq's --lenpen)
    gnmt,   ///< ((5 + |Y|) / 6)^α (Wu et al. 2016)
  };
  Kind kind = Kind::power;
  double alpha = 1.0;  // 0: none; negative values favour short sentences

  double operator()(std::int64_t length) const;
};

/// What each source token received from all steps of a translation (its <eos> is the last): the
/// sums of the columns of attention [steps, sources].
std::vector<double> coverage_of(std::span<const float> attention, std::int64_t sources);
/// Σ log min(coverage, 1) over the words of the source, its <eos> left out (Wu et al. 2016): 0 when
/// every word was looked at, negative when some were left out. One that got nothing at all, which
/// attention to a window can do, counts as 1e-4: such a translation shall rank low, not be lost.
/// Without `ended` the last one is a word too.
double coverage_penalty(std::span<const double> coverage, bool ended = true);

enum class Stop : std::uint8_t {
  full,    ///< as soon as `beam` hypotheses have finished (fairseq, CTranslate2)
  likely,  ///< when the best living one would lose if it ended now
  exact,   ///< only when the result is certain; may walk to the maximum length
  worst,   ///< when `beam` have finished and the worst of the best `beam` beats what the best offer
           ///< of a step is worth at its length (Hugging Face without early_stopping)
};

/// What a hypothesis that has reached the greatest length does.
enum class AtLimit : std::uint8_t {
  ends,  ///< takes <eos> and pays for it
  free,  ///< takes <eos>, which costs nothing there (Hugging Face's forced_eos_token_id)
  cut,   ///< ends as it stands, without <eos> (Hugging Face, CTranslate2)
};

struct SearchOptions {
  int beam = 4;    // 1: greedy
  int n_best = 1;  // hypotheses returned; at most `beam`
  LengthPenalty penalty = {};
  // β ≥ 0: β·coverage_penalty() is added to the score of a finished hypothesis. It ranks them, the
  // beam knows nothing of it. Needs a model with attention.
  double coverage = 0.0;
  Stop stop = Stop::full;
  std::int32_t bos = 1;
  std::int32_t eos = 2;  // −1: there is none, hypotheses end at the greatest length alone
  std::vector<std::int32_t> more_eos = {};    // end a hypothesis as well
  std::vector<std::int32_t> suppressed = {};  // never produced, e.g. <pad>, <bos>, <unk>
  Bans bans = {};  // of what would be completed, the prompt or <bos> and `begin` counted
  // Tokens without <eos>, from a source of S tokens: at most factor·S + extra, but at least 1, at
  // most max_length (0: no such limit) and at most what the model can hold. Twice the source and
  // ten covers every pair of languages here (characters of Chinese for sub-words of English are
  // 1.5) and ends a model that rambles; very short sources need the ten.
  double max_factor = 2.0;
  std::int64_t max_extra = 10;
  std::int64_t max_length = 0;
  // At least min_factor·S + min_length; the maximum wins.
  double min_factor = 0.0;
  std::int64_t min_length = 0;
  AtLimit at_limit = AtLimit::ends;
  // What every hypothesis begins with, at no cost: a language's token. It counts in all lengths and
  // is a part of Hypothesis::tokens.
  Tokens begin = {};
  // What they go on from behind that, a beginning that somebody else has written: it counts in no
  // length, and is a part of Hypothesis::tokens. Of models with a source.
  Tokens prefix = {};
  bool attention = false;  // fill Hypothesis::attention

  struct Lengths {
    std::int64_t least, most;
  };
  /// Of what a prompt of `prompt` tokens with a source of `source` goes on to. Throws where the
  /// model cannot hold more.
  Lengths lengths(const StepModel& model, std::int64_t source, std::int64_t prompt) const;
  /// Whether a token ends a hypothesis.
  bool ends(std::int32_t token) const {
    return token == eos || std::ranges::find(more_eos, token) != more_eos.end();
  }
  /// Whether a model's attention is asked for.
  bool looks() const { return attention || coverage != 0.0; }
  /// Throws with the field's name when a value makes no search.
  void check(std::int64_t vocabulary) const;
};

struct Hypothesis {
  Tokens tokens;                    // without <bos> and <eos>
  double score = 0;                 // log_probability / penalty(token_scores) + coverage's part
  double log_probability = 0;       // Σ token_scores, in order
  std::vector<float> token_scores;  // of each token, then of <eos> where there is one
  // Row t: how much the decoder looked at each source token when it chose token t, the last row for
  // <eos> (zeros where it was cut): [tokens + 1, sources], with sources counting what the model put
  // at the end. Empty unless wanted.
  std::vector<float> attention;
  std::int64_t sources = 0;
};

/// Hypotheses of what each prompt goes on to (its own tokens are no part of them), best first. A
/// model without a source writes at most max_length tokens, or max_extra where that is 0. Attention
/// rows begin with that of the prompt's last token.
std::vector<std::vector<Hypothesis>> search(const StepModel& model, std::span<const Prompt> prompts,
                                            const SearchOptions& options);
/// Hypotheses of each source, best first (ties by the earlier finish), all different. Throws
/// NumericError when the model gives NaN. An empty source is searched like any other.
std::vector<std::vector<Hypothesis>> search(const StepModel& model,
                                            std::span<const Tokens* const> sources,
                                            const SearchOptions& options);
std::vector<std::vector<Hypothesis>> search(const StepModel& model, std::span<const Tokens> sources,
                                            const SearchOptions& options);

}  // namespace qkv
