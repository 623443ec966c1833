#include "qkv/io/model_files.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/file.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;

/// "top/" where all members are in one folder; empty otherwise.
std::string top_of(const Archive& archive) {
  const std::vector<std::string> names = archive.names();
  if (names.empty()) return {};
  const std::string top = names.front().substr(0, names.front().find('/') + 1);
  const bool all = std::ranges::all_of(
      names, [&](const std::string& n) { return n.size() > top.size() && n.starts_with(top); });
  return all ? top : std::string();
}

}  // namespace

ModelFiles::ModelFiles(const fs::path& path) : directory_(path) {
  std::error_code code;
  if (!fs::is_regular_file(path, code)) return;
  if (!is_archive(path)) {
    fail<FileError>("{}: is a file; name the model directory that holds it", path.string());
  }
  archive_ = std::make_shared<const Archive>(path);
  folder_ = top_of(*archive_);
}

ModelFiles::ModelFiles(std::shared_ptr<const Archive> archive)
    : directory_(archive->path()), archive_(std::move(archive)), folder_(top_of(*archive_)) {}

std::string ModelFiles::member(std::string_view name) const { return folder_ + std::string(name); }

std::string ModelFiles::path(std::string_view name) const {
  return name.empty() ? directory_.string() : (directory_ / name).string();
}

bool ModelFiles::has(std::string_view name) const {
  if (archive_) return archive_->contains(member(name));
  std::error_code code;
  return fs::is_regular_file(directory_ / name, code);
}

std::vector<std::string> ModelFiles::names() const {
  std::vector<std::string> names;
  if (archive_) {
    for (const std::string& name : archive_->names()) {
      const bool inside = name.size() > folder_.size() && name.starts_with(folder_);
      if (inside && name.find('/', folder_.size()) == name.npos) {
        names.push_back(name.substr(folder_.size()));
      }
    }
    return names;
  }
  std::error_code code;
  for (fs::directory_iterator entry(directory_, code), end; !code && entry != end;
       entry.increment(code)) {
    if (entry->is_regular_file(code)) names.push_back(entry->path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

std::string ModelFiles::read(std::string_view name) const {
  return archive_ ? archive_->read(member(name)) : read_file(directory_ / name);
}

FileBytes ModelFiles::bytes(std::string_view name) const {
  if (archive_) {
    auto text = std::make_shared<const std::string>(archive_->read(member(name)));
    return {std::as_bytes(std::span(*text)), text};
  }
  auto file = std::make_shared<const MappedFile>(directory_ / name);
  return {file->bytes(), file};
}

ModelFiles ModelFiles::in(std::string_view folder) const {
  ModelFiles inside = *this;
  inside.directory_ /= folder;
  inside.folder_ += std::string(folder) + "/";
  return inside;
}

Json read_json(const ModelFiles& files, std::string_view name) {
  return parse_json(files.read(name), files.path(name));
}

}  // namespace qkv
