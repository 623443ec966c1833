// The files of a folder by their endings.
#pragma once

#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace qkv {

/// Endings of what this room reads, in lower case.
std::span<const std::string_view> picture_endings();
std::span<const std::string_view> sound_endings();

/// The files directly in a folder that have one of these endings (in either case) and do not begin
/// with a point, sorted by the bytes of their names. Throws FileError when it cannot be read.
std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder,
                                            std::span<const std::string_view> endings);
/// Its folders, likewise.
std::vector<std::filesystem::path> folders_in(const std::filesystem::path& folder);

}  // namespace qkv
