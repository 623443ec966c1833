// Text by line, from a plain or gzipped file or from standard input. Windows line ends and a byte
// order mark are taken away; what is not UTF-8 text is refused with its file and line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

/// Bytes a line may have unless said otherwise: far beyond any sentence, far below what memory a
/// device without an end or a small file of one long line would ask for.
inline constexpr std::size_t kLongestLine = std::size_t{64} << 20;

class LineReader {
 public:
  /// "-" is standard input. Whether the bytes are gzip is told by their first two, not by the name.
  /// Behind the end of gzip data another member may follow; zeros are padding; at any other bytes
  /// the text ends, with a notice(). Throws FileError when the file cannot be opened.
  explicit LineReader(std::string path, std::size_t longest_line = kLongestLine);
  LineReader(LineReader&&) noexcept;
  LineReader& operator=(LineReader&&) noexcept;
  ~LineReader();

  /// The next line without its end; false after the last. Throws DataError for a NUL byte, bad
  /// UTF-8, a line that is too long, a damaged or truncated gzip file, FileError when reading
  /// fails.
  bool next(std::string& line);
  /// Whether next() has something to say at once. When not, a program that answers line by line
  /// should answer what it has.
  bool ready() const;

  /// The number of the line that next() gave last, from 1.
  std::int64_t line_number() const { return line_; }
  /// The path, or "<stdin>".
  const std::string& name() const { return name_; }

 private:
  class Bytes;
  void check(std::string_view line) const;
  [[noreturn]] void refuse_length() const;

  std::string name_;
  std::unique_ptr<Bytes> bytes_;
  std::size_t longest_;
  std::string buffer_;  // bytes read but not yet given out begin at `begin_`
  std::size_t begin_ = 0;
  bool ended_ = false;
  std::int64_t line_ = 0;
};

/// All lines of a file.
std::vector<std::string> read_lines(const std::string& path);

}  // namespace qkv
