// BLEU (Papineni et al. 2002) as sacreBLEU defines it (Post 2018, "A call for clarity in reporting
// BLEU scores"): same tokens, same smoothing, same printed line. Scores are in [0, 100].
//
// Verified against sacreBLEU 2.6.0, whose number stands in the signature: a line printed here can
// be compared with any published one whose signature is equal.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/eval/tokenise.h"

namespace qkv {

/// The version whose definition the scores follow.
inline constexpr std::string_view kSacreBleuVersion = "2.6.0";

/// What to do about an order with no match (Chen and Cherry 2014).
enum class BleuSmoothing {
  none,   // a score of 0
  floor,  // count `smooth_value` matches; default 0.1
  add_k,  // add `smooth_value` to matches and totals of orders 2 and up; default 1
  exp,    // halve the precision for each such order, as mteval-v13a does
};
constexpr std::array<std::string_view, 4> spelling(BleuSmoothing) {
  return {"none", "floor", "add-k", "exp"};
}

struct BleuOptions {
  BleuTokeniser tokeniser = BleuTokeniser::v13a;
  bool lower = false;  // compare in lower case
  BleuSmoothing smoothing = BleuSmoothing::exp;
  std::optional<double> smooth_value = {};
  int max_order = 4;
  bool effective_order = false;  // leave out orders longer than the text; for single sentences
};

/// Throws Error with the list of names: none, floor, add-k, exp.
BleuSmoothing bleu_smoothing(std::string_view name);

struct BleuReport {
  double score = 0.0;
  std::vector<double> precisions;     // per cent, one an order
  std::vector<std::int64_t> matches;  // n-grams found in the references
  std::vector<std::int64_t> totals;   // n-grams of the hypotheses
  double brevity_penalty = 1.0;
  double ratio = 0.0;                 // length / reference_length
  std::int64_t length = 0;            // tokens of the hypotheses
  std::int64_t reference_length = 0;  // tokens of the references closest in length
  std::string signature;              // "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:…"

  /// "69.5/45.8/31.9/22.6 (BP = 1.000 ratio = 1.003 hyp_len = 1000 ref_len = 997)"
  std::string verbose() const;
  /// "BLEU|<signature> = 38.44 <verbose>"
  std::string text(int digits = 2) const;
  /// The object sacreBLEU prints: name, score (rounded), signature, verbose_score and the parts of
  /// the signature.
  std::string json(int digits = 2) const;
};

/// references[k][i] is the k-th reference of hypotheses[i]. Lines may be empty. Throws Error when
/// there is no line or no reference, or when the counts differ (naming both).
BleuReport corpus_bleu(std::span<const std::string> hypotheses,
                       std::span<const std::vector<std::string>> references,
                       const BleuOptions& options = {});
BleuReport corpus_bleu(std::span<const std::string> hypotheses,
                       std::span<const std::string> references, const BleuOptions& options = {});

/// One sentence against one or more references, by default with effective order.
BleuReport sentence_bleu(std::string_view hypothesis, std::span<const std::string> references,
                         const BleuOptions& options = {.effective_order = true});

}  // namespace qkv
