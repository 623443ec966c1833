// A folder that appears whole or not at all: its files are written beside its place, under a
// temporary name, and it is renamed when all are there.
#pragma once

#include <filesystem>

namespace qkv {

/// Throws FileError unless nothing stands at the path, or a folder without anything in it.
void require_no_files(const std::filesystem::path& target);

class NewFolder {
 public:
  /// Makes the temporary folder, "NAME.saving.tmp"; what a writer that was killed has left in one
  /// goes. Throws FileError as require_no_files() does, and while another program writes there.
  explicit NewFolder(std::filesystem::path target);
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;
  /// Removes the temporary folder unless commit() has been called.
  ~NewFolder();

  /// Where files are to be written.
  const std::filesystem::path& folder() const { return folder_; }
  /// Puts the folder in its place. Throws FileError.
  void commit();

 private:
  std::filesystem::path target_, folder_;
  int lock_ = -1;
};

}  // namespace qkv
