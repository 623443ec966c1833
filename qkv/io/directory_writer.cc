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

DirectoryWriter::DirectoryWriter(fs::path directory)
    : directory_(std::move(directory)), folder_(directory_ / kSavingFolder) {
  std::error_code code;
  made_ = !fs::exists(directory_, code);
  make_folder(directory_);
  manifest::recover(directory_);
  make_folder(folder_);
  lock_ = manifest::try_lock(folder_);
  if (lock_ < 0) {
    fail<FileError>(
        "{}: another program is saving a model here; wait for it or name another "
        "directory",
        directory_.string());
  }
  // Of a save that was cut off before its model was whole.
  for (const fs::directory_entry& old : fs::directory_iterator(folder_, code)) {
    fs::remove_all(old.path(), code);
  }
}

DirectoryWriter::~DirectoryWriter() {
  std::error_code code;
  if (!moving_) {
    fs::remove_all(folder_, code);
    if (made_) fs::remove(directory_, code);  // only when nothing else is in it
  }
  manifest::unlock(lock_);
}

void DirectoryWriter::commit(Json config) {
  config["format"] = kModelFormat;
  config[kManifest] = manifest::of(config, folder_);
  write_json(folder_ / kConfigFile, config);
  sync_folder(folder_);
  // From here on the new model is complete: half_moved() and finish_move() see it through.
  const fs::path old = directory_ / kConfigFile;
  if (::rename(old.c_str(), (folder_ / manifest::kReplaced).c_str()) != 0 && errno != ENOENT) {
    fail<FileError>("{}: cannot replace it: {}", old.string(), std::strerror(errno));
  }
  moving_ = true;
  manifest::finish_move(directory_);
}

}  // namespace qkv
