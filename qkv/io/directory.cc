#include "qkv/io/directory.h"

#include <algorithm>
#include <cinttypes>
#include <system_error>
#include <utility>
#include <vector>

#include <sys/stat.h>
#include <zlib.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/base/parallel.h"
#include "qkv/io/manifest.h"
#include "qkv/io/quote.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;

/// Throws unless there is a directory with a config.json in it.
void require_config(const fs::path& directory) {
  const std::string name = directory.string();
  std::error_code code;
  const fs::file_status status = fs::status(directory, code);
  if (status.type() == fs::file_type::not_found) {
    fail<FileError>("{}: no such model directory; check the path or train a model first", name);
  }
  if (code) fail<FileError>("{}: cannot look into the model directory: {}", name, code.message());
  if (!fs::is_directory(status)) {
    fail<FileError>("{}: is a file; name the model directory that holds it", name);
  }
  const fs::path config = directory / kConfigFile;
  if (fs::exists(config, code)) return;
  if (code) fail<FileError>("{}: cannot look for it: {}", config.string(), code.message());
  const bool training = fs::exists(directory / kStateFolder, code);
  fail<FileError>("{}: is no model directory: it has no {}{}", name, kConfigFile,
                  training ? "; its training has not kept a model yet, resume it" : "");
}

/// The text of config.json. A program that moves a new model in takes the old one's away first.
std::string config_text(const fs::path& directory) {
  const fs::path config = directory / kConfigFile;
  for (int attempt = 0;; ++attempt) {
    manifest::recover(directory);
    try {
      require_config(directory);
      return read_file(config);
    } catch (const FileError&) {
      std::error_code code;
      const bool moving =
          fs::exists(directory / kSavingFolder, code) || fs::is_regular_file(config, code);
      if (!moving || attempt > 100) throw;
    }
  }
}

void require_format(const Json& json, const std::string& path) {
  FieldReader fields(json, path);
  if (!fields.has("format")) {
    throw DataError(path, 0, "has no field 'format'; this is no model of qkv");
  }
  const std::int64_t format = fields.integer("format", {.least = 1});
  if (format > kModelFormat) {
    throw DataError(path, 0,
                    fmt::format("the model has format {}, this program reads format {}; use a "
                                "newer qkv",
                                format, kModelFormat));
  }
}

[[noreturn]] void mixed(const std::string& file, std::string_view what, const std::string& config) {
  throw DataError(file, 0,
                  fmt::format("{}, not those of the manifest in {}; damaged, or files of two "
                              "models mixed; copy the whole directory again",
                              what, config));
}

}  // namespace

std::uint32_t checksum(std::span<const std::byte> bytes) {
  constexpr std::int64_t kPiece = 1 << 20;
  const auto size = static_cast<std::int64_t>(bytes.size());
  std::vector<uLong> sums(static_cast<std::size_t>((size + kPiece - 1) / kPiece));
  parallel_for(size, kPiece, [&](std::int64_t begin, std::int64_t end) {
    sums[static_cast<std::size_t>(begin / kPiece)] =
        ::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()) + begin,
                  static_cast<std::size_t>(end - begin));
  });
  uLong sum = 0;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const std::int64_t begin = static_cast<std::int64_t>(i) * kPiece;
    sum = ::crc32_combine(sum, sums[i], static_cast<z_off_t>(std::min(kPiece, size - begin)));
  }
  return static_cast<std::uint32_t>(sum);
}

std::uint32_t file_checksum(const fs::path& path) {
  const MappedFile file(path);
  return checksum(file.bytes());
}

Json require_model_directory(const fs::path& directory) {
  const std::string path = (directory / kConfigFile).string();
  Json json = parse_json(config_text(directory), path);
  require_format(json, path);
  return json;
}

ModelDirectory::ModelDirectory(fs::path directory) : directory_(std::move(directory)) {
  // First: what is put in its place from here on is another file.
  identity_ = identity();
  text_ = config_text(directory_);
  config_ = parse_json(text_, config_path());
  // Other programs have no manifest, or keep one of ours without knowing what it says.
  if (!config_.is_object() || !config_.contains("format") ||
      config_.contains("transformers_version")) {
    return;
  }
  requires_manifest_ = config_["format"] == Json(kModelFormat);
  if (const auto found = config_.find(kManifest); found != config_.end()) {
    manifest_ = *found;
    if (!manifest_.is_object()) {
      FieldReader(config_, config_path()).wrong(kManifest, "an object");
    }
    config_.erase(found);
  }
}

const Json& ModelDirectory::config() const {
  require_format(config_, config_path());
  return config_;
}

void ModelDirectory::know(std::string_view name, std::uint64_t bytes, std::uint32_t crc32) const {
  known_[std::string(name)] = {bytes, crc32};
}

ModelDirectory::Identity ModelDirectory::identity() const {
  struct stat s {};
  if (::stat(file(kConfigFile).c_str(), &s) != 0) return {};
  return {s.st_dev, s.st_ino, s.st_mtim.tv_sec, s.st_mtim.tv_nsec};
}

bool ModelDirectory::unchanged() const {
  try {
    return identity() == identity_ && read_file(file(kConfigFile)) == text_;
  } catch (const FileError&) {
    return false;
  }
}

void ModelDirectory::check_file(const std::string& name, const Json& entry) const {
  const std::string field = fmt::format("{}.files.{}.", kManifest, name);
  FieldReader reader(entry, config_path(), field);
  const std::int64_t bytes = reader.integer("bytes", {.least = 0});
  const std::string crc32 = reader.text("crc32");
  reader.finish();
  if (name.empty() || name.front() == '.' || name.find('/') != name.npos) {
    throw DataError(config_path(), 0,
                    fmt::format("the manifest names {}, which is no file of a model directory",
                                in_quotes(name)));
  }
  const fs::path path = file(name);
  auto found = known_.find(name);
  if (found == known_.end()) {
    std::error_code code;
    if (!fs::exists(path, code)) {
      throw DataError(path.string(), 0,
                      fmt::format("is missing, but stands in the manifest of {}; copy the whole "
                                  "directory again",
                                  config_path()));
    }
    const MappedFile map(path);
    found = known_.insert_or_assign(name, File{map.bytes().size(), checksum(map.bytes())}).first;
  }
  if (found->second.bytes != static_cast<std::uint64_t>(bytes)) {
    mixed(path.string(), fmt::format("has {} bytes", found->second.bytes), config_path());
  }
  if (const std::string sum = manifest::hexadecimal(found->second.crc32); sum != crc32) {
    mixed(path.string(), fmt::format("its bytes have checksum {}", sum), config_path());
  }
}

void ModelDirectory::check() const {
  if (!has_manifest()) {
    if (!requires_manifest_) return;
    throw DataError(config_path(), 0,
                    fmt::format("has no field 'manifest', as every model of format {} has; copy it "
                                "again, or set 'format' to 1 if it was changed on purpose",
                                kModelFormat));
  }
  FieldReader reader(manifest_, config_path(), fmt::format("{}.", kManifest));
  const std::string sum = reader.text("config");
  (void)reader.object("files");
  reader.finish();
  if (sum != manifest::config_checksum(config_)) {
    throw DataError(config_path(), 0,
                    "is not as it was written (its checksum in the manifest differs); copy it "
                    "again, or remove the field 'manifest' and set 'format' to 1 if it was changed "
                    "on purpose");
  }
  for (const auto& [name, entry] : manifest_["files"].items()) check_file(name, entry);
}

}  // namespace qkv
