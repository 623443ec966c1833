// What the readers of labelled text share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "qkv/data/labelled.h"

namespace qkv {

/// A sentence that grows word by word.
struct Sentence {
  std::vector<std::string> words, tags;
};

inline std::vector<std::string> strings(const std::vector<std::string_view>& views) {
  return {views.begin(), views.end()};
}

/// Adds a sentence that has words, counts it and empties it.
void finish(LabelledText& text, Sentence& sentence);

/// Throws DataError when there is none.
void expect_sentences(const LabelledText& text, const std::string& path, std::string_view form);

}  // namespace qkv
