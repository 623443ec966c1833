// Whole files. Writing never damages what was there: bytes go to a temporary name in the same
// folder, are synced and renamed into place.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

namespace qkv {

/// The bytes of a file; throws FileError with the system's reason.
std::string read_file(const std::filesystem::path& path);

/// Calls `write(append)` where append(bytes) adds to the new file; then sync + rename. On any error
/// (full disk included) the temporary file is removed, the old file is untouched, FileError is
/// thrown. Temporary files of `path` whose writer was killed are removed as well.
void write_file(const std::filesystem::path& path,
                const std::function<void(const std::function<void(std::string_view)>&)>& write);
void write_file(const std::filesystem::path& path, std::string_view bytes);

/// Makes a folder and those above it; there already is fine. Throws FileError.
void make_folder(const std::filesystem::path& folder);
/// Makes new names in a folder durable, as far as the system can.
void sync_folder(const std::filesystem::path& folder);

/// Fails early where a folder could not be made or written to; makes nothing.
void require_writable(const std::filesystem::path& directory);
/// Puts the new folder in the place of the old one, at no moment with neither where the system can;
/// where it cannot, the old one stands at `aside` meanwhile. Says what went wrong.
std::error_code exchange_folders(const std::filesystem::path& fresh,
                                 const std::filesystem::path& old,
                                 const std::filesystem::path& aside);

/// A read-only memory map; moves, does not copy. An empty file maps to an empty span.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();
  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace qkv
