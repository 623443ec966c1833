#include "qkv/media/picture_folder.h"

#include "qkv/base/error.h"
#include "qkv/media/folders.h"

namespace qkv {

namespace fs = std::filesystem;

std::vector<fs::path> picture_paths(const std::vector<std::string>& sources) {
  std::vector<fs::path> paths;
  for (const std::string& source : sources) {
    std::error_code code;
    if (!fs::exists(source, code)) fail<FileError>("{}: no such file or folder", source);
    if (!fs::is_directory(source, code)) {
      paths.emplace_back(source);
      continue;
    }
    const std::vector<fs::path> inside = files_in(source, picture_endings());
    if (inside.empty()) fail("{}: holds no picture (PNG, JPEG, PPM, PGM)", source);
    paths.insert(paths.end(), inside.begin(), inside.end());
  }
  return paths;
}

std::vector<NamedPicture> read_picture_files(const std::vector<std::string>& sources,
                                             const PictureReading& how) {
  std::vector<NamedPicture> pictures;
  for (const fs::path& path : picture_paths(sources)) {
    pictures.push_back({path.filename().string(), read_picture(path, how)});
  }
  return pictures;
}

}  // namespace qkv
