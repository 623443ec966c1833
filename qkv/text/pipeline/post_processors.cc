#include "qkv/text/pipeline/post_processors.h"

#include <algorithm>

#include "qkv/text/pipeline/unicode.h"

namespace qkv::pipeline {
namespace {

constexpr char32_t kByteSpace = 0x120;  // how byte-level tokens write a space

bool is_blank_point(char32_t c) { return c == kByteSpace || is_space(c); }

/// The byte behind `count` characters.
std::uint32_t forward(std::string_view text, std::uint32_t at, std::size_t count) {
  for (; count > 0 && at < text.size(); --count) {
    at += static_cast<std::uint32_t>(first_code_point(text.substr(at)).bytes.size());
  }
  return at;
}

std::uint32_t back(std::string_view text, std::uint32_t at, std::size_t count) {
  for (; count > 0 && at > 0; --count) {
    do {
      --at;
    } while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
  }
  return at;
}

}  // namespace

void trim_spans(SpanTrim trim, std::string_view text, TokenEncoding& encoding) {
  for (std::size_t i = 0; i < encoding.pieces.size(); ++i) {
    const std::vector<CodePoint> points = code_points(encoding.pieces[i]);
    const auto blank = [](const CodePoint& c) { return is_blank_point(c.value); };
    auto leading = static_cast<std::size_t>(std::find_if_not(points.begin(), points.end(), blank) -
                                            points.begin());
    const auto trailing = static_cast<std::size_t>(
        std::find_if_not(points.rbegin(), points.rend(), blank) - points.rbegin());
    TextSpan& span = encoding.spans[i];
    // One space at the beginning was put there and takes up nothing; more were in the text.
    if (leading == 1 && trim.prefix_space && (i == 0 || span.begin == 0)) leading = 0;
    span.begin = std::min(forward(text, span.begin, leading), span.end);
    span.end = std::max(back(text, span.end, trailing), span.begin);
  }
}

}  // namespace qkv::pipeline
