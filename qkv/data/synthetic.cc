#include "qkv/data/synthetic.h"

#include <array>
#include <string>

#include "qkv/base/error.h"
#include "qkv/base/random.h"

namespace qkv {
namespace {

constexpr std::array<std::string_view, 3> kPuzzles = {"parity", "first", "both"};

std::size_t drawn(Philox& random, std::int64_t n) {
  return random.below(static_cast<std::uint64_t>(n));
}
std::string letter(std::size_t i) { return std::string(1, static_cast<char>('a' + i)); }

/// Letters from `from` on.
std::vector<std::string> letters(Philox& random, std::size_t from, const PuzzleOptions& o) {
  std::vector<std::string> words(static_cast<std::size_t>(o.shortest) +
                                 drawn(random, o.longest - o.shortest + 1));
  for (std::string& word : words) {
    word = letter(from + drawn(random, o.alphabet - static_cast<std::int64_t>(from)));
  }
  return words;
}

std::vector<std::string> parities(const std::vector<std::string>& words) {
  std::array<int, 26> seen{};
  std::vector<std::string> tags;
  tags.reserve(words.size());
  for (const std::string& word : words) {
    tags.emplace_back(++seen[static_cast<std::size_t>(word[0] - 'a')] % 2 == 1 ? "odd" : "even");
  }
  return tags;
}

/// Puts a and b, one of them or none among other letters; says whether both are there.
bool place_both(Philox& random, std::vector<std::string>& words) {
  const bool both = random.below(2) == 1;
  const std::uint64_t which = both ? 3 : random.below(3);  // a bit for each
  const std::size_t place = random.below(words.size());
  const std::size_t other = (place + 1 + random.below(words.size() - 1)) % words.size();
  if ((which & 1) != 0) words[place] = "a";
  if ((which & 2) != 0) words[other] = "b";
  return both;
}

}  // namespace

std::string_view name_of(Puzzle puzzle) { return kPuzzles[static_cast<std::size_t>(puzzle)]; }
std::span<const std::string_view> puzzle_names() { return kPuzzles; }

PuzzleOptions puzzle_options(Puzzle puzzle) {
  switch (puzzle) {
    case Puzzle::parity:
      return {.shortest = 3, .longest = 8, .alphabet = 3};
    case Puzzle::first:
      return {.shortest = 10, .longest = 30, .alphabet = 8};
    case Puzzle::both:
      break;
  }
  return {.shortest = 5, .longest = 20, .alphabet = 8};
}

LabelledText make_puzzle(Puzzle puzzle, std::int64_t count, std::uint64_t seed,
                         const PuzzleOptions& o) {
  const std::int64_t least = puzzle == Puzzle::both ? 3 : 2;  // letters
  if (o.shortest < 2 || o.longest < o.shortest || o.alphabet < least || o.alphabet > 26) {
    fail("puzzle '{}': {} to {} words of {} letters; there must be 2 words and {} to 26 letters",
         name_of(puzzle), o.shortest, o.longest, o.alphabet, least);
  }
  Philox random(key_of(seed, static_cast<std::uint64_t>(puzzle)));
  LabelledText text;
  for (std::int64_t i = 0; i < count; ++i) {
    std::vector<std::string> words = letters(random, puzzle == Puzzle::both ? 2 : 0, o);
    if (puzzle == Puzzle::parity) text.tags.push_back(parities(words));
    if (puzzle == Puzzle::first) text.tags.emplace_back(words.size(), words.front());
    if (puzzle == Puzzle::both) text.labels.emplace_back(place_both(random, words) ? "yes" : "no");
    text.report.tokens += static_cast<std::int64_t>(words.size());
    text.words.push_back(std::move(words));
  }
  text.report.read = count;
  return text;
}

}  // namespace qkv
