#include "qkv/view/font.h"

#include <array>
#include <cstdlib>
#include <memory>
#include <string>

#include <utf8proc.h>

#include "qkv/text/normalise.h"

namespace qkv {
namespace {

// Sixteen glyphs a band, seven lines a band, in the order of ASCII from the
// space, then an empty box, then kMore.
constexpr std::string_view kArt =
    // clang-format off
    "..... ..#.. .#.#. .#.#. ..#.. ##... .##.. ..#.. ...#. .#... ..... ..... ..... ..... ..... ....."
    "..... ..#.. .#.#. .#.#. .#### ##..# #..#. ..#.. ..#.. ..#.. ..#.. ..#.. ..... ..... ..... ....#"
    "..... ..#.. .#.#. ##### #.#.. ...#. #.#.. .#... .#... ...#. #.#.# ..#.. ..... ..... ..... ...#."
    "..... ..#.. ..... .#.#. .###. ..#.. .#... ..... .#... ...#. .###. ##### ..... ##### ..... ..#.."
    "..... ..#.. ..... ##### ..#.# .#... #.#.# ..... .#... ...#. #.#.# ..#.. .##.. ..... ..... .#..."
    "..... ..... ..... .#.#. ####. #..## #..#. ..... ..#.. ..#.. ..#.. ..#.. ..#.. ..... .##.. #...."
    "..... ..#.. ..... .#.#. ..#.. ...## .##.# ..... ...#. .#... ..... ..... .#... ..... .##.. ....."

    ".###. ..#.. .###. ##### ...#. ##### ..##. ##### .###. .###. ..... ..... ...#. ..... .#... .###."
    "#...# .##.. #...# ...#. ..##. #.... .#... ....# #...# #...# .##.. .##.. ..#.. ..... ..#.. #...#"
    "#..## ..#.. ....# ..#.. .#.#. ####. #.... ...#. #...# #...# .##.. .##.. .#... ##### ...#. ....#"
    "#.#.# ..#.. ...#. ...#. #..#. ....# ####. ..#.. .###. .#### ..... ..... #.... ..... ....# ...#."
    "##..# ..#.. ..#.. ....# ##### ....# #...# .#... #...# ....# .##.. .##.. .#... ##### ...#. ..#.."
    "#...# ..#.. .#... #...# ...#. #...# #...# .#... #...# ...#. .##.. ..#.. ..#.. ..... ..#.. ....."
    ".###. .###. ##### .###. ...#. .###. .###. .#... .###. .##.. ..... .#... ...#. ..... .#... ..#.."

    ".###. .###. ####. .###. ###.. ##### ##### .###. #...# .###. ..### #...# #.... #...# #...# .###."
    "#...# #...# #...# #...# #..#. #.... #.... #...# #...# ..#.. ...#. #..#. #.... ##.## #...# #...#"
    "....# #...# #...# #.... #...# #.... #.... #.... #...# ..#.. ...#. #.#.. #.... #.#.# ##..# #...#"
    ".##.# ##### ####. #.... #...# ####. ####. #.### ##### ..#.. ...#. ##... #.... #.#.# #.#.# #...#"
    "#.#.# #...# #...# #.... #...# #.... #.... #...# #...# ..#.. ...#. #.#.. #.... #...# #..## #...#"
    "#.#.# #...# #...# #...# #..#. #.... #.... #...# #...# ..#.. #..#. #..#. #.... #...# #...# #...#"
    ".###. #...# ####. .###. ###.. ##### #.... .#### #...# .###. .##.. #...# ##### #...# #...# .###."

    "####. .###. ####. .#### ##### #...# #...# #...# #...# #...# ##### .###. ..... .###. ..#.. ....."
    "#...# #...# #...# #.... ..#.. #...# #...# #...# #...# #...# ....# .#... #.... ...#. .#.#. ....."
    "#...# #...# #...# #.... ..#.. #...# #...# #...# .#.#. #...# ...#. .#... .#... ...#. #...# ....."
    "####. #...# ####. .###. ..#.. #...# #...# #.#.# ..#.. .#.#. ..#.. .#... ..#.. ...#. ..... ....."
    "#.... #.#.# #.#.. ....# ..#.. #...# #...# #.#.# .#.#. ..#.. .#... .#... ...#. ...#. ..... ....."
    "#.... #..#. #..#. ....# ..#.. #...# .#.#. #.#.# #...# ..#.. #.... .#... ....# ...#. ..... ....."
    "#.... .##.# #...# ####. ..#.. .###. ..#.. .#.#. #...# ..#.. ##### .###. ..... .###. ..... #####"

    ".#... ..... #.... ..... ....# ..... ..##. ..... #.... ..#.. ...#. #.... .##.. ..... ..... ....."
    "..#.. ..... #.... ..... ....# ..... .#..# .#### #.... ..... ..... #.... ..#.. ..... ..... ....."
    "...#. .###. #.##. .###. .##.# .###. .#... #...# #.##. .##.. ..##. #..#. ..#.. ##.#. #.##. .###."
    "..... ....# ##..# #.... #..## #...# ###.. #...# ##..# ..#.. ...#. #.#.. ..#.. #.#.# ##..# #...#"
    "..... .#### #...# #.... #...# ##### .#... .#### #...# ..#.. ...#. ##... ..#.. #.#.# #...# #...#"
    "..... #...# #...# #...# #...# #.... .#... ....# #...# ..#.. #..#. #.#.. ..#.. #...# #...# #...#"
    "..... .#### ####. .###. .#### .###. .#... .###. #...# .###. .##.. #..#. .###. #...# #...# .###."

    "..... ..... ..... ..... .#... ..... ..... ..... ..... ..... ..... ...#. ..#.. .#... ..... #####"
    "..... ..... ..... ..... .#... ..... ..... ..... ..... ..... ..... ..#.. ..#.. ..#.. ..... #...#"
    "####. .##.# #.##. .###. ###.. #...# #...# #...# #...# #...# ##### ..#.. ..#.. ..#.. .#... #...#"
    "#...# #..## ##..# #.... .#... #...# #...# #...# .#.#. #...# ...#. .#... ..#.. ...#. #.#.# #...#"
    "####. .#### #.... .###. .#... #...# #...# #.#.# ..#.. .#### ..#.. ..#.. ..#.. ..#.. ...#. #...#"
    "#.... ....# #.... ....# .#..# #..## .#.#. #.#.# .#.#. ....# .#... ..#.. ..#.. ..#.. ..... #...#"
    "#.... ....# #.... ####. ..##. .##.# ..#.. .#.#. #...# .###. ##### ...#. ..#.. .#... ..... #####"

    ".##.. ..... ..... ..... ..... ..... ..... ..... ..... ..... .##.. ..#.. ..#.. .##.. ..##. #####"
    "#..#. ..... ..... ..... #...# ..#.. ..#.# #.#.. ..... ....# ..#.. ..... ..... #..#. .#..# #...#"
    "#..#. .#.#. ..... ..... .#.#. ...#. .#.#. .#.#. ##.#. .###. ..##. ..#.. ..#.. #..#. ###.. #.#.#"
    "#.##. #.#.# ..... ..#.. ..#.. ##### #.#.. ..#.# ..#.# #..## ..#.. .#... ..#.. .##.. .#... ###.#"
    "#...# #.### ..... ..... .#.#. ...#. .#.#. .#.#. .#### #.#.# .##.. #.... ..#.. ..... ###.. ##.##"
    "#...# #.#.. ..... ..... #...# ..#.. ..#.# #.#.. #.#.. ##..# ..#.. #...# ..#.. ..... .#..# #####"
    "#.##. .#.## #.#.# ..... ..... ..... ..... ..... .#.## .###. .###. .###. ..#.. ..... ..##. ##.##";
// clang-format on

constexpr std::size_t kAcross = 16, kLine = kAcross * 6 - 1;  // letters of a line of the art
static_assert(kArt.size() % (kLine * kGlyphHeight) == 0);

// What follows the 95 glyphs of ASCII and the empty box.
constexpr std::u32string_view kMore = U"ßœ…·×→«»æøł¿¡°€�";
constexpr std::size_t kFirstMore = 96;

// Marks above a letter: two lines, as drawn over a small letter.
struct Mark {
  char32_t combining;
  std::array<std::string_view, 2> art;
};
constexpr std::array<Mark, 8> kMarks = {{
    {0x0300, {".#...", "..#.."}},  // grave
    {0x0301, {"...#.", "..#.."}},  // acute
    {0x0302, {"..#..", ".#.#."}},  // circumflex
    {0x0303, {".##.#", "#.##."}},  // tilde
    {0x0304, {".....", ".###."}},  // macron
    {0x0308, {".#.#.", "....."}},  // diaeresis
    {0x030A, {"..#..", "..#.."}},  // ring
    {0x030C, {".#.#.", "..#.."}},  // caron
}};
constexpr char32_t kCedilla = 0x0327;

// Typographic forms that have a plain one.
char32_t plain(char32_t c) {
  switch (c) {
    case 0x2018:
    case 0x2019:
      return U'\'';
    case 0x201C:
    case 0x201D:
    case 0x201E:
      return U'"';
    case 0x2010:
    case 0x2011:
    case 0x2012:
    case 0x2013:
    case 0x2014:
      return U'-';
    case 0x00A0:
      return U' ';
    case 0x2581:
      return U'_';  // the word mark of SentencePiece
    case 0x2423:
      return U'_';
    default:
      return c;
  }
}

// The place of a glyph in the art, or nothing.
std::optional<std::size_t> place_of(char32_t c) {
  if (c >= 0x20 && c < 0x7F) return static_cast<std::size_t>(c - 0x20);
  const std::size_t more = kMore.find(c);
  if (more == std::u32string_view::npos) return std::nullopt;
  return kFirstMore + more;
}

Glyph glyph_at(std::size_t place) {
  Glyph glyph{};
  const std::size_t band = place / kAcross, column = place % kAcross * 6;
  for (std::size_t y = 0; y < kGlyphHeight; ++y) {
    for (std::size_t x = 0; x < kGlyphWidth; ++x) {
      glyph.set(x, y + kGlyphAbove, kArt[(band * kGlyphHeight + y) * kLine + column + x] == '#');
    }
  }
  return glyph;
}

// Over a capital the mark stands in the two lines above it; over a small letter it takes the empty
// lines of the letter itself, and the dot of i and j makes room.
void add_mark(Glyph& glyph, char32_t letter, const Mark& mark) {
  const bool capital = letter >= U'A' && letter <= U'Z';
  const std::size_t top = capital ? 0 : 1;
  if (letter == U'i' || letter == U'j') {
    for (std::size_t x = 0; x < kGlyphWidth; ++x) glyph.set(x, kGlyphAbove, false);
  }
  for (std::size_t y = 0; y < 2; ++y) {
    for (std::size_t x = 0; x < kGlyphWidth; ++x) {
      if (mark.art[y][x] == '#') glyph.set(x, top + y, true);
    }
  }
}

std::optional<Glyph> glyph_of(char32_t c) {
  c = plain(c);
  if (const auto place = place_of(c)) return glyph_at(*place);
  // A letter with one mark: é is e and U+0301.
  utf8proc_int32_t parts[8] = {};
  const utf8proc_ssize_t count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts, 8,
                                                         UTF8PROC_DECOMPOSE, nullptr);
  if (count != 2) return std::nullopt;
  const auto letter = static_cast<char32_t>(parts[0]), sign = static_cast<char32_t>(parts[1]);
  const auto place = place_of(letter);
  if (!place || letter > 0x7F) return std::nullopt;
  Glyph glyph = glyph_at(*place);
  if (sign == kCedilla) {
    glyph.set(2, kGlyphRows - 1, true);
    return glyph;
  }
  for (const Mark& mark : kMarks) {
    if (mark.combining == sign) {
      add_mark(glyph, letter, mark);
      return glyph;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::vector<Glyph>> glyphs_of(std::string_view text) {
  const std::string valid = repair_utf8(text);
  utf8proc_uint8_t* composed = nullptr;  // an accent typed as a mark of its own joins its letter
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(valid.data()),
                   static_cast<utf8proc_ssize_t>(valid.size()), &composed,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(composed, &std::free);
  if (size < 0) return std::nullopt;
  std::vector<Glyph> glyphs;
  for (const CodePoint& c :
       code_points({reinterpret_cast<const char*>(composed), static_cast<std::size_t>(size)})) {
    const auto glyph = glyph_of(c.value);
    if (!glyph) return std::nullopt;
    glyphs.push_back(*glyph);
  }
  return glyphs;
}

}  // namespace qkv
