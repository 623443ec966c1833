#include "qkv/eval/chrf.h"

#include <unordered_map>
#include <utility>

#include <fmt/core.h>

#include "qkv/base/error.h"
#include "qkv/eval/bleu.h"
#include "qkv/eval/lines.h"
#include "qkv/eval/ngrams.h"
#include "qkv/eval/strings.h"
#include "qkv/text/normalise.h"

namespace qkv {
namespace {

using Counts = ChrfReport::Counts;

bool is_ascii_punctuation(std::string_view character) {
  return character.size() == 1 &&
         std::string_view("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~").find(character[0]) !=
             std::string_view::npos;
}

// Words at white space; one mark is cut off the end of a word, or else off its front.
std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  for (const std::string_view word : split_white(line)) {
    const bool single = first_code_point(word).bytes.size() == word.size();
    if (!single && is_ascii_punctuation(word.substr(word.size() - 1))) {
      words.push_back(word.substr(0, word.size() - 1));
      words.push_back(word.substr(word.size() - 1));
    } else if (!single && is_ascii_punctuation(word.substr(0, 1))) {
      words.push_back(word.substr(0, 1));
      words.push_back(word.substr(1));
    } else {
      words.push_back(word);
    }
  }
  return words;
}

std::vector<std::uint32_t> characters_of(std::string_view line, bool whitespace) {
  std::vector<std::uint32_t> characters;
  for (const CodePoint& c : code_points(line)) {
    if (whitespace || !is_white(c.value)) characters.push_back(c.value);
  }
  return characters;
}

double f_score(std::span<const Counts> counts, const ChrfOptions& options) {
  constexpr double kEpsilon = 1e-16;
  const double factor = static_cast<double>(options.beta) * options.beta;
  double sum_f = 0.0, precision = 0.0, recall = 0.0;
  int present = 0;
  for (const Counts& c : counts) {
    const double matches = static_cast<double>(c.matches);
    const double p = c.hypothesis > 0 ? matches / static_cast<double>(c.hypothesis) : kEpsilon;
    const double r = c.reference > 0 ? matches / static_cast<double>(c.reference) : kEpsilon;
    const double denominator = factor * p + r;
    sum_f += denominator > 0.0 ? (1.0 + factor) * p * r / denominator : kEpsilon;
    if (c.hypothesis > 0 && c.reference > 0) {
      precision += p;
      recall += r;
      ++present;
    }
  }
  if (options.eps_smoothing) return 100.0 * sum_f / static_cast<double>(counts.size());
  if (present == 0 || precision + recall == 0.0) return 0.0;
  precision /= present;
  recall /= present;
  return 100.0 * ((1.0 + factor) * precision * recall / (factor * precision + recall));
}

class Comparison {
 public:
  explicit Comparison(const ChrfOptions& options) : options_(options) {}

  // Counts of rows[0] against the row among the others with the best score.
  std::vector<Counts> best(std::span<const std::string_view> lines) {
    const std::size_t orders = static_cast<std::size_t>(options_.char_order) +
                               static_cast<std::size_t>(options_.word_order);
    std::vector<std::vector<Counts>> all(lines.size() - 1, std::vector<Counts>(orders));
    std::vector<std::vector<std::uint32_t>> characters, words;
    for (const std::string_view raw : lines) {
      const std::string line = options_.lower ? lower_case(raw) : std::string(raw);
      characters.push_back(characters_of(line, options_.whitespace));
      if (options_.word_order > 0) words.push_back(numbers_of(line));
    }
    count(Ngrams(std::move(characters)), options_.char_order, 0, all);
    if (options_.word_order > 0) {
      count(Ngrams(std::move(words)), options_.word_order,
            static_cast<std::size_t>(options_.char_order), all);
    }
    std::size_t chosen = 0;
    double best_score = -1.0;
    for (std::size_t k = 0; k < all.size(); ++k) {
      const double score = f_score(all[k], options_);
      if (score > best_score) {
        best_score = score;
        chosen = k;
      }
    }
    return all[chosen];
  }

 private:
  std::vector<std::uint32_t> numbers_of(std::string_view line) {
    std::vector<std::uint32_t> numbers;
    for (const std::string_view word : words_of(line)) {
      const auto next = static_cast<std::uint32_t>(words_.size());
      numbers.push_back(words_.try_emplace(std::string(word), next).first->second);
    }
    return numbers;
  }

  static void count(Ngrams ngrams, int orders, std::size_t first,
                    std::vector<std::vector<Counts>>& all) {
    for (std::size_t n = 0; n < static_cast<std::size_t>(orders); ++n) {
      ngrams.next_order();
      for (std::size_t k = 0; k < all.size(); ++k) {
        const std::size_t reference = k + 1;
        Counts& c = all[k][first + n];
        c.reference = ngrams.total(reference);
        c.hypothesis = c.reference > 0 ? ngrams.total(0) : 0;
        c.matches = ngrams.matches(0, {&reference, 1});
      }
    }
  }

  const ChrfOptions& options_;
  std::unordered_map<std::string, std::uint32_t> words_;
};

ChrfReport chrf(Lines hypotheses, std::span<const Lines> references, const ChrfOptions& options) {
  check_lines("chrf", hypotheses, references);
  if (options.char_order < 0 || options.word_order < 0 || options.beta < 0 ||
      options.char_order + options.word_order == 0) {
    fail("chrf: char_order {}, word_order {} and beta {} must not be negative, nor all orders 0",
         options.char_order, options.word_order, options.beta);
  }
  ChrfReport report;
  report.name = fmt::format("chrF{}{}", options.beta,
                            std::string(static_cast<std::size_t>(options.word_order), '+'));
  report.signature = fmt::format(
      "nrefs:{}|case:{}|eff:{}|nc:{}|nw:{}|space:{}|version:{}", references.size(),
      options.lower ? "lc" : "mixed", options.eps_smoothing ? "no" : "yes", options.char_order,
      options.word_order, options.whitespace ? "yes" : "no", kSacreBleuVersion);
  report.counts.resize(static_cast<std::size_t>(options.char_order) +
                       static_cast<std::size_t>(options.word_order));
  Comparison comparison(options);
  std::vector<std::string_view> lines(1 + references.size());
  for (std::size_t i = 0; i < hypotheses.size(); ++i) {
    lines[0] = hypotheses[i];
    for (std::size_t k = 0; k < references.size(); ++k) lines[k + 1] = references[k][i];
    const std::vector<Counts> best = comparison.best(lines);
    for (std::size_t n = 0; n < best.size(); ++n) {
      report.counts[n].hypothesis += best[n].hypothesis;
      report.counts[n].reference += best[n].reference;
      report.counts[n].matches += best[n].matches;
    }
  }
  report.score = f_score(report.counts, options);
  return report;
}

}  // namespace

std::string ChrfReport::text(int digits) const {
  return fmt::format("{}|{} = {:.{}f}", name, signature, score, digits);
}

std::string ChrfReport::json(int digits) const {
  return score_json(name, score, digits, signature, "");
}

ChrfReport corpus_chrf(std::span<const std::string> hypotheses,
                       std::span<const std::vector<std::string>> references,
                       const ChrfOptions& options) {
  return chrf(hypotheses, std::vector<Lines>(references.begin(), references.end()), options);
}

ChrfReport corpus_chrf(std::span<const std::string> hypotheses,
                       std::span<const std::string> references, const ChrfOptions& options) {
  return chrf(hypotheses, std::vector<Lines>{references}, options);
}

ChrfReport sentence_chrf(std::string_view hypothesis, std::span<const std::string> references,
                         const ChrfOptions& options) {
  const std::string line(hypothesis);
  std::vector<Lines> sets;
  for (const std::string& reference : references) sets.push_back({&reference, 1});
  return chrf({&line, 1}, sets, options);
}

}  // namespace qkv
