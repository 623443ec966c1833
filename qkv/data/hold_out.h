// What a run learns from and what judges it; where nothing is given to judge by, the text to learn
// from gives some up.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace qkv {

template <class Text>
struct Split {
  Text train, valid;
};

/// Reads the files of both; without files for validation `hold_out` takes some out of what was
/// read.
template <class Read, class HoldOut>
auto read_split(const std::vector<std::string>& train, const std::vector<std::string>& valid,
                const Read& read, const HoldOut& hold_out) {
  Split<decltype(read(train))> split;
  split.train = read(train);
  split.valid = valid.empty() ? hold_out(split.train) : read(valid);
  return split;
}

/// Every n-th of `size` examples, at most 1,000 of them: which ones are held out for validation.
/// Throws Error that names --valid when none would be.
std::vector<bool> held_out(std::size_t size, std::size_t every, const char* what);
/// The last `count` lines, taken out of the training text.
std::vector<std::string> hold_out_tail(std::vector<std::string>& train, std::size_t count);

}  // namespace qkv
