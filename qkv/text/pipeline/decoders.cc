#include "qkv/text/pipeline/decoders.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "qkv/text/pipeline/byte_level.h"
#include "qkv/text/pipeline/unicode.h"

namespace qkv::pipeline {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

std::string replaced(std::string_view text, const Pattern& pattern, std::string_view content) {
  std::string result;
  std::size_t at = 0;
  find_all(pattern, text, [&](std::size_t begin, std::size_t end) {
    result.append(text.substr(at, begin - at)).append(content);
    at = end;
  });
  return result.append(text.substr(at));
}

std::string cleaned_up(std::string text) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kRules = {
      {{" .", "."},
       {" ?", "?"},
       {" !", "!"},
       {" ,", ","},
       {" ' ", "'"},
       {" n't", "n't"},
       {" 'm", "'m"},
       {" do not", " don't"},
       {" 's", "'s"},
       {" 've", "'ve"},
       {" 're", "'re"}}};
  for (const auto& [from, to] : kRules) {
    if (text.find(from) != std::string::npos) text = replaced(text, Literal{std::string(from)}, to);
  }
  return text;
}

/// The byte of "<0x0A>".
std::optional<char> byte_of(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || !piece.ends_with('>')) return {};
  int value = 0;
  for (const char c : piece.substr(3, 2)) {
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                             : -1;
    if (digit < 0) return {};
    value = 16 * value + digit;
  }
  return static_cast<char>(value);
}

struct Apply {
  std::vector<std::string>& pieces;

  void operator()(const WordPieceDecoder& d) const {
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      std::string& piece = pieces[i];
      if (i > 0 && piece.starts_with(d.prefix)) {
        piece.erase(0, d.prefix.size());
      } else if (i > 0) {
        piece.insert(0, 1, ' ');
      }
      if (d.clean_up) piece = cleaned_up(std::move(piece));
    }
  }
  void operator()(const ByteLevelDecoder&) const {
    std::string bytes;
    for (const std::string& piece : pieces) {
      if (!append_bytes_of(piece, bytes)) bytes += piece;
    }
    pieces = {lossy(bytes)};
  }
  void operator()(const VisibleSpaceDecoder& d) const {
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      pieces[i] = replaced(pieces[i], Literal{d.sign}, i == 0 && d.prefix ? "" : " ");
    }
  }
  void operator()(const ByteFallbackDecoder&) const {
    std::vector<std::string> result;
    std::string bytes;
    const auto flush = [&] {
      if (bytes.empty()) return;
      if (first_bad_byte(bytes)) {
        result.insert(result.end(), bytes.size(), std::string(kReplacement));
      } else {
        result.push_back(bytes);
      }
      bytes.clear();
    };
    for (std::string& piece : pieces) {
      if (const auto byte = byte_of(piece)) {
        bytes += *byte;
      } else {
        flush();
        result.push_back(std::move(piece));
      }
    }
    flush();
    pieces = std::move(result);
  }
  void operator()(const FuseDecoder&) const {
    std::string text;
    for (const std::string& piece : pieces) text += piece;
    pieces = {text};
  }
  void operator()(const StripDecoder& d) const {
    for (std::string& piece : pieces) {
      std::string_view rest = piece;
      for (std::size_t i = 0; i < d.start && rest.starts_with(d.content); ++i) {
        rest.remove_prefix(d.content.size());
      }
      for (std::size_t i = 0; i < d.stop && rest.ends_with(d.content); ++i) {
        rest.remove_suffix(d.content.size());
      }
      piece = std::string(rest);
    }
  }
  void operator()(const ReplaceDecoder& d) const {
    for (std::string& piece : pieces) piece = replaced(piece, d.pattern, d.content);
  }
  void operator()(const SuffixDecoder& d) const {
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      pieces[i] = replaced(pieces[i], Literal{d.suffix}, i + 1 < pieces.size() ? " " : "");
    }
  }
  void operator()(const SubwordDecoder& d) const {
    std::string text;
    std::vector<std::string> run;
    for (const std::string& piece : pieces) {
      if (std::ranges::find(d.special, piece) == d.special.end()) {
        run.push_back(piece);
        continue;
      }
      text += d.model.join(run) + piece + " ";
      run.clear();
    }
    text = replaced(text + d.model.join(run), Literal{"\xE2\x96\x81"}, " ");
    pieces = {std::string(trim_spaces(text))};
  }
};

}  // namespace

void apply(const Decoder& decoder, std::vector<std::string>& pieces) {
  std::visit(Apply{pieces}, decoder);
}

}  // namespace qkv::pipeline
