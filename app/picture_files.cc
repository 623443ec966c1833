#include "app/picture_files.h"

#include <cmath>
#include <system_error>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/media/folders.h"
#include "qkv/media/media_sets.h"
#include "qkv/media/picture_file.h"
#include "qkv/media/sheet.h"

namespace qkv::app {
namespace {

namespace fs = std::filesystem;

/// A label must not lead out of the output, nor hide.
void check_folder_name(const std::string& label) {
  if (label.find('/') == std::string::npos && !label.starts_with('.')) return;
  fail("class '{}' cannot be the name of a folder; give a sheet, --output FILE.png", label);
}

void write_folder(std::span<const LabelledPicture> pictures, const fs::path& folder) {
  std::error_code code;
  if (fs::exists(folder, code) && !fs::is_empty(folder, code)) {
    fail("{}: is there already and not an empty folder; name another", folder.string());
  }
  for (const LabelledPicture& p : pictures) check_folder_name(p.label);
  const std::size_t digits = std::to_string(pictures.size() - 1).size();
  make_folder(folder);
  for (std::size_t n = 0; n < pictures.size(); ++n) {
    const fs::path into = pictures[n].label.empty() ? folder : folder / pictures[n].label;
    make_folder(into);
    save_picture(pictures[n].picture, into / fmt::format("{:0{}}.png", n, digits));
  }
}

}  // namespace

void write_pictures(std::span<const LabelledPicture> pictures, const fs::path& output) {
  if (output.extension() != ".png") return write_folder(pictures, output);
  std::vector<Picture> all;
  for (const LabelledPicture& p : pictures) all.push_back(p.picture);
  const double side = std::sqrt(static_cast<double>(all.size()));
  save_picture(picture_sheet(all, {.columns = static_cast<int>(std::ceil(side))}), output);
}

std::vector<Picture> all_pictures(const fs::path& source) {
  std::error_code code;
  if (!fs::is_directory(source, code)) return read_pictures({source}).pictures;
  std::vector<fs::path> folders = {source};
  for (const fs::path& folder : folders_in(source)) folders.push_back(folder);
  std::vector<Picture> pictures;
  for (const fs::path& folder : folders) {
    for (const fs::path& file : files_in(folder, picture_endings())) {
      pictures.push_back(read_picture(file));
    }
  }
  if (pictures.empty()) fail("{}: holds no picture (PNG, JPEG, PPM, PGM)", source.string());
  return pictures;
}

}  // namespace qkv::app
