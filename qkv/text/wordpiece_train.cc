// Learning a WordPiece vocabulary: pairs of pieces are joined by falling count.
#include <algorithm>
#include <map>
#include <queue>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/text/normalise.h"
#include "qkv/text/wordpiece.h"

namespace qkv {
namespace {

// Longer words are numbers, addresses and noise.
constexpr std::size_t kLongestLearnt = 64;

using Pair = std::pair<std::int32_t, std::int32_t>;
struct PairHash {
  std::size_t operator()(const Pair& p) const {
    return static_cast<std::size_t>(static_cast<std::uint64_t>(p.first) * 0x9e3779b97f4a7c15ULL ^
                                    static_cast<std::uint64_t>(p.second));
  }
};

/// The words of a text as pieces, and how often each pair stands side by side.
class Joiner {
 public:
  explicit Joiner(const TokenCounts& counts) {
    // In order of their text, so that nothing depends on the hash table.
    const std::map<std::string, std::int64_t> sorted(counts.begin(), counts.end());
    std::map<std::string, std::int64_t> letters;
    std::vector<std::vector<std::string>> spelt;
    for (const auto& [word, count] : sorted) {
      const std::vector<CodePoint> points = code_points(word);
      if (points.size() > kLongestLearnt) continue;
      spelt.emplace_back();
      for (const CodePoint& c : points) {
        spelt.back().push_back((spelt.back().empty() ? "" : "##") + std::string(c.bytes));
        letters[spelt.back().back()] += count;
      }
      counts_.push_back(count);
    }
    for (const auto& letter : letters) (void)number_of(letter.first);
    for (std::size_t w = 0; w < spelt.size(); ++w) {
      words_.emplace_back();
      for (const std::string& letter : spelt[w]) words_.back().push_back(number_of(letter));
      count_pairs(w, 1);
    }
    flush();
  }

  /// Joins the pair that occurs most often, at least `least` times; false when there is none.
  bool join(std::int64_t least) {
    while (!queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      const auto found = pairs_.find(best.pair);
      if (found == pairs_.end() || found->second.count != best.count) continue;  // out of date
      if (best.count < least) return false;
      apply(best.pair);
      return true;
    }
    return false;
  }

  std::vector<std::string> pieces;

 private:
  struct Candidate {
    std::int64_t count;
    std::string text;  // of both, so that equal counts have an order of their own
    Pair pair;
    bool operator<(const Candidate& other) const {
      return std::tie(count, other.text, other.pair) < std::tie(other.count, text, pair);
    }
  };
  struct Occurrences {
    std::int64_t count = 0;
    std::unordered_set<std::size_t> words;
  };

  const std::string& text(std::int32_t id) const { return pieces[static_cast<std::size_t>(id)]; }

  /// Two ways of joining may give one piece: it has one number.
  std::int32_t number_of(const std::string& piece) {
    const auto [found, fresh] = numbers_.emplace(piece, static_cast<std::int32_t>(pieces.size()));
    if (fresh) pieces.push_back(piece);
    return found->second;
  }

  void count_pairs(std::size_t word, std::int64_t sign) {
    const std::vector<std::int32_t>& w = words_[word];
    for (std::size_t i = 0; i + 1 < w.size(); ++i) {
      const Pair pair{w[i], w[i + 1]};
      Occurrences& o = pairs_[pair];
      o.count += sign * counts_[word];
      if (sign > 0) o.words.insert(word);
      touched_.insert(pair);
    }
  }

  /// Tells the queue about pairs whose counts changed.
  void flush() {
    for (const Pair& pair : touched_) {
      const auto found = pairs_.find(pair);
      if (found->second.count > 0) {
        queue_.push({found->second.count, text(pair.first) + " " + text(pair.second), pair});
      } else {
        pairs_.erase(found);
      }
    }
    touched_.clear();
  }

  void apply(const Pair& pair) {
    const std::int32_t joined = number_of(text(pair.first) + text(pair.second).substr(2));
    const std::unordered_set<std::size_t> where = pairs_.at(pair).words;
    for (const std::size_t w : where) {
      std::vector<std::int32_t>& word = words_[w];
      if (std::adjacent_find(word.begin(), word.end(), [&](std::int32_t a, std::int32_t b) {
            return Pair{a, b} == pair;
          }) == word.end()) {
        continue;  // it was there once
      }
      count_pairs(w, -1);
      std::vector<std::int32_t> next;
      for (std::size_t i = 0; i < word.size(); ++i) {
        const bool both = i + 1 < word.size() && Pair{word[i], word[i + 1]} == pair;
        next.push_back(both ? joined : word[i]);
        i += both;
      }
      word = std::move(next);
      count_pairs(w, 1);
    }
    flush();
  }

  std::vector<std::vector<std::int32_t>> words_;
  std::vector<std::int64_t> counts_;
  std::unordered_map<Pair, Occurrences, PairHash> pairs_;
  std::unordered_set<Pair, PairHash> touched_;
  std::priority_queue<Candidate> queue_;
  std::unordered_map<std::string, std::int32_t> numbers_;
};

}  // namespace

WordPiece WordPiece::train(const WordPieceOptions& options,
                           std::span<const std::string> sentences) {
  TokenCounts counts;
  for (const std::string& sentence : sentences) {
    for (const std::string& word : basic_tokens(sentence, options.lower)) count_token(counts, word);
  }
  if (counts.empty()) fail("wordpiece: there is no text to learn pieces from");
  WordPiece blank;
  std::vector<std::string> pieces;
  pieces.reserve(static_cast<std::size_t>(blank.size()));
  for (std::int32_t id = 0; id < blank.size(); ++id) pieces.push_back(blank.piece(id));
  const auto limit = static_cast<std::size_t>(std::max(options.vocabulary_size, 0));
  Joiner joiner(counts);
  if (pieces.size() + joiner.pieces.size() > limit) {
    fail("wordpiece: a vocabulary of {} cannot hold the text's {} characters", limit,
         joiner.pieces.size());
  }
  while (pieces.size() + joiner.pieces.size() < limit &&
         joiner.join(std::max(1, options.min_count))) {
  }
  pieces.insert(pieces.end(), joiner.pieces.begin(), joiner.pieces.end());
  return {std::move(pieces), "trained vocabulary", options.lower};
}

}  // namespace qkv
