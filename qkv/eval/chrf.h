// chrF and chrF++ (Popović 2015, 2017) as sacreBLEU defines them: an F score over character n-grams
// and, for chrF++, word n-grams. Needs no tokeniser. Scores are in [0, 100]. Verified against
// sacreBLEU 2.6.0.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

struct ChrfOptions {
  int char_order = 6;
  int word_order = 0;  // 2 makes it chrF++
  int beta = 2;        // recall counts beta times as much as precision
  bool lower = false;
  bool whitespace = false;     // white space counts as characters too
  bool eps_smoothing = false;  // mean of F over orders, as chrF++.py, NLTK and Moses have it;
                               // otherwise F of mean precision and recall over the orders present
};

struct ChrfReport {
  /// Of one order: n-grams of the hypotheses (not counted for lines whose reference has none),
  /// of the references, and in both.
  struct Counts {
    std::int64_t hypothesis = 0, reference = 0, matches = 0;
  };
  double score = 0.0;
  std::vector<Counts> counts;  // character orders, then word orders
  std::string name;            // "chrF2", "chrF2++"
  std::string signature;       // "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:…"

  /// "chrF2|<signature> = 53.61"
  std::string text(int digits = 2) const;
  /// As BleuReport::json, without verbose_score.
  std::string json(int digits = 2) const;
};

/// With several references each line is scored against the one it fits best. Throws Error as
/// corpus_bleu does.
ChrfReport corpus_chrf(std::span<const std::string> hypotheses,
                       std::span<const std::vector<std::string>> references,
                       const ChrfOptions& options = {});
ChrfReport corpus_chrf(std::span<const std::string> hypotheses,
                       std::span<const std::string> references, const ChrfOptions& options = {});
ChrfReport sentence_chrf(std::string_view hypothesis, std::span<const std::string> references,
                         const ChrfOptions& options = {});

}  // namespace qkv
