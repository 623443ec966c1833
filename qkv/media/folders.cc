#include "qkv/media/folders.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "qkv/base/error.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;

template <class Wanted>
std::vector<fs::path> entries(const fs::path& folder, Wanted&& wanted) {
  std::vector<fs::path> found;
  std::error_code error;
  fs::directory_iterator each(folder, error);
  for (; !error && each != fs::directory_iterator(); each.increment(error)) {
    if (each->path().filename().string().front() != '.' && wanted(*each)) {
      found.push_back(each->path());
    }
  }
  if (error) fail<FileError>("{}: cannot read the folder: {}", folder.string(), error.message());
  std::ranges::sort(found, {}, [](const fs::path& path) { return path.filename().string(); });
  return found;
}

}  // namespace

std::span<const std::string_view> picture_endings() {
  static constexpr std::array<std::string_view, 6> kEndings = {".png", ".jpg", ".jpeg",
                                                               ".ppm", ".pgm", ".pnm"};
  return kEndings;
}

std::span<const std::string_view> sound_endings() {
  static constexpr std::array<std::string_view, 8> kEndings = {".wav",  ".flac", ".ogg", ".oga",
                                                               ".opus", ".mp3",  ".aif", ".aiff"};
  return kEndings;
}

std::vector<fs::path> files_in(const fs::path& folder, std::span<const std::string_view> endings) {
  return entries(folder, [&](const fs::directory_entry& entry) {
    std::string ending = entry.path().extension().string();
    std::ranges::transform(ending, ending.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return std::ranges::find(endings, ending) != endings.end() && !entry.is_directory();
  });
}

std::vector<fs::path> folders_in(const fs::path& folder) {
  return entries(folder, [](const fs::directory_entry& entry) { return entry.is_directory(); });
}

}  // namespace qkv
