#include "qkv/data/labelled_sentences.h"

#include <utility>

#include "qkv/base/error.h"

namespace qkv {

void finish(LabelledText& text, Sentence& sentence) {
  if (sentence.words.empty()) return;
  ++text.report.read;
  text.report.tokens += static_cast<std::int64_t>(sentence.words.size());
  text.words.push_back(std::move(sentence.words));
  text.tags.push_back(std::move(sentence.tags));
  sentence = {};
}

void expect_sentences(const LabelledText& text, const std::string& path, std::string_view form) {
  if (text.size() == 0) {
    throw DataError(path, 0, fmt::format("holds no sentence; expected {}", form));
  }
}

}  // namespace qkv
