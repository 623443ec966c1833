#include "qkv/media/gunzip.h"

#include <algorithm>
#include <memory>

#include <zlib.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"

namespace qkv {
namespace {

struct End {
  void operator()(z_stream* stream) const { inflateEnd(stream); }
};

}  // namespace

std::string gunzip(std::string bytes, std::string_view name, std::uint64_t most) {
  if (!bytes.starts_with("\x1f\x8b")) return bytes;
  constexpr int kGzip = 15 + 16;  // largest window, gzip header
  constexpr std::size_t kChunk = std::size_t{1} << 18;
  z_stream stream{};
  if (inflateInit2(&stream, kGzip) != Z_OK) fail("{}: zlib has no memory", name);
  const std::unique_ptr<z_stream, End> end(&stream);
  std::string out;
  std::size_t taken = 0;
  for (;;) {
    const std::size_t before = out.size();
    out.resize(before + kChunk);
    stream.next_in = reinterpret_cast<Bytef*>(bytes.data() + taken);
    stream.avail_in = static_cast<uInt>(std::min(bytes.size() - taken, kChunk));
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + before);
    stream.avail_out = static_cast<uInt>(kChunk);
    const uInt given = stream.avail_in;
    const int status = inflate(&stream, Z_NO_FLUSH);
    taken += given - stream.avail_in;
    out.resize(before + kChunk - stream.avail_out);
    if (out.size() > most) {
      throw DataError(name, 0, fmt::format("unpacks to more than {} bytes", most));
    }
    if (status == Z_STREAM_END) {
      if (bytes.find_first_not_of('\0', taken) == std::string::npos) return out;
      if (inflateReset(&stream) != Z_OK) fail("{}: zlib cannot go on", name);
    } else if (status == Z_BUF_ERROR && taken == bytes.size()) {
      throw DataError(name, 0, "the gzip file is truncated; copy it again");
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      throw DataError(name, 0, "the gzip file is damaged; copy it again");
    }
  }
}

std::string read_unpacked(const std::filesystem::path& path) {
  return gunzip(read_file(path), path.string());
}

}  // namespace qkv
