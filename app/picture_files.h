// Pictures into and out of folders.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "qkv/media/picture.h"

namespace qkv::app {

struct LabelledPicture {
  Picture picture;
  std::string label;  // may be empty
};

/// Picture n into FOLDER/LABEL/n.png (FOLDER/n.png without a label), or all on one sheet where the
/// name ends in .png. Throws Error for a folder that holds something already, and for a label that
/// cannot name one.
void write_pictures(std::span<const LabelledPicture> pictures, const std::filesystem::path& output);

/// Every picture of a folder and of those in it, by name, or of an IDX or CIFAR file or a list.
/// Throws Error where there is none.
std::vector<Picture> all_pictures(const std::filesystem::path& source);

}  // namespace qkv::app
