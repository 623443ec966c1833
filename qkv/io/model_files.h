// The files of a model by name, wherever they lie: in a directory, or in an archive (archive.h)
// beneath the folder that all its members are in. What reads models through it need not know which.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/io/archive.h"
#include "qkv/io/json.h"

namespace qkv {

/// Bytes, and what keeps them alive.
struct FileBytes {
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
};

/// A value: copies share the archive. Not for many threads.
class ModelFiles {
 public:
  /// A directory, which need not be there, or the file of an archive. Throws DataError for a
  /// damaged archive, FileError for another file.
  explicit ModelFiles(const std::filesystem::path& path);
  explicit ModelFiles(std::shared_ptr<const Archive> archive);

  bool packed() const { return archive_ != nullptr; }
  /// For messages: "en_es.argosmodel/model/config.json"; without a name the whole.
  std::string path(std::string_view name = {}) const;
  /// Whether there is such a file; names may lead into folders.
  bool has(std::string_view name) const;
  /// Of the files that lie in no folder of it, sorted.
  std::vector<std::string> names() const;
  /// Throws FileError or DataError.
  std::string read(std::string_view name) const;
  /// The same, mapped where it lies in a directory.
  FileBytes bytes(std::string_view name) const;
  /// The files of a folder, which need not be there.
  ModelFiles in(std::string_view folder) const;

 private:
  std::string member(std::string_view name) const;

  std::filesystem::path directory_;         // or that of the archive, to the folder in it
  std::shared_ptr<const Archive> archive_;  // nothing: a directory
  std::string folder_;                      // "translate-en_es/", in the archive
};

/// Throws as parse_json() does.
Json read_json(const ModelFiles& files, std::string_view name);

}  // namespace qkv
