#include "qkv/text/pipeline/traced.h"

#include <algorithm>

#include "qkv/base/error.h"
#include "qkv/text/pipeline/unicode.h"

namespace qkv::pipeline {

void Rewriter::step() {
  if (at_ < old_.size()) at_ += first_code_point(old_.substr(at_)).bytes.size();
}

void Rewriter::trace(std::size_t bytes, int change) {
  TextSpan span = {origin_, origin_};
  if (change > 0) {
    if (at_ > 0) span = spans_[at_ - 1];
  } else if (!old_.empty()) {
    span = spans_[std::min(at_, old_.size() - 1)];
    for (int i = 0; i <= -change; ++i) step();
  }
  origins_.insert(origins_.end(), bytes, span);
}

TracedText::TracedText(std::string_view original, bool traced) : traced_(traced) {
  if (original.size() >= UINT32_MAX - 1) {
    fail("tokenise: a text of {} bytes; cut it into texts of less than 4 GB", original.size());
  }
  text_.reserve(original.size());
  if (traced_) spans_.reserve(original.size());
  for (std::size_t at = 0; at < original.size();) {
    const std::size_t before = text_.size();
    std::size_t bytes = 1;
    if (static_cast<unsigned char>(original[at]) < 0x80) {
      text_ += original[at];
    } else {
      const CodePoint c = first_code_point(original.substr(at));
      bytes = c.bytes.size();
      append(text_, c.value);  // U+FFFD for a bad byte
    }
    const auto begin = static_cast<std::uint32_t>(at);
    if (traced_) {
      spans_.insert(spans_.end(), text_.size() - before,
                    {begin, begin + static_cast<std::uint32_t>(bytes)});
    }
    at += bytes;
  }
  if (!text_.empty()) stretches_.push_back({0, text_.size(), 0, -1});
}

TextSpan TracedText::span(const Stretch& s, std::size_t begin, std::size_t end) const {
  const std::size_t last = s.end - s.begin;
  begin = std::min(begin, last);
  end = std::min(end, last);
  if (begin >= end) {
    const auto at = s.origin + static_cast<std::uint32_t>(begin);
    return {at, at};
  }
  return {spans_[s.begin + begin].begin, spans_[s.begin + end - 1].end};
}

}  // namespace qkv::pipeline
