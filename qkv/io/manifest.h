// The manifest of a model directory and the move of a new model to its place; for directory.cc and
// directory_writer.cc.
#pragma once

#include <filesystem>
#include <set>
#include <string>

#include "qkv/io/json.h"

namespace qkv::manifest {

/// The checksum of a configuration: of its text without the manifest.
std::string config_checksum(Json config);
/// {"config": …, "files": …} for a configuration and all files of a folder.
Json of(const Json& config, const std::filesystem::path& folder);
std::string hexadecimal(std::uint32_t sum);
/// The files that a configuration says are the model's own, config.json left out: those of the
/// manifest; of format 1 all names that it ever had. None for a foreign one.
std::set<std::string> files_of(const Json& config);

/// The old configuration while a new model takes its place.
constexpr const char* kReplaced = "replaced.json";
/// Whether the new model in the saving folder is complete and the old one has begun to go.
bool half_moved(const std::filesystem::path& directory);
/// Moves what is left of a complete new model to its place. May be repeated.
void finish_move(const std::filesystem::path& directory);
/// A lock on a folder that ends with the process: a descriptor, −1 when another one holds it.
int try_lock(const std::filesystem::path& folder);
void unlock(int lock);
/// Waits for another program that is moving a model here, or finishes the move when it was cut off.
void recover(const std::filesystem::path& directory);

}  // namespace qkv::manifest
