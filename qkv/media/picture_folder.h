// Pictures without labels, from folders and single files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "qkv/media/picture_file.h"

namespace qkv {

/// The files themselves, and those in folders (files_in()), in order. Throws Error for a folder
/// without a picture, FileError for a path where nothing is.
std::vector<std::filesystem::path> picture_paths(const std::vector<std::string>& sources);

struct NamedPicture {
  std::string name;  // without its folder
  Picture picture;
};
std::vector<NamedPicture> read_picture_files(const std::vector<std::string>& sources,
                                             const PictureReading& how = {});

}  // namespace qkv
