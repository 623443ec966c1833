#include "qkv/data/lines.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "qkv/base/error.h"
#include "qkv/base/notice.h"
#include "qkv/base/utf8.h"

namespace qkv {
namespace {

constexpr std::size_t kChunk = 1 << 16;
constexpr int kGzip = 15 + 16;  // zlib: largest window, gzip header

}  // namespace

// A descriptor, seen through inflate when its first bytes are those of gzip. zlib's own gzFile
// would wait for a full buffer, so that a line typed into a pipe would not be answered.
class LineReader::Bytes {
 public:
  Bytes(const std::string& path, const std::string& name) : name_(name) {
    if (path != "-") {
      descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
      if (descriptor_ < 0) fail<FileError>("{}: cannot open: {}", name_, std::strerror(errno));
      owned_ = true;
      struct stat info {};
      if (::fstat(descriptor_, &info) == 0 && S_ISDIR(info.st_mode)) {
        ::close(descriptor_);
        fail<FileError>("{}: is a directory, expected a text file", name_);
      }
    }
  }
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;
  ~Bytes() {
    if (gzip_) ::inflateEnd(&inflate_);
    if (owned_) ::close(descriptor_);
  }

  // Appends some bytes; false at the end.
  bool append_to(std::string& text, std::int64_t line) {
    if (!started_) start();
    if (gzip_) return inflate_to(text, line);
    if (have_ == 0 && !fill()) return false;
    text.append(chunk_.data() + at_, have_);
    have_ = 0;
    return true;
  }

  bool readable() const {
    if (have_ > 0) return true;
    pollfd wait{descriptor_, POLLIN, 0};
    return ::poll(&wait, 1, 0) != 0;
  }

 private:
  // Adds bytes behind those at hand, which are first moved to the front; false at the end.
  bool fill() {
    std::memmove(chunk_.data(), chunk_.data() + at_, have_);
    at_ = 0;
    for (;;) {
      const ssize_t n = ::read(descriptor_, chunk_.data() + have_, chunk_.size() - have_);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail<FileError>("{}: cannot read: {}", name_, std::strerror(errno));
      have_ += static_cast<std::size_t>(n);
      return n > 0;
    }
  }

  void start() {
    started_ = true;
    while (have_ < 2 && fill()) {
    }
    gzip_ = have_ >= 2 && starts_member();
    if (gzip_ && ::inflateInit2(&inflate_, kGzip) != Z_OK) fail("{}: zlib has no memory", name_);
  }

  bool starts_member() const { return chunk_[at_] == '\x1f' && chunk_[at_ + 1] == '\x8b'; }

  // After a member: whether another one begins. Zeros are padding, as tapes and devices leave it;
  // at other bytes gzip, too, keeps what it has read and warns.
  bool next_member() {
    for (;;) {
      while (have_ > 0 && chunk_[at_] == '\0') {
        ++at_;
        --have_;
      }
      if (have_ >= 2 || !fill()) break;
    }
    if (have_ == 0) return false;
    if (have_ >= 2 && starts_member()) return true;
    notice(fmt::format("{}: bytes behind the end of the gzip data are passed over", name_));
    have_ = 0;
    tail_ = true;
    return false;
  }

  bool inflate_to(std::string& text, std::int64_t line) {
    const std::size_t before = text.size();
    while (text.size() == before) {
      if (tail_) return false;
      if (member_ended_) {  // files may be several gzip members, one after another
        if (!next_member()) return false;
        if (::inflateReset(&inflate_) != Z_OK) fail("{}: zlib cannot go on", name_);
        member_ended_ = false;
      }
      if (have_ == 0 && !fill()) {
        throw DataError(name_, line, "the gzip file is truncated; copy it again");
      }
      text.resize(before + kChunk);
      inflate_.next_in = reinterpret_cast<Bytef*>(chunk_.data() + at_);
      inflate_.avail_in = static_cast<uInt>(have_);
      inflate_.next_out = reinterpret_cast<Bytef*>(text.data() + before);
      inflate_.avail_out = static_cast<uInt>(kChunk);
      const int status = ::inflate(&inflate_, Z_NO_FLUSH);
      at_ += have_ - inflate_.avail_in;
      have_ = inflate_.avail_in;
      text.resize(before + kChunk - inflate_.avail_out);
      if (status == Z_STREAM_END) {
        member_ended_ = true;
      } else if (status != Z_OK && status != Z_BUF_ERROR) {
        throw DataError(name_, line, "the gzip file is damaged; copy it again");
      }
    }
    return true;
  }

  const std::string name_;
  int descriptor_ = STDIN_FILENO;
  bool owned_ = false;
  bool started_ = false;
  bool gzip_ = false;
  bool member_ended_ = false;
  bool tail_ = false;  // what is left is no gzip data
  z_stream inflate_ = {};
  std::array<char, kChunk> chunk_;
  std::size_t at_ = 0, have_ = 0;  // bytes of chunk_ that wait
};

LineReader::LineReader(std::string path, std::size_t longest_line)
    : name_(path == "-" ? "<stdin>" : path),
      bytes_(std::make_unique<Bytes>(path, name_)),
      longest_(longest_line) {}
LineReader::LineReader(LineReader&&) noexcept = default;
LineReader& LineReader::operator=(LineReader&&) noexcept = default;
LineReader::~LineReader() = default;

bool LineReader::next(std::string& line) {
  std::size_t searched = begin_;  // no line end before this: long lines are scanned once
  for (;;) {
    const std::size_t end = buffer_.find('\n', searched);
    if (end != std::string::npos || ended_) {
      const std::size_t stop = std::min(end, buffer_.size());
      if (end == std::string::npos && begin_ == stop) return false;
      if (stop - begin_ > longest_) refuse_length();
      std::string_view found(buffer_.data() + begin_, stop - begin_);
      begin_ = std::min(stop + 1, buffer_.size());
      ++line_;
      if (line_ == 1 && found.starts_with("\xEF\xBB\xBF")) found.remove_prefix(3);
      if (found.ends_with('\r')) found.remove_suffix(1);
      check(found);
      line.assign(found);
      return true;
    }
    buffer_.erase(0, begin_);
    begin_ = 0;
    searched = buffer_.size();
    if (searched > longest_) refuse_length();
    ended_ = !bytes_->append_to(buffer_, line_ + 1);
  }
}

bool LineReader::ready() const {
  return ended_ || buffer_.find('\n', begin_) != std::string::npos || bytes_->readable();
}

void LineReader::refuse_length() const {
  throw DataError(
      name_, line_ + 1,
      fmt::format("the line has more than {} bytes; is this a text file, with an end to "
                  "each line?",
                  longest_));
}

void LineReader::check(std::string_view line) const {
  if (line_ == 1 && (line.starts_with("\xFF\xFE") || line.starts_with("\xFE\xFF"))) {
    throw DataError(name_, line_, "is UTF-16; convert it: iconv -f UTF-16 -t UTF-8");
  }
  if (line.find('\0') != std::string_view::npos) {
    throw DataError(name_, line_, "holds a NUL byte: this is not a text file");
  }
  if (const std::optional<std::size_t> at = first_bad_byte(line)) {
    throw DataError(name_, line_,
                    fmt::format("byte {} is not UTF-8; convert the file, e.g. "
                                "iconv -f WINDOWS-1252 -t UTF-8",
                                *at + 1));
  }
}

std::vector<std::string> read_lines(const std::string& path) {
  LineReader reader(path);
  std::vector<std::string> lines;
  for (std::string line; reader.next(line);) lines.push_back(line);
  return lines;
}

}  // namespace qkv
