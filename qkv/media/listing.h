// Which files belong to which class: folders by their names, or a list.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

struct Listed {
  std::filesystem::path path;
  int label = 0;  // index into the classes
};
struct Listing {
  std::vector<Listed> items;
  std::vector<std::string> classes;  // sorted: as numbers when all are, otherwise by their bytes
};

/// FOLDER/CLASS/FILE with one of the endings, sorted by class and name. Throws FileError when a
/// folder cannot be read, Error when there is none with such files; what lies beside them is
/// counted in a notice().
Listing list_classes(const std::filesystem::path& folder,
                     std::span<const std::string_view> endings);

/// Lines "label TAB path"; paths are relative to the list. Gzip, a byte order mark and Windows line
/// ends are understood. Throws DataError with the line for one that has no tab or several, no label
/// or no path, or is no text.
Listing read_list(const std::filesystem::path& path);
/// The same from a list's bytes; `folder` is what paths are relative to.
Listing parse_list(std::string_view bytes, std::string_view name,
                   const std::filesystem::path& folder);

/// Sorts the classes and changes the labels with them.
void sort_classes(std::vector<std::string>& classes, std::span<int*> labels);

}  // namespace qkv
