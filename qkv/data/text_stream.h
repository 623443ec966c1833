// Text as one long stream of tokens, for language models: the lines of a file end to end, or each
// line a document of its own; and the windows that training and evaluation cut it into.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

/// What stands between the lines. The tokens of a line come from an encoder of the caller's.
struct StreamFormat {
  std::int32_t start = 0;     // stands before the first token of a document, is never predicted
  std::int32_t line_end = 0;  // follows every line: <eos>, or the newline of a character model
  std::int32_t unknown = -1;  // counted in the report
  bool by_line = false;       // every line is a document; otherwise the whole text is one
};

struct TextStream {
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> documents = {0};  // where each begins, and where the last ends: [D + 1]
  std::int64_t lines = 0;
  std::int64_t characters = 0;  // code points, one a line end included
  std::int64_t words = 0;       // between spaces, one a line end included
  std::int64_t unknown = 0;

  /// Tokens that a model predicts: all but the start of each document.
  std::int64_t predicted() const;
  /// "40,000 lines, 1,003,855 tokens, 0 unknown"
  std::string summary() const;
};

using LineEncoder = std::function<std::vector<std::int32_t>(std::string_view line)>;

/// The lines of one or several files, plain or gzipped, in their order. Throws FileError or
/// DataError (file and line) as LineReader does, DataError when a file holds no line.
std::vector<std::string> read_text(std::span<const std::string> paths);

/// Blank lines stay: in a stream they are line ends. Documents without a token are left out.
/// Throws Error when there is nothing to predict.
TextStream make_stream(std::span<const std::string> lines, const LineEncoder& encode,
                       const StreamFormat& format);

/// Tokens ids[begin … end) are read, ids[begin + 1 … end + 1) predicted; those before `scored` (an
/// index of a predicted token) give context and count for nothing.
struct Window {
  std::int64_t begin = 0, end = 0, scored = 0;
};

/// The window of at most `length` tokens that begins at `begin`, within its document.
Window window_at(const TextStream& stream, std::int64_t begin, std::int64_t length);

/// Where the windows of an epoch begin, in random order, batches of at most `batch_tokens` tokens
/// (a longer window is a batch of its own). A single document is cut at places that differ from
/// epoch to epoch: up to length − 1 tokens at its front are left out. Of several documents each is
/// cut from its beginning. A pure function of its arguments: a run that stopped at (epoch, batch)
/// finds the same windows again.
std::vector<std::vector<std::int64_t>> plan_windows(const TextStream& stream, std::int64_t length,
                                                    std::int64_t batch_tokens, std::uint64_t seed,
                                                    std::int64_t epoch);

/// Windows one after the other, each predicted token scored once. With a stride below `length` a
/// window begins `stride` tokens after the one before, so that a token is judged with at least
/// length − stride tokens of context (where there are so many). stride 0: length.
std::vector<Window> evaluation_windows(const TextStream& stream, std::int64_t length,
                                       std::int64_t stride = 0);

}  // namespace qkv
