#include "qkv/data/text_stream.h"

#include <algorithm>

#include "qkv/base/error.h"
#include "qkv/base/random.h"
#include "qkv/data/lines.h"

namespace qkv {
namespace {

std::int64_t size_of(const std::vector<std::int32_t>& ids) {
  return static_cast<std::int64_t>(ids.size());
}

std::int64_t code_points_of(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

std::int64_t words_of(std::string_view line) {
  std::int64_t words = 0;
  bool inside = false;
  for (const char c : line) {
    const bool space = c == ' ' || c == '\t';
    if (!space && !inside) ++words;
    inside = !space;
  }
  return words;
}

void check_length(std::int64_t length) {
  if (length < 1) fail("windows: length is {}, must be at least 1", length);
}

}  // namespace

std::int64_t TextStream::predicted() const {
  return size_of(ids) - (static_cast<std::int64_t>(documents.size()) - 1);
}

std::string TextStream::summary() const {
  std::string text =
      fmt::format("{} lines, {} tokens, {} unknown ({:.2f} %)", lines, predicted(), unknown,
                  100.0 * static_cast<double>(unknown) /
                      static_cast<double>(std::max<std::int64_t>(1, predicted())));
  const std::size_t count = documents.size() - 1;
  if (count > 1) text += fmt::format(", {} documents", count);
  return text;
}

std::vector<std::string> read_text(std::span<const std::string> paths) {
  std::vector<std::string> lines;
  for (const std::string& path : paths) {
    LineReader reader(path);
    const std::size_t before = lines.size();
    for (std::string line; reader.next(line);) lines.push_back(line);
    if (lines.size() == before) throw DataError(reader.name(), 0, "holds no text");
  }
  return lines;
}

TextStream make_stream(std::span<const std::string> lines, const LineEncoder& encode,
                       const StreamFormat& format) {
  TextStream stream;
  if (!format.by_line) stream.ids.push_back(format.start);
  for (const std::string& line : lines) {
    const std::vector<std::int32_t> ids = encode(line);
    if (format.by_line) {
      if (ids.empty()) continue;
      stream.ids.push_back(format.start);
    }
    stream.unknown += std::count(ids.begin(), ids.end(), format.unknown);
    stream.ids.insert(stream.ids.end(), ids.begin(), ids.end());
    stream.ids.push_back(format.line_end);
    stream.characters += code_points_of(line) + 1;
    stream.words += words_of(line) + 1;
    ++stream.lines;
    if (format.by_line) stream.documents.push_back(size_of(stream.ids));
  }
  if (!format.by_line) stream.documents.push_back(size_of(stream.ids));
  if (stream.predicted() <= 0) fail("the text holds no token");
  return stream;
}

Window window_at(const TextStream& stream, std::int64_t begin, std::int64_t length) {
  check_length(length);
  const auto next = std::upper_bound(stream.documents.begin(), stream.documents.end(), begin);
  if (begin < 0 || next == stream.documents.end()) {
    fail("window: begins at {} of {} tokens", begin, stream.ids.size());
  }
  return {begin, std::min(begin + length, *next - 1), begin + 1};
}

std::vector<std::vector<std::int64_t>> plan_windows(const TextStream& stream, std::int64_t length,
                                                    std::int64_t batch_tokens, std::uint64_t seed,
                                                    std::int64_t epoch) {
  check_length(length);
  if (batch_tokens < 1) fail("windows: batch_tokens is {}, must be at least 1", batch_tokens);
  Philox random(key_of(seed, hash_name("windows"), epoch));
  std::vector<Window> windows;
  const bool whole = stream.documents.size() == 2;
  for (std::size_t d = 0; d + 1 < stream.documents.size(); ++d) {
    std::int64_t begin = stream.documents[d];
    const std::int64_t end = stream.documents[d + 1] - 1;
    // At least one full window is left.
    const std::int64_t places = std::min(length, end - begin - length + 1);
    if (whole && places > 1) {
      begin += static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(places)));
    }
    for (; begin < end; begin += length) windows.push_back(window_at(stream, begin, length));
  }
  shuffle(std::span<Window>(windows), random);
  std::vector<std::vector<std::int64_t>> plan;
  std::int64_t tokens = 0;
  for (const Window& w : windows) {
    if (plan.empty() || tokens + w.end - w.begin > batch_tokens) {
      plan.emplace_back();
      tokens = 0;
    }
    plan.back().push_back(w.begin);
    tokens += w.end - w.begin;
  }
  return plan;
}

std::vector<Window> evaluation_windows(const TextStream& stream, std::int64_t length,
                                       std::int64_t stride) {
  check_length(length);
  if (stride == 0) stride = length;
  if (stride < 1 || stride > length) {
    fail("windows: stride {} is not in 1 … {}, the length of a window", stride, length);
  }
  std::vector<Window> windows;
  for (std::size_t d = 0; d + 1 < stream.documents.size(); ++d) {
    const std::int64_t end = stream.documents[d + 1] - 1;
    std::int64_t begin = stream.documents[d], scored = begin + 1;
    while (scored <= end) {
      const std::int64_t stop = std::min(begin + length, end);
      windows.push_back({begin, stop, scored});
      scored = stop + 1;
      begin += stride;
    }
  }
  return windows;
}

}  // namespace qkv
