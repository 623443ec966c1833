#include "qkv/io/new_folder.h"

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <unistd.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/io/directory.h"
#include "qkv/io/manifest.h"

namespace qkv {

namespace fs = std::filesystem;

void require_no_files(const fs::path& target) {
  std::error_code code;
  if (!fs::exists(fs::symlink_status(target, code))) return;
  if (fs::is_directory(target, code) && fs::is_empty(target, code)) return;
  fail<FileError>("{}: is there already; name a directory that is not, or has no files",
                  target.string());
}

NewFolder::NewFolder(fs::path target) : target_(std::move(target)) {
  if (!target_.has_filename()) target_ = target_.parent_path();  // "name/"
  require_no_files(target_);
  folder_ = target_;
  folder_ += std::string(".") + kSavingFolder;
  make_folder(folder_);
  lock_ = manifest::try_lock(folder_);
  if (lock_ < 0) {
    fail<FileError>("{}: another program is writing here; wait for it or name another directory",
                    folder_.string());
  }
  std::error_code code;
  for (const fs::directory_entry& old : fs::directory_iterator(folder_, code)) {
    fs::remove_all(old.path(), code);
  }
}

NewFolder::~NewFolder() {
  if (!folder_.empty()) {
    std::error_code code;
    fs::remove_all(folder_, code);
  }
  manifest::unlock(lock_);
}

void NewFolder::commit() {
  sync_folder(folder_);
  if (::rename(folder_.c_str(), target_.c_str()) != 0) {  // an empty folder there goes
    fail<FileError>("{}: cannot be put in its place: {}", target_.string(), std::strerror(errno));
  }
  folder_.clear();
  sync_folder(fs::absolute(target_).parent_path());
}

}  // namespace qkv
