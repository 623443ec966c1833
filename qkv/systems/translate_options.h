// How a translator is asked: search or draws, lengths, languages.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "qkv/attention/cache_storage.h"
#include "qkv/base/options.h"

namespace qkv {

enum class PenaltyForm : std::uint8_t {
  power,  ///< |Y|^a
  gnmt,   ///< ((5 + |Y|) / 6)^a (Wu et al. 2016)
};
constexpr std::array<std::string_view, 2> spelling(PenaltyForm) { return {"power", "gnmt"}; }

enum class StopRule : std::uint8_t {
  full,    ///< as soon as `beam` translations have finished
  likely,  ///< when the best living one would lose if it ended now
  exact,   ///< only when the result is certain
  worst,   ///< when the best offer of a step would lose to the worst of `beam` finished ones
};
constexpr std::array<std::string_view, 4> spelling(StopRule) {
  return {"full", "likely", "exact", "worst"};
}

enum class LimitRule : std::uint8_t {
  ends,  ///< takes the end, with its probability
  free,  ///< takes the end, which costs nothing there
  cut,   ///< stays without an end
};
constexpr std::array<std::string_view, 3> spelling(LimitRule) { return {"ends", "free", "cut"}; }

struct TranslateOptions {
  int beam = 4;  // 1: greedy
  int n_best = 1;
  double length_penalty = 1.0;
  PenaltyForm penalty_form = PenaltyForm::power;
  double coverage_penalty = 0.0;  // β of the penalty for source words that were not looked at
  StopRule stop = StopRule::full;
  std::int64_t max_length = 0;  // tokens; 0: by the source
  double max_factor = 2.0;      // tokens a source token, and ten more
  std::int64_t min_length = 0;
  LimitRule at_limit = LimitRule::ends;
  std::int64_t no_repeat_ngram_size = 0;  // no so many tokens in a row occur twice; 0: they may
  std::string prefix = {};  // what every translation goes on from; no length counts it
  // Of models for several languages; empty: what the directory says.
  std::string source_language = {}, target_language = {};
  bool sentences = false;        // each sentence of a text by itself; its lines stay lines
  bool replace_unknown = false;  // by the source token that it looks at most
  bool attention = false;        // fill Candidate::attention
  std::int64_t layer = -2;       // whose cross-attention; negative: from the last
  std::int64_t head = -1;        // -1: the mean of all
  bool sample = false;           // draw the translation instead of searching for it
  double temperature = 1.0;
  std::int64_t top_k = 0;
  double top_p = 1.0;
  std::uint64_t seed = 1;
  CacheType cache = CacheType::f32;  // precision of keys and values; recurrent networks have none
  std::int64_t window = 0;           // > 0: how many of its own tokens back a translation sees
  std::int64_t batch_tokens = 4096;
  std::int64_t batch_sentences = 64;

  /// Files from before may lack them.
  static bool added_later(std::string_view name) {
    return name == "no_repeat_ngram_size" || name == "prefix";
  }
  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"beam", "Width of the beam; 1 is greedy", between(1, 1024)}, o.beam);
    visit({"n_best", "Translations a line: \"line ||| text ||| score\"", between(1, 1024)},
          o.n_best);
    visit({"length_penalty", "Exponent of the length normalisation", between(-100, 100)},
          o.length_penalty);
    visit({"penalty_form", "power: |Y|^a; gnmt: ((5 + |Y|) / 6)^a"}, o.penalty_form);
    visit({"coverage_penalty", "Weight of the penalty for source words that were not looked at",
           non_negative()},
          o.coverage_penalty);
    visit({"stop", "full: after `beam` finished ones; likely; exact; worst"}, o.stop);
    visit({"max_length", "Most tokens of a translation (0: by the source)", between(0, 1e9)},
          o.max_length);
    visit({"max_factor", "Most tokens a source token", non_negative()}, o.max_factor);
    visit({"min_length", "Fewest tokens of a translation", between(0, 1e9)}, o.min_length);
    visit({"at_limit", "What a translation of the greatest length does: ends, free, cut"},
          o.at_limit);
    visit({"no_repeat_ngram_size", "No so many tokens in a row occur twice (0: they may)",
           between(0, 1e9)},
          o.no_repeat_ngram_size);
    visit({"prefix", "What every translation begins with"}, o.prefix);
    visit({"source_language", "Of models for several languages"}, o.source_language);
    visit({"target_language", "Of models for several languages"}, o.target_language);
    visit({"sentences", "Lines hold several sentences: each is translated by itself"}, o.sentences);
    visit({"replace_unknown", "Unknown tokens become the source token that they look at most"},
          o.replace_unknown);
    visit({"layer", "Whose cross-attention; negative: from the last", between(-1e6, 1e6)}, o.layer);
    visit({"head", "Which head; -1: their mean", between(-1, 1e6)}, o.head);
    visit({"sample", "Draw translations instead of searching for the best"}, o.sample);
    visit({"temperature", "With --sample: below 1 likelier tokens gain; 0: always the likeliest",
           non_negative()},
          o.temperature);
    visit(
        {"top_k", "With --sample: draw from the k likeliest tokens (0: from all)", between(0, 1e9)},
        o.top_k);
    visit({"top_p",
           "With --sample: draw from the likeliest tokens that reach this mass",
           {.least = 0, .most = 1, .open_least = true}},
          o.top_p);
    visit({"seed", "Of the draws"}, o.seed);
    visit({"cache", "What keys and values are kept in; bf16 and int8 take less memory"}, o.cache);
    visit({"window", "A translation sees itself and so many of its tokens before (0: all)",
           between(0, 1e9)},
          o.window);
    visit({"batch_tokens", "Source tokens a batch", between(1, 1e9)}, o.batch_tokens);
    visit({"batch_sentences", "Sentences a batch, at most", between(1, 1e6)}, o.batch_sentences);
  }
};

}  // namespace qkv
