#include "qkv/media/sound_lists.h"

#include <utility>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/base/number.h"
#include "qkv/base/utf8.h"
#include "qkv/media/gunzip.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;

/// "0.25:0.5:seven"; a label may hold colons.
SoundSpan span_of(std::string_view field, std::string_view name, std::int64_t number) {
  const std::size_t first = field.find(':');
  const std::size_t second = first == field.npos ? first : field.find(':', first + 1);
  const auto wrong = [&](std::string_view why) {
    throw DataError(name, number, fmt::format("'{}' {}", field, why));
  };
  if (second == field.npos) wrong("is no stretch; expected begin:end:label, in seconds");
  const auto begin = parse_double(field.substr(0, first));
  const auto end = parse_double(field.substr(first + 1, second - first - 1));
  if (!begin || !end) wrong("has no two numbers of seconds in front of its label");
  if (!(*begin >= 0) || !(*end > *begin) || *end > static_cast<double>(kMostSamples)) {
    wrong("is empty, or lies before 0 or too far away");
  }
  const std::string_view label = trim_spaces(field.substr(second + 1));
  if (label.empty()) wrong("has no label");
  return {*begin, *end, std::string(label)};
}

SpannedSound item_of(std::string_view line, std::string_view name, std::int64_t number,
                     const fs::path& folder) {
  if (line.find('\0') != line.npos) {
    throw DataError(name, number, "holds a NUL byte: this is no list of files");
  }
  if (const auto at = first_bad_byte(line)) {
    throw DataError(name, number, fmt::format("byte {} is not UTF-8", *at + 1));
  }
  std::size_t end = std::min(line.find('\t'), line.size());
  if (is_blank(line.substr(0, end))) throw DataError(name, number, "has no path");
  SpannedSound item{.path = folder / line.substr(0, end), .spans = {}};
  while (end < line.size()) {
    const std::size_t begin = end + 1;
    end = std::min(line.find('\t', begin), line.size());
    const std::string_view field = line.substr(begin, end - begin);
    if (field.empty() && end == line.size()) break;  // a tab at the end
    SoundSpan span = span_of(field, name, number);
    if (!item.spans.empty() && span.begin < item.spans.back().end) {
      throw DataError(name, number,
                      fmt::format("'{}' begins before the stretch in front of it ends", field));
    }
    item.spans.push_back(std::move(span));
  }
  return item;
}

}  // namespace

std::vector<SpannedSound> read_spans(const fs::path& path) {
  return parse_spans(read_unpacked(path), path.string(), path.parent_path());
}

std::vector<SpannedSound> parse_spans(std::string_view bytes, std::string_view name,
                                      const fs::path& folder) {
  std::vector<SpannedSound> items;
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
  for (std::int64_t number = 1; !bytes.empty(); ++number) {
    const std::size_t end = std::min(bytes.find('\n'), bytes.size());
    std::string_view line = bytes.substr(0, end);
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    items.push_back(item_of(line, name, number, folder));
  }
  if (items.empty()) throw DataError(name, 0, "the list is empty");
  return items;
}

SpannedSet read_spanned_sounds(const std::vector<fs::path>& lists, const SoundSetReading& how) {
  SpannedSet all;
  for (const fs::path& list : lists) {
    std::vector<SpannedSound> items = read_spans(list);
    Listing listing;
    for (const SpannedSound& item : items) {
      listing.items.push_back({item.path, static_cast<int>(listing.items.size())});
    }
    SoundSet set = read_listed_sounds(listing, how);
    all.skipped += set.skipped;
    for (std::size_t i = 0; i < set.sounds.size(); ++i) {
      SpannedSound& item = items[static_cast<std::size_t>(set.labels[i])];
      const Sound& sound = set.sounds[i];
      const double seconds = static_cast<double>(sound.samples.size()) / sound.rate;
      if (!item.spans.empty() && item.spans.back().begin >= seconds) {
        throw DataError(list.string(), set.labels[i] + 1,
                        fmt::format("a stretch begins at {} s, {} ends at {} s",
                                    item.spans.back().begin, item.path.string(), seconds));
      }
      all.sounds.push_back(std::move(set.sounds[i]));
      all.items.push_back(std::move(item));
    }
  }
  if (all.sounds.empty()) fail("sounds: no list is given");
  return all;
}

}  // namespace qkv
