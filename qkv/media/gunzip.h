// Whole files that may be gzipped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace qkv {

/// Bytes that a packed file may become.
inline constexpr std::uint64_t kMostUnpacked = std::uint64_t{1} << 31;

/// The bytes themselves, or what they hold when they begin as gzip does (several members one after
/// another as well). Throws DataError, naming the file, for damage, a cut and more than `most`.
std::string gunzip(std::string bytes, std::string_view name, std::uint64_t most = kMostUnpacked);
/// Of a file; throws FileError when it cannot be read.
std::string read_unpacked(const std::filesystem::path& path);

}  // namespace qkv
