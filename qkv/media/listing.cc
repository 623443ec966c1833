#include "qkv/media/listing.h"

#include <algorithm>
#include <map>
#include <numeric>

#include <fmt/ranges.h>

#include "qkv/base/error.h"
#include "qkv/base/notice.h"
#include "qkv/base/number.h"
#include "qkv/base/utf8.h"
#include "qkv/media/folders.h"
#include "qkv/media/gunzip.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;

void sort_classes(Listing& listing) {
  std::vector<int*> labels;
  labels.reserve(listing.items.size());
  for (Listed& item : listing.items) labels.push_back(&item.label);
  qkv::sort_classes(listing.classes, labels);
}

void check_text(std::string_view line, std::string_view name, std::int64_t number) {
  if (line.find('\0') != std::string_view::npos) {
    throw DataError(name, number, "holds a NUL byte: this is no list of files");
  }
  if (const auto at = first_bad_byte(line)) {
    throw DataError(name, number, fmt::format("byte {} is not UTF-8", *at + 1));
  }
}

/// {label, path} of a line.
std::pair<std::string, std::string> fields_of(std::string_view line, std::string_view name,
                                              std::int64_t number) {
  check_text(line, name, number);
  const std::size_t tab = line.find('\t');
  if (tab == std::string_view::npos || line.find('\t', tab + 1) != std::string_view::npos) {
    throw DataError(name, number, "expected a label, a tab and a path");
  }
  const std::string_view label = trim_spaces(line.substr(0, tab)), path = line.substr(tab + 1);
  if (label.empty()) throw DataError(name, number, "has no label in front of the tab");
  if (is_blank(path)) throw DataError(name, number, "has no path behind the tab");
  return {std::string(label), std::string(path)};
}

}  // namespace

void sort_classes(std::vector<std::string>& classes, std::span<int*> labels) {
  std::vector<int> order(classes.size());
  std::iota(order.begin(), order.end(), 0);
  const auto at = [&](int i) -> const std::string& { return classes[static_cast<std::size_t>(i)]; };
  const bool numbers = std::ranges::all_of(
      classes, [](const std::string& name) { return parse_double(name).has_value(); });
  std::ranges::stable_sort(order, [&](int a, int b) {
    return numbers ? *parse_double(at(a)) < *parse_double(at(b)) : at(a) < at(b);
  });
  std::vector<std::string> sorted;
  std::vector<int> place(classes.size());
  for (const int i : order) {
    place[static_cast<std::size_t>(i)] = static_cast<int>(sorted.size());
    sorted.push_back(at(i));
  }
  for (int* label : labels) *label = place[static_cast<std::size_t>(*label)];
  classes = std::move(sorted);
}

Listing list_classes(const fs::path& folder, std::span<const std::string_view> endings) {
  Listing listing;
  std::int64_t beside = static_cast<std::int64_t>(files_in(folder, endings).size());
  for (const fs::path& one : folders_in(folder)) {
    const std::vector<fs::path> files = files_in(one, endings);
    beside += std::distance(fs::directory_iterator(one), fs::directory_iterator()) -
              static_cast<std::ptrdiff_t>(files.size());
    if (files.empty()) continue;
    const int label = static_cast<int>(listing.classes.size());
    listing.classes.push_back(one.filename().string());
    for (const fs::path& file : files) listing.items.push_back({file, label});
  }
  if (listing.items.empty()) {
    fail("{}: no folder in it holds a file that ends in {}; expected FOLDER/CLASS/FILE",
         folder.string(), fmt::join(endings, ", "));
  }
  if (beside > 0) {
    notice(fmt::format("{}: {} other files are passed over", folder.string(), beside));
  }
  sort_classes(listing);
  return listing;
}

Listing read_list(const fs::path& path) {
  return parse_list(read_unpacked(path), path.string(), path.parent_path());
}

Listing parse_list(std::string_view bytes, std::string_view name, const fs::path& folder) {
  Listing listing;
  std::map<std::string, int> labels;
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
  for (std::int64_t number = 1; !bytes.empty(); ++number) {
    const std::size_t end = std::min(bytes.find('\n'), bytes.size());
    std::string_view line = bytes.substr(0, end);
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    const auto [label, path] = fields_of(line, name, number);
    const auto found = labels.emplace(label, static_cast<int>(listing.classes.size()));
    if (found.second) listing.classes.push_back(label);
    listing.items.push_back({folder / path, found.first->second});
  }
  if (listing.items.empty()) throw DataError(name, 0, "the list is empty");
  sort_classes(listing);
  return listing;
}

}  // namespace qkv
