#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/io/json.h"

namespace qkv {
namespace {

class AppendFile {
 public:
  explicit AppendFile(const std::filesystem::path& path)
      : path_(path.string()),
        fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
    if (fd_ < 0) give_up("open");
    size_ = ::lseek(fd_, 0, SEEK_END);
    if (size_ < 0) give_up("seek in");
  }
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;
  ~AppendFile() {
    if (fd_ >= 0) ::close(fd_);
  }

  /// What follows the last newline.
  std::string torn_line() const {
    std::string tail;
    char block[4096];
    for (off_t end = size_; end > 0;) {
      const auto length = static_cast<std::size_t>(std::min<off_t>(end, sizeof block));
      end -= static_cast<off_t>(length);
      if (::pread(fd_, block, length, end) != static_cast<ssize_t>(length)) give_up("read");
      const std::string_view bytes(block, length);
      const auto newline = bytes.rfind('\n');
      if (newline != bytes.npos) return std::string(bytes.substr(newline + 1)) + tail;
      tail.insert(0, bytes);
    }
    return tail;
  }

  void cut(std::size_t bytes) {
    size_ -= static_cast<off_t>(bytes);
    if (::ftruncate(fd_, size_) != 0) give_up("truncate");
  }

  /// All of the bytes or none.
  void append(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        const int code = errno;
        // When even this fails the torn line stays, and readers know how to leave it out.
        [[maybe_unused]] const int cut = ::ftruncate(fd_, size_);
        errno = code;
        give_up("append to");
      }
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }

 private:
  [[noreturn]] void give_up(std::string_view what) const {
    const int code = errno;
    fail<FileError>("{}: cannot {}: {}", path_, what, std::strerror(code));
  }

  std::string path_;
  int fd_;
  off_t size_ = 0;
};

}  // namespace

std::vector<Json> parse_jsonl(std::string_view text, std::string_view name) {
  std::vector<Json> lines;
  for (std::int64_t number = 1; !text.empty(); ++number) {
    const auto newline = text.find('\n');
    const bool whole = newline != text.npos;
    const std::string_view line = text.substr(0, newline);
    text.remove_prefix(whole ? newline + 1 : text.size());
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    try {
      lines.push_back(parse_json(line, name, number));
    } catch (const DataError&) {
      if (whole) throw;
    }
  }
  return lines;
}

std::vector<Json> read_jsonl(const std::filesystem::path& path) {
  return parse_jsonl(read_file(path), path.string());
}

void append_jsonl(const std::filesystem::path& path, const Json& json) {
  // A report must not end the training because of an odd byte in it, so bad UTF-8 is replaced.
  std::string line = json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  AppendFile file(path);
  if (const std::string torn = file.torn_line(); !torn.empty()) {
    if (Json::accept(torn)) {
      line.insert(line.begin(), '\n');  // only the newline was lost
    } else {
      file.cut(torn.size());
    }
  }
  file.append(line);
}

}  // namespace qkv
