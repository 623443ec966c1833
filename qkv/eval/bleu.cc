#include "qkv/eval/bleu.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <unordered_map>

#include <fmt/core.h>

#include "qkv/base/error.h"
#include "qkv/base/options.h"
#include "qkv/eval/lines.h"
#include "qkv/eval/ngrams.h"
#include "qkv/eval/strings.h"

namespace qkv {
namespace {

double smooth_value(const BleuOptions& options) {
  return options.smooth_value.value_or(options.smoothing == BleuSmoothing::floor ? 0.1 : 1.0);
}

std::string signature_of(const BleuOptions& options, std::size_t references) {
  std::string smooth(name_of(options.smoothing));
  if (options.smoothing == BleuSmoothing::floor || options.smoothing == BleuSmoothing::add_k) {
    smooth += fmt::format("[{:.2f}]", smooth_value(options));
  }
  return fmt::format("nrefs:{}|case:{}|eff:{}|tok:{}|smooth:{}|version:{}", references,
                     options.lower ? "lc" : "mixed", options.effective_order ? "yes" : "no",
                     name_of(options.tokeniser), smooth, kSacreBleuVersion);
}

// Sums matches, totals and lengths over the lines; words are numbered once for the whole text.
class Counter {
 public:
  Counter(const BleuOptions& options, BleuReport& report) : options_(options), report_(report) {
    const std::size_t orders = static_cast<std::size_t>(options.max_order);
    report.matches.assign(orders, 0);
    report.totals.assign(orders, 0);
  }

  // rows[0] is the hypothesis, the others its references.
  void add(std::span<const std::string_view> lines) {
    std::vector<std::vector<std::uint32_t>> rows;
    for (const std::string_view line : lines) rows.push_back(numbers_of(line));
    const std::size_t length = rows[0].size();
    std::vector<std::size_t> references(rows.size() - 1);
    std::iota(references.begin(), references.end(), std::size_t{1});
    report_.length += static_cast<std::int64_t>(length);
    report_.reference_length += closest_length(length, std::span(rows).subspan(1));
    Ngrams ngrams(std::move(rows));
    for (std::size_t n = 0; n < report_.matches.size(); ++n) {
      ngrams.next_order();
      report_.totals[n] += ngrams.total(0);
      report_.matches[n] += ngrams.matches(0, references);
    }
  }

 private:
  std::vector<std::uint32_t> numbers_of(std::string_view line) {
    std::vector<std::uint32_t> numbers;
    for (std::string& word :
         tokenise(options_.lower ? lower_case(line) : std::string(line), options_.tokeniser)) {
      const auto next = static_cast<std::uint32_t>(words_.size());
      numbers.push_back(words_.try_emplace(std::move(word), next).first->second);
    }
    return numbers;
  }

  // Of two equally close lengths the shorter one.
  static std::int64_t closest_length(std::size_t length,
                                     std::span<const std::vector<std::uint32_t>> references) {
    std::int64_t best = -1, best_gap = -1;
    for (const auto& reference : references) {
      const auto size = static_cast<std::int64_t>(reference.size());
      const std::int64_t gap = std::abs(static_cast<std::int64_t>(length) - size);
      if (best < 0 || gap < best_gap || (gap == best_gap && size < best)) {
        best = size;
        best_gap = gap;
      }
    }
    return best;
  }

  const BleuOptions& options_;
  BleuReport& report_;
  std::unordered_map<std::string, std::uint32_t> words_;
};

double brevity_penalty(const BleuReport& report) {
  if (report.length >= report.reference_length) return 1.0;
  if (report.length == 0) return 0.0;
  return std::exp(1.0 - static_cast<double>(report.reference_length) /
                            static_cast<double>(report.length));
}

// From the counts to the score.
void finish(BleuReport& report, const BleuOptions& options) {
  const std::size_t orders = report.matches.size();
  report.precisions.assign(orders, 0.0);
  report.brevity_penalty = brevity_penalty(report);
  if (report.reference_length > 0) {
    report.ratio =
        static_cast<double>(report.length) / static_cast<double>(report.reference_length);
  }
  if (std::all_of(report.matches.begin(), report.matches.end(),
                  [](std::int64_t n) { return n == 0; })) {
    return;  // a score of 0, whatever the smoothing
  }
  const double k = smooth_value(options);
  double halving = 1.0;
  std::size_t used = orders;
  for (std::size_t n = 0; n < orders; ++n) {
    const double added = options.smoothing == BleuSmoothing::add_k && n > 0 ? k : 0.0;
    const double match = static_cast<double>(report.matches[n]) + added;
    const double total = static_cast<double>(report.totals[n]) + added;
    if (total == 0.0) break;
    if (options.effective_order) used = n + 1;
    if (match > 0.0) {
      report.precisions[n] = 100.0 * match / total;
    } else if (options.smoothing == BleuSmoothing::exp) {
      halving *= 2.0;
      report.precisions[n] = 100.0 / (halving * total);
    } else if (options.smoothing == BleuSmoothing::floor) {
      report.precisions[n] = 100.0 * k / total;
    }
  }
  double logs = 0.0;
  for (std::size_t n = 0; n < used; ++n) {
    if (report.precisions[n] == 0.0) return;
    logs += std::log(report.precisions[n]);
  }
  report.score = report.brevity_penalty * std::exp(logs / static_cast<double>(used));
}

BleuReport bleu(Lines hypotheses, std::span<const Lines> references, const BleuOptions& options) {
  check_lines("bleu", hypotheses, references);
  if (options.max_order < 1) fail("bleu: max_order is {}, must be 1 or more", options.max_order);
  BleuReport report;
  report.signature = signature_of(options, references.size());
  Counter counter(options, report);
  std::vector<std::string_view> lines(1 + references.size());
  for (std::size_t i = 0; i < hypotheses.size(); ++i) {
    lines[0] = hypotheses[i];
    for (std::size_t k = 0; k < references.size(); ++k) lines[k + 1] = references[k][i];
    counter.add(lines);
  }
  finish(report, options);
  return report;
}

}  // namespace

BleuSmoothing bleu_smoothing(std::string_view name) {
  for (const BleuSmoothing s :
       {BleuSmoothing::none, BleuSmoothing::floor, BleuSmoothing::add_k, BleuSmoothing::exp}) {
    if (name == name_of(s)) return s;
  }
  fail("bleu: no smoothing '{}'; there are none, floor, add-k and exp", name);
}

std::string BleuReport::verbose() const {
  std::string line;
  for (const double p : precisions) line += fmt::format("{}{:.1f}", line.empty() ? "" : "/", p);
  return line + fmt::format(" (BP = {:.3f} ratio = {:.3f} hyp_len = {} ref_len = {})",
                            brevity_penalty, ratio, length, reference_length);
}

std::string BleuReport::text(int digits) const {
  return fmt::format("BLEU|{} = {:.{}f} {}", signature, score, digits, verbose());
}

std::string BleuReport::json(int digits) const {
  return score_json("BLEU", score, digits, signature, verbose());
}

BleuReport corpus_bleu(std::span<const std::string> hypotheses,
                       std::span<const std::vector<std::string>> references,
                       const BleuOptions& options) {
  return bleu(hypotheses, std::vector<Lines>(references.begin(), references.end()), options);
}

BleuReport corpus_bleu(std::span<const std::string> hypotheses,
                       std::span<const std::string> references, const BleuOptions& options) {
  return bleu(hypotheses, std::vector<Lines>{references}, options);
}

BleuReport sentence_bleu(std::string_view hypothesis, std::span<const std::string> references,
                         const BleuOptions& options) {
  const std::string line(hypothesis);
  std::vector<Lines> sets;
  for (const std::string& reference : references) sets.push_back({&reference, 1});
  return bleu({&line, 1}, sets, options);
}

}  // namespace qkv
