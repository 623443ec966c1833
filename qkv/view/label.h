// Labels of pictures. They come from users' text, so they are made harmless first: valid UTF-8
// without control characters (a terminal would obey them, XML forbids them) and without marks that
// turn the direction of what follows.
#pragma once

#include <string>
#include <string_view>

namespace qkv {

/// Safe to show: bad bytes become U+FFFD, control characters their pictures (␊, ␛), marks of
/// direction U+FFFD; a label of spaces only becomes ␣.
std::string clean_label(std::string_view text);

/// Columns in a terminal: 2 for Han, kana, hangul and emoji, 0 for combining marks.
int display_width(std::string_view text);

/// The label itself when it fits, otherwise its beginning and "…"; never wider than `columns`.
std::string fit_label(std::string_view text, int columns);

/// As fit_label, then filled with spaces on the right (or on the left) to exactly `columns`.
std::string pad_right(std::string_view text, int columns);
std::string pad_left(std::string_view text, int columns);

/// clean_label with & < > " ' as entities: fit for XML and HTML, in text and in attributes.
std::string escape_xml(std::string_view text);

}  // namespace qkv
