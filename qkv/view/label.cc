#include "qkv/view/label.h"

#include <algorithm>

#include <utf8proc.h>

#include "qkv/text/normalise.h"

namespace qkv {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// Marks that change the direction of the text around them, and separators of lines.
bool turns_text(char32_t c) {
  return (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0x200E ||
         c == 0x200F || c == 0x061C || c == 0x2028 || c == 0x2029;
}

// U+FFFE, U+FFFF and their like, which XML does not allow.
bool not_a_character(char32_t c) { return (c & 0xFFFE) == 0xFFFE || (c >= 0xFDD0 && c <= 0xFDEF); }

// Of one character as a reader sees it: terminals give a cluster at most two columns.
int cluster_width(std::string_view cluster) {
  int width = 0;
  for (const CodePoint& c : code_points(cluster)) {
    width += utf8proc_charwidth(static_cast<utf8proc_int32_t>(c.value));
  }
  return std::min(width, 2);
}

}  // namespace

std::string clean_label(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  bool only_spaces = !text.empty();
  for (const CodePoint& c : code_points(text)) {
    only_spaces = only_spaces && c.value == U' ';
    if (c.value < 0x20) {  // U+2400 + c is its picture
      clean += "\xE2\x90";
      clean += static_cast<char>(0x80 + c.value);
    } else if (c.value == 0x7F) {
      clean += "\xE2\x90\xA1";
    } else if (c.value == 0xFFFD || (c.value >= 0x80 && c.value < 0xA0) || turns_text(c.value) ||
               not_a_character(c.value)) {
      clean += kReplacement;
    } else {
      clean += c.bytes;
    }
  }
  if (!only_spaces) return clean;
  std::string open_boxes;
  for (std::size_t i = 0; i < text.size(); ++i) open_boxes += "␣";
  return open_boxes;
}

int display_width(std::string_view text) {
  int width = 0;
  for (std::string_view cluster : characters(text)) width += cluster_width(cluster);
  return width;
}

std::string fit_label(std::string_view text, int columns) {
  if (display_width(text) <= columns) return std::string(text);
  if (columns <= 0) return {};
  std::string beginning;
  int width = 0;
  for (std::string_view cluster : characters(text)) {
    width += cluster_width(cluster);
    if (width > columns - 1) break;
    beginning += cluster;
  }
  return beginning + "…";
}

std::string pad_right(std::string_view text, int columns) {
  const std::string label = fit_label(text, columns);
  return label + std::string(static_cast<std::size_t>(columns - display_width(label)), ' ');
}

std::string pad_left(std::string_view text, int columns) {
  const std::string label = fit_label(text, columns);
  return std::string(static_cast<std::size_t>(columns - display_width(label)), ' ') + label;
}

std::string escape_xml(std::string_view text) {
  std::string escaped;
  for (char c : clean_label(text)) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

}  // namespace qkv
