// A model is a directory, and the directory is one thing:
//   config.json         {"format": 2, …, "manifest": {…}}: what the model is, and what belongs to
//   it model.safetensors   its weights metrics.jsonl       one object a report of the training
//   state/              what training needs to go on; not needed to use the model
// and the files of its tokenisers.
//
// The manifest holds the size and the CRC-32 (zlib's) of every file, and of config.json without the
// manifest:
//   {"config": "89abcdef", "files": {"model.safetensors": {"bytes": 4096, "crc32": "01234567"}, …}}
// DirectoryWriter writes it last and read_whole() checks it. Directories of format 1 and those of
// other programs have none; they load as they stand.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "qkv/io/json.h"

namespace qkv {

constexpr const char* kConfigFile = "config.json";
constexpr const char* kWeightsFile = "model.safetensors";
constexpr const char* kMetricsFile = "metrics.jsonl";
constexpr const char* kStateFolder = "state";
/// Where a new model stands until it is whole: a folder in the model directory.
constexpr const char* kSavingFolder = "saving.tmp";
constexpr const char* kManifest = "manifest";

/// The version of the directory's layout that this library writes; it reads this one and 1, which
/// had no manifest.
constexpr int kModelFormat = 2;

/// The configuration of the model in `directory`, its manifest included. FileError when the
/// directory or its config.json is missing or no directory, DataError when config.json is damaged
/// or of another format.
Json require_model_directory(const std::filesystem::path& directory);

/// CRC-32 of bytes, by all threads, and of those of a file; eight hexadecimal digits in the
/// manifest.
std::uint32_t checksum(std::span<const std::byte> bytes);
inline std::uint32_t checksum(std::string_view text) {
  return checksum(std::as_bytes(std::span(text)));
}
std::uint32_t file_checksum(const std::filesystem::path& path);

/// A model directory while it is read. Not for many threads.
class ModelDirectory {
 public:
  /// Reads config.json, whatever it says. When a save was cut off between the old model and the
  /// new one, which is complete then, this finishes it.
  explicit ModelDirectory(std::filesystem::path directory);

  const std::filesystem::path& path() const { return directory_; }
  std::filesystem::path file(std::string_view name) const { return directory_ / name; }
  /// What config.json says, without the manifest; throws as require_model_directory() does.
  const Json& config() const;
  /// For messages.
  std::string config_path() const { return file(kConfigFile).string(); }
  /// The same without asking for a model of qkv: a foreign config.json.
  const Json& foreign_config() const { return config_; }
  bool has_manifest() const { return !manifest_.is_null(); }

  /// The checksum of a file that somebody had to read anyway.
  void know(std::string_view name, std::uint64_t bytes, std::uint32_t crc32) const;
  /// Compares all files with the manifest, which only format 1 and other programs may lack. Throws
  /// DataError.
  void check() const;
  /// Whether config.json is still the one that was read, and not one with the same text of a model
  /// that was saved since.
  bool unchanged() const;

 private:
  struct File {
    std::uint64_t bytes = 0;
    std::uint32_t crc32 = 0;
  };
  /// Of a file, which another one of the same name and text does not have; zeros without a file.
  struct Identity {
    std::uint64_t device = 0, inode = 0;
    std::int64_t seconds = 0, nanoseconds = 0;
    bool operator==(const Identity&) const = default;
  };
  Identity identity() const;
  void check_file(const std::string& name, const Json& entry) const;

  std::filesystem::path directory_;
  Identity identity_;  // of config.json
  std::string text_;
  Json config_, manifest_;
  bool requires_manifest_ = false;
  mutable std::map<std::string, File, std::less<>> known_;
};

/// What `read` makes of a directory, as a whole: the manifest is checked once it is done (so that
/// its own, better messages come first), and if another model has replaced this one meanwhile it
/// begins again.
template <class Read>
auto read_whole(const std::filesystem::path& directory, const Read& read) {
  constexpr int kAttempts = 100;  // a directory that is replaced faster than it is read
  for (int attempt = 1;; ++attempt) {
    const ModelDirectory source(directory);
    try {
      auto result = read(source);
      source.check();
      if (source.unchanged() || attempt == kAttempts) return result;
    } catch (...) {
      if (source.unchanged() || attempt == kAttempts) throw;
    }
  }
}

/// A model directory while it is written. Files go to folder(); commit() adds config.json and puts
/// the new model in the place of the old one, whose files go. Whatever happens before (a full disk,
/// an exception, the end of the process), the old model stays; afterwards the new one is complete,
/// and what was not moved yet is by whoever opens the directory next.
class DirectoryWriter {
 public:
  /// Makes the directory. Throws FileError, also while another program saves a model there.
  explicit DirectoryWriter(std::filesystem::path directory);
  DirectoryWriter(const DirectoryWriter&) = delete;
  DirectoryWriter& operator=(const DirectoryWriter&) = delete;
  ~DirectoryWriter();

  const std::filesystem::path& folder() const { return folder_; }
  /// `config` gets its format and the manifest of all files in folder().
  void commit(Json config);

 private:
  std::filesystem::path directory_, folder_;
  int lock_ = -1;
  bool made_ = false, moving_ = false;
};

}  // namespace qkv
