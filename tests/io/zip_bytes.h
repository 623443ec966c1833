// Zips as tests want them: good ones, and such as no program would write.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <zlib.h>

#include "qkv/base/file.h"
#include "qkv/io/directory.h"

namespace qkv {

/// What a member says of itself, where that is not the truth.
struct ZipLies {
  std::optional<std::uint32_t> size = {}, packed = {}, crc32 = {};  // of both of its headers
  std::optional<std::uint16_t> method = {};
  std::uint16_t flags = 0;        // 1: encrypted
  std::uint16_t mode = 0100644;   // what Unix keeps of a file
  std::optional<std::size_t> at;  // where its local header lies
};

class ZipBytes {
 public:
  ZipBytes& add(const std::string& name, std::string bytes, bool deflate = false,
                const ZipLies& lies = {}) {
    Header h{.name = name, .lies = lies, .at = lies.at.value_or(local_.size())};
    h.method = lies.method.value_or(deflate ? 8 : 0);
    h.size = lies.size.value_or(static_cast<std::uint32_t>(bytes.size()));
    h.crc32 = lies.crc32.value_or(checksum(bytes));
    if (deflate) bytes = deflated(bytes);
    h.packed = lies.packed.value_or(static_cast<std::uint32_t>(bytes.size()));
    if (!lies.at) {
      put4(local_, 0x04034b50), common(local_, h), local_ += name;
      local_ += bytes;
    }
    headers_.push_back(std::move(h));
    return *this;
  }
  std::string whole() const {
    std::string central;
    for (const Header& h : headers_) {
      put4(central, 0x02014b50), put2(central, (3 << 8) | 20), common(central, h);
      put2(central, 0), put2(central, 0), put2(central, 0);  // comment, disk, internal
      put4(central, std::uint32_t{h.lies.mode} << 16);
      put4(central, static_cast<std::uint32_t>(h.at));
      central += h.name;
    }
    std::string all = local_ + central;
    put4(all, 0x06054b50), put4(all, 0);
    put2(all, static_cast<std::uint16_t>(headers_.size()));
    put2(all, static_cast<std::uint16_t>(headers_.size()));
    put4(all, static_cast<std::uint32_t>(central.size()));
    put4(all, static_cast<std::uint32_t>(local_.size())), put2(all, 0);
    return all;
  }

 private:
  struct Header {
    std::string name;
    ZipLies lies;
    std::size_t at = 0;
    std::uint16_t method = 0;
    std::uint32_t size = 0, packed = 0, crc32 = 0;
  };
  static void put2(std::string& to, std::uint16_t n) {
    to += static_cast<char>(n & 0xFF), to += static_cast<char>(n >> 8);
  }
  static void put4(std::string& to, std::uint32_t n) {
    put2(to, static_cast<std::uint16_t>(n)), put2(to, static_cast<std::uint16_t>(n >> 16));
  }
  /// What both headers of a member begin with.
  static void common(std::string& to, const Header& h) {
    put2(to, 20), put2(to, h.lies.flags), put2(to, h.method), put2(to, 0), put2(to, 0x21);
    put4(to, h.crc32), put4(to, h.packed), put4(to, h.size);
    put2(to, static_cast<std::uint16_t>(h.name.size())), put2(to, 0);
  }
  static std::string deflated(const std::string& bytes) {
    z_stream z{};
    ::deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
    std::string out(::deflateBound(&z, bytes.size()), '\0');
    std::string in = bytes;
    z.next_in = reinterpret_cast<Bytef*>(in.data());
    z.avail_in = static_cast<uInt>(in.size());
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    ::deflate(&z, Z_FINISH);
    out.resize(z.total_out);
    ::deflateEnd(&z);
    return out;
  }

  std::string local_;
  std::vector<Header> headers_;
};

/// All files of a folder, beneath a folder `top` of the zip.
inline std::string zip_of(const std::filesystem::path& folder, const std::string& top) {
  ZipBytes zip;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const std::string name = std::filesystem::relative(entry.path(), folder).string();
    zip.add(top + "/" + name, read_file(entry.path()), true);
  }
  return zip.whole();
}

}  // namespace qkv
