// A zip whose members are read into memory; nothing is ever unpacked onto a disk.
//
// A zip is foreign bytes. Opening one looks at every member and refuses it as a whole for: a name
// that leads elsewhere (absolute, "..", a backslash), one that is there twice, a link or any other
// thing that is no file, an encrypted member, a method but stored and deflated, sizes that
// contradict the file or each other, more than deflating can hide (a zip bomb), or too much in all.
// Reading a member checks its size and checksum.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct zip;  // NOLINT(readability-identifier-naming): libzip's

namespace qkv {

/// What an archive may hold. The weights of the largest translators take some gigabytes.
struct ArchiveLimits {
  std::uint64_t total = std::uint64_t{8} << 30;  // bytes of all members, unpacked
  std::uint64_t members = 10'000;
  /// Bytes that a byte of a deflated member may become, beyond `small` bytes: text and weights
  /// shrink to a tenth at most, deflate itself reaches 1032.
  std::uint64_t ratio = 100;
  std::uint64_t small = std::uint64_t{1} << 20;
};

/// Not for many threads. Errors are DataError with the file and the member.
class Archive {
 public:
  /// Maps the file.
  explicit Archive(const std::filesystem::path& path, const ArchiveLimits& limits = {});
  /// Bytes that are in memory already; `owner` keeps them alive, `name` is for messages.
  Archive(std::span<const std::byte> bytes, std::shared_ptr<const void> owner, std::string name,
          const ArchiveLimits& limits = {});

  const std::string& path() const { return path_; }
  /// Of files, sorted; folders are parts of their names: "model/config.json".
  std::vector<std::string> names() const;
  bool contains(std::string_view name) const { return members_.contains(name); }
  /// Unpacked.
  std::uint64_t size(std::string_view name) const;
  std::string read(std::string_view name) const;

 private:
  struct Member {
    std::uint64_t index = 0, size = 0;
  };
  void open(const ArchiveLimits& limits);
  const Member& find(std::string_view name) const;
  [[noreturn]] void refuse(std::string_view name, std::string_view reason) const;

  std::shared_ptr<const void> owner_;
  std::span<const std::byte> bytes_;
  std::string path_;
  std::shared_ptr<zip> zip_;
  std::map<std::string, Member, std::less<>> members_;
};

/// Whether a file begins as a zip does.
bool is_archive(const std::filesystem::path& path);

}  // namespace qkv
