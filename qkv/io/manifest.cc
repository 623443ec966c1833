#include "qkv/io/manifest.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/io/directory.h"

namespace qkv::manifest {
namespace {

namespace fs = std::filesystem;

// What models of format 1 consist of.
constexpr const char* kOldNames[] = {
    "model.safetensors",     "vocab.txt",       "words.vocabulary",
    "characters.vocabulary", "tags.vocabulary", "classes.vocabulary",
    "source.tokeniser.json", "source.vocab",    "source.model",
    "target.tokeniser.json", "target.vocab",    "target.model",
    "joint.tokeniser.json",  "joint.vocab",     "joint.model",
    "text.tokeniser.json",   "text.vocab",      "text.model"};

/// A rename that may have been done before.
void move(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) == 0 || errno == ENOENT) return;
  fail<FileError>("{}: cannot put the saved file in its place: {}", to.string(),
                  std::strerror(errno));
}

Json read_if_there(const fs::path& path) {
  std::error_code code;
  if (!fs::exists(path, code)) return {};
  try {
    return read_json(path);
  } catch (const Error&) {
    return {};  // the old model was damaged; it goes anyway
  }
}

}  // namespace

std::string hexadecimal(std::uint32_t sum) { return fmt::format("{:08x}", sum); }

std::string config_checksum(Json config) {
  config.erase(kManifest);
  try {
    return hexadecimal(checksum(config.dump()));
  } catch (const Json::exception&) {
    fail("{}: cannot write text that is not UTF-8", kConfigFile);
  }
}

Json of(const Json& config, const fs::path& folder) {
  Json files = Json::object();
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    files[entry.path().filename().string()] = {{"bytes", entry.file_size()},
                                               {"crc32", hexadecimal(file_checksum(entry.path()))}};
  }
  return {{"config", config_checksum(config)}, {"files", std::move(files)}};
}

std::set<std::string> files_of(const Json& config) {
  std::set<std::string> names;
  if (!config.is_object() || !config.contains("format")) return names;
  if (!config.contains(kManifest)) return {std::begin(kOldNames), std::end(kOldNames)};
  const Json& manifest = config[kManifest];
  if (!manifest.is_object() || !manifest.contains("files")) return names;
  for (const auto& [name, entry] : manifest["files"].items()) {
    if (!name.empty() && name.front() != '.' && name.find('/') == name.npos) names.insert(name);
  }
  names.erase(kConfigFile);
  return names;
}

bool half_moved(const fs::path& directory) {
  std::error_code code;
  return fs::exists(directory / kSavingFolder / kConfigFile, code) &&
         !fs::exists(directory / kConfigFile, code);
}

void finish_move(const fs::path& directory) {
  const fs::path saved = directory / kSavingFolder;
  const std::set<std::string> fresh = files_of(read_json(saved / kConfigFile));
  for (const std::string& name : fresh) move(saved / name, directory / name);
  std::error_code code;
  for (const std::string& name : files_of(read_if_there(saved / kReplaced))) {
    if (!fresh.contains(name)) fs::remove(directory / name, code);
  }
  sync_folder(directory);
  move(saved / kConfigFile, directory / kConfigFile);
  sync_folder(directory);
  fs::remove_all(saved, code);
}

int try_lock(const fs::path& folder) {
  const int lock = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock < 0) return -1;
  struct stat held {
  }, there{};
  // Where locks do not exist at all (some network disks) nobody can hold one.
  const bool free = ::flock(lock, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
  if (free && ::fstat(lock, &held) == 0 && ::stat(folder.c_str(), &there) == 0 &&
      held.st_ino == there.st_ino) {
    return lock;
  }
  ::close(lock);
  return -1;
}

void unlock(int lock) {
  if (lock >= 0) ::close(lock);
}

void recover(const fs::path& directory) {
  constexpr int kAttempts = 500;  // 5 s; a move takes some milliseconds
  for (int attempt = 0; half_moved(directory) && attempt < kAttempts; ++attempt) {
    if (const int lock = try_lock(directory / kSavingFolder); lock >= 0) {
      try {
        if (half_moved(directory)) finish_move(directory);
      } catch (...) {
        unlock(lock);
        throw;
      }
      unlock(lock);
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
}

}  // namespace qkv::manifest
