#include "qkv/io/archive.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <sys/stat.h>
#include <zip.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/base/utf8.h"
#include "qkv/io/quote.h"

namespace qkv {
namespace {

/// Why no file can have this name here; empty when one can.
std::string_view fault_of_name(std::string_view name) {
  if (name.empty()) return "has no name";
  if (first_bad_byte(name)) return "has a name that is no UTF-8 text";
  if (name.front() == '/' || (name.size() > 1 && name[1] == ':')) return "has an absolute name";
  if (name.find('\\') != name.npos) return "has a name with a backslash";
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t end = std::min(name.find('/', at), name.size());
    const std::string_view part = name.substr(at, end - at);
    if (part == "..") return "has a name that leads out of the archive";
    if (part == "." || (part.empty() && end < name.size())) return "has a name with an empty part";
    at = end + 1;
  }
  return {};
}

/// Why a member cannot be read; empty when it can.
std::string fault_of(const zip_stat_t& s, std::size_t file, const ArchiveLimits& limits) {
  constexpr zip_uint64_t kAll = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_CRC |
                                ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
  if ((s.valid & kAll) != kAll) return "does not say its sizes";
  if (s.encryption_method != ZIP_EM_NONE) return "is encrypted";
  if (s.comp_method != ZIP_CM_STORE && s.comp_method != ZIP_CM_DEFLATE) {
    return fmt::format("is packed by method {}; this program reads stored and deflated ones",
                       s.comp_method);
  }
  if (s.comp_size > file) return "says that it is larger than the whole file";
  if (s.comp_method == ZIP_CM_STORE && s.size != s.comp_size) {
    return fmt::format("is stored, but says {} bytes packed and {} unpacked", s.comp_size, s.size);
  }
  if (s.size == 0 && s.crc != 0) return "says that it is empty, but not by its checksum";
  if (s.size > limits.small && s.size / limits.ratio > s.comp_size) {
    return fmt::format("becomes {} bytes of {}, as no model does: a zip bomb", s.size, s.comp_size);
  }
  return {};
}

/// Neither a file nor a folder, by what Unix keeps of it.
bool is_special(zip_t* archive, zip_uint64_t index) {
  zip_uint8_t system = 0;
  zip_uint32_t attributes = 0;
  if (zip_file_get_external_attributes(archive, index, 0, &system, &attributes) != 0) return true;
  const auto kind = (attributes >> 16) & S_IFMT;
  return system == ZIP_OPSYS_UNIX && kind != 0 && kind != S_IFREG && kind != S_IFDIR;
}

}  // namespace

Archive::Archive(const std::filesystem::path& path, const ArchiveLimits& limits)
    : path_(path.string()) {
  auto file = std::make_shared<const MappedFile>(path);
  bytes_ = file->bytes();
  owner_ = std::move(file);
  open(limits);
}

Archive::Archive(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                 std::string name, const ArchiveLimits& limits)
    : owner_(std::move(owner)), bytes_(bytes), path_(std::move(name)) {
  open(limits);
}

void Archive::open(const ArchiveLimits& limits) {
  zip_error_t error;
  zip_error_init(&error);
  const auto fail_with = [&] {
    const bool twice = zip_error_code_zip(&error) == ZIP_ER_EXISTS;
    const std::string reason =
        twice ? "has a member that is there twice"
              : fmt::format("is no zip, or a damaged one ({})", zip_error_strerror(&error));
    zip_error_fini(&error);
    throw DataError(path_, 0, reason);
  };
  if (bytes_.empty()) throw DataError(path_, 0, "is no zip: it is empty");  // libzip: a new one
  zip_source_t* source = zip_source_buffer_create(bytes_.data(), bytes_.size(), 0, &error);
  if (source == nullptr) fail_with();
  zip_t* archive = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error);
  if (archive == nullptr) {
    zip_source_free(source);
    fail_with();
  }
  zip_error_fini(&error);
  zip_ = std::shared_ptr<zip>(archive, zip_discard);
  const auto count = static_cast<std::uint64_t>(zip_get_num_entries(archive, 0));
  if (count > limits.members) {
    throw DataError(path_, 0, fmt::format("has {} members, no model has so many", count));
  }
  std::uint64_t unpacked = 0, packed = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    zip_stat_t s;
    if (zip_stat_index(archive, i, ZIP_FL_ENC_RAW, &s) != 0 || (s.valid & ZIP_STAT_NAME) == 0) {
      throw DataError(path_, 0, fmt::format("member {} cannot be read", i + 1));
    }
    const std::string name = s.name;
    if (const std::string_view fault = fault_of_name(name); !fault.empty()) refuse(name, fault);
    if (is_special(archive, i)) refuse(name, "is a link, or no file at all");
    if (const std::string fault = fault_of(s, bytes_.size(), limits); !fault.empty()) {
      refuse(name, fault);
    }
    unpacked += s.size;
    packed += s.comp_size;
    if (unpacked > limits.total) refuse(name, "makes the archive larger than any model");
    if (packed > bytes_.size()) refuse(name, "shares its bytes with other members");
    if (!name.ends_with('/') && !members_.emplace(name, Member{i, s.size}).second) {
      refuse(name, "is there twice");
    }
  }
}

void Archive::refuse(std::string_view name, std::string_view reason) const {
  throw DataError(path_, 0, fmt::format("member {} {}", in_quotes(name), reason));
}

const Archive::Member& Archive::find(std::string_view name) const {
  const auto found = members_.find(name);
  if (found == members_.end()) refuse(name, "is not there");
  return found->second;
}

std::vector<std::string> Archive::names() const {
  std::vector<std::string> names;
  for (const auto& entry : members_) names.push_back(entry.first);
  return names;
}

std::uint64_t Archive::size(std::string_view name) const { return find(name).size; }

std::string Archive::read(std::string_view name) const {
  const Member& member = find(name);
  const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> file(
      zip_fopen_index(zip_.get(), member.index, 0), zip_fclose);
  if (!file) refuse(name, fmt::format("cannot be read: {}", zip_strerror(zip_.get())));
  std::string bytes(static_cast<std::size_t>(member.size), '\0');
  std::uint64_t done = 0;
  char beyond = 0;  // the end is read too: libzip compares the checksum there
  for (;;) {
    const bool full = done == member.size;
    const zip_int64_t n =
        zip_fread(file.get(), full ? &beyond : bytes.data() + done, full ? 1 : member.size - done);
    if (n < 0) refuse(name, fmt::format("is damaged: {}", zip_file_strerror(file.get())));
    if (n == 0 && full) return bytes;
    if (n == 0 || full) {
      refuse(name, fmt::format("is {} than the {} bytes that it says", full ? "more" : "less",
                               member.size));
    }
    done += static_cast<std::uint64_t>(n);
  }
}

bool is_archive(const std::filesystem::path& path) {
  std::error_code code;
  if (!std::filesystem::is_regular_file(path, code)) return false;
  const MappedFile file(path);
  const std::string_view bytes(reinterpret_cast<const char*>(file.bytes().data()),
                               file.bytes().size());
  return bytes.starts_with("PK\3\4") || bytes.starts_with("PK\5\6");
}

}  // namespace qkv
