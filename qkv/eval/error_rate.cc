#include "qkv/eval/error_rate.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/base/utf8.h"
#include "qkv/eval/lines.h"
#include "qkv/eval/strings.h"

namespace qkv {
namespace {

enum class Move : std::uint8_t { match, remove, insert };

/// How each cell of the alignment is reached best, [reference + 1][hypothesis + 1].
class Alignment {
 public:
  Alignment(std::span<const std::string_view> reference,
            std::span<const std::string_view> hypothesis)
      : width_(hypothesis.size() + 1), moves_((reference.size() + 1) * width_) {
    std::vector<std::size_t> above(width_), cost(width_);
    std::iota(above.begin(), above.end(), std::size_t{0});
    for (std::size_t h = 1; h < width_; ++h) moves_[h] = Move::insert;
    for (std::size_t r = 1; r <= reference.size(); ++r) {
      cost[0] = r;
      moves_[r * width_] = Move::remove;
      for (std::size_t h = 1; h < width_; ++h) {
        const std::size_t match = above[h - 1] + (reference[r - 1] == hypothesis[h - 1] ? 0 : 1);
        const std::size_t remove = above[h] + 1, insert = cost[h - 1] + 1;
        cost[h] = std::min({match, remove, insert});
        moves_[r * width_ + h] = match == cost[h]    ? Move::match
                                 : remove == cost[h] ? Move::remove
                                                     : Move::insert;
      }
      std::swap(above, cost);
    }
  }
  Move at(std::size_t r, std::size_t h) const { return moves_[r * width_ + h]; }

 private:
  std::size_t width_;
  std::vector<Move> moves_;
};

/// The units of a line; views into `text`, which becomes what they are cut from.
std::vector<std::string_view> units_of(std::string& text, ErrorUnit unit) {
  std::vector<std::string_view> words = split_white(text);
  if (unit == ErrorUnit::word) return words;
  text = fmt::format("{}", fmt::join(words, " "));
  std::vector<std::string_view> characters;
  for (const CodePoint& c : code_points(text)) characters.push_back(c.bytes);
  return characters;
}

}  // namespace

ErrorCounts& ErrorCounts::operator+=(const ErrorCounts& more) {
  substitutions += more.substitutions;
  deletions += more.deletions;
  insertions += more.insertions;
  reference += more.reference;
  return *this;
}

ErrorCounts count_errors(std::span<const std::string_view> reference,
                         std::span<const std::string_view> hypothesis,
                         std::map<std::pair<std::string, std::string>, std::int64_t>* confusions) {
  constexpr std::size_t kMost = std::size_t{1} << 32;
  if (reference.size() >= kMost / (hypothesis.size() + 1)) {
    fail("error rate: lines of {} and {} units are too long to be aligned", reference.size(),
         hypothesis.size());
  }
  ErrorCounts counts;
  counts.reference = static_cast<std::int64_t>(reference.size());
  const Alignment alignment(reference, hypothesis);
  const auto confuse = [&](std::string_view right, std::string_view given) {
    if (confusions) ++(*confusions)[{std::string(right), std::string(given)}];
  };
  for (std::size_t r = reference.size(), h = hypothesis.size(); r > 0 || h > 0;) {
    const Move move = alignment.at(r, h);
    if (move == Move::match) {
      --r, --h;
      if (reference[r] == hypothesis[h]) continue;
      ++counts.substitutions;
      confuse(reference[r], hypothesis[h]);
    } else if (move == Move::remove) {
      ++counts.deletions;
      confuse(reference[--r], "");
    } else {
      ++counts.insertions;
      confuse("", hypothesis[--h]);
    }
  }
  return counts;
}

ErrorReport error_rate(std::span<const std::string> references,
                       std::span<const std::string> hypotheses, ErrorUnit unit, bool lower) {
  const Lines set = references;
  check_lines(unit == ErrorUnit::word ? "WER" : "CER", hypotheses, std::span(&set, 1));
  ErrorReport report;
  report.unit = unit;
  for (std::size_t i = 0; i < references.size(); ++i) {
    std::string right = lower ? lower_case(references[i]) : references[i];
    std::string given = lower ? lower_case(hypotheses[i]) : hypotheses[i];
    const auto reference = units_of(right, unit), hypothesis = units_of(given, unit);
    const ErrorCounts counts = count_errors(reference, hypothesis, &report.confusions);
    report.counts += counts;
    ++report.lines;
    report.right += counts.errors() == 0 ? 1 : 0;
    if (reference.empty()) {
      ++report.empty_references;
      report.empty_insertions += counts.insertions;
    }
  }
  return report;
}

double ErrorReport::rate() const {
  if (counts.reference > 0) {
    return static_cast<double>(counts.errors()) / static_cast<double>(counts.reference);
  }
  return counts.errors() > 0 ? std::numeric_limits<double>::infinity() : 0.0;
}

std::string ErrorReport::text(std::size_t most) const {
  std::string text = fmt::format(
      "{} {:.2f} % ({} of {}): {} substituted, {} left out, {} put in\n{} of {} lines right\n",
      unit == ErrorUnit::word ? "WER" : "CER", 100 * rate(), counts.errors(), counts.reference,
      counts.substitutions, counts.deletions, counts.insertions, right, lines);
  if (empty_references > 0) {
    text += fmt::format("{} lines without a reference, {} put in there\n", empty_references,
                        empty_insertions);
  }
  using Confusion = std::pair<std::pair<std::string, std::string>, std::int64_t>;
  std::vector<Confusion> all(confusions.begin(), confusions.end());
  std::stable_sort(all.begin(), all.end(),
                   [](const Confusion& a, const Confusion& b) { return a.second > b.second; });
  if (all.size() > most) all.resize(most);
  for (const auto& [pair, count] : all) {
    const auto shown = [](const std::string& unit_text) {
      return unit_text.empty() ? std::string("-") : "'" + unit_text + "'";
    };
    text += fmt::format("{:>6}  {} → {}\n", count, shown(pair.first), shown(pair.second));
  }
  return text;
}

std::string ErrorReport::json() const {
  nlohmann::ordered_json json = {{"name", unit == ErrorUnit::word ? "WER" : "CER"},
                                 {"errors", counts.errors()},
                                 {"reference", counts.reference},
                                 {"substitutions", counts.substitutions},
                                 {"deletions", counts.deletions},
                                 {"insertions", counts.insertions},
                                 {"lines", lines},
                                 {"lines_right", right},
                                 {"empty_references", empty_references},
                                 {"empty_insertions", empty_insertions}};
  json["rate"] = counts.reference > 0 ? nlohmann::ordered_json(rate()) : nlohmann::ordered_json();
  return json.dump();
}

}  // namespace qkv
