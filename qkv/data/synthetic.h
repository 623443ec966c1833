// Labelled sequences that are made up: what an encoder can see decides whether it can learn them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "qkv/data/labelled.h"

namespace qkv {

enum class Puzzle : std::uint8_t {
  parity,  ///< a tag a word: whether it came an odd number of times so far; counting
  first,   ///< a tag a word: the sequence's first word; memory over any distance
  both,    ///< a label a sequence: whether a and b both occur, wherever they stand
};
/// "parity", "first", "both".
std::string_view name_of(Puzzle puzzle);
std::span<const std::string_view> puzzle_names();

struct PuzzleOptions {
  std::int64_t shortest = 3;  // words of a sequence
  std::int64_t longest = 8;
  std::int64_t alphabet = 3;  // words are the letters a, b, c …
};
/// What is hard enough to tell encoders apart and learnt within a minute.
PuzzleOptions puzzle_options(Puzzle puzzle);

/// `count` sequences with words and tags or labels; a pure function of its arguments. In `both` a
/// half has both letters, the other half one of them or none. Throws Error for options that leave
/// nothing to choose.
LabelledText make_puzzle(Puzzle puzzle, std::int64_t count, std::uint64_t seed,
                         const PuzzleOptions& options);

}  // namespace qkv
