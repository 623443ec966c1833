#include "qkv/data/lines.h"

#include <thread>

#include "data/notices.h"
#include "text/temporary.h"
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"

namespace qkv {
namespace {

using namespace std::string_view_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::string gzip(std::string_view text) {
  z_stream deflater = {};
  deflateInit2(&deflater, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&deflater, text.size()) + 64, '\0');
  deflater.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  deflater.avail_in = static_cast<uInt>(text.size());
  deflater.next_out = reinterpret_cast<Bytef*>(packed.data());
  deflater.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&deflater, Z_FINISH), Z_STREAM_END);
  packed.resize(deflater.total_out);
  deflateEnd(&deflater);
  return packed;
}

// Writes `bytes` to a file called t.txt and reads its lines.
std::vector<std::string> lines_of(std::string_view bytes) {
  const Temporary folder;
  write_file(folder / "t.txt", bytes);
  return read_lines((folder / "t.txt").string());
}

TEST(Lines, PlainText) {
  EXPECT_THAT(lines_of("a\nb c\n你好\n"), ElementsAre("a", "b c", "你好"));
  EXPECT_THAT(lines_of("no end"), ElementsAre("no end"));
  EXPECT_THAT(lines_of("\n\na\n\n"), ElementsAre("", "", "a", ""));
  EXPECT_TRUE(lines_of("").empty());
  EXPECT_THAT(lines_of("\n"), ElementsAre(""));
  EXPECT_THAT(lines_of("x"), ElementsAre("x"));
}

TEST(Lines, WindowsText) {
  EXPECT_THAT(lines_of("\xEF\xBB\xBFone\r\ntwo\r\n\r\nthree"),
              ElementsAre("one", "two", "", "three"));
  EXPECT_TRUE(lines_of("\xEF\xBB\xBF").empty() || lines_of("\xEF\xBB\xBF")[0].empty());
  EXPECT_THAT(lines_of("a\rb\n"), ElementsAre("a\rb"));  // only at the end of a line
}

TEST(Lines, Gzip) {
  EXPECT_THAT(lines_of(gzip("a\n你好\r\nend")), ElementsAre("a", "你好", "end"));
  EXPECT_TRUE(lines_of(gzip("")).empty());
  EXPECT_THAT(lines_of(gzip("a\nb") + gzip("c\nd\n")), ElementsAre("a", "bc", "d"));  // two members
  EXPECT_THAT(lines_of(gzip("\xEF\xBB\xBFx\n")), ElementsAre("x"));
}

TEST(Lines, GzipOfManyBuffers) {
  std::string text;
  for (int i = 0; i < 200000; ++i) text += std::to_string(i * 7919LL) + "\n";
  const std::vector<std::string> lines = lines_of(gzip(text));
  ASSERT_EQ(lines.size(), 200000u);
  EXPECT_EQ(lines.back(), std::to_string(199999 * 7919LL));
}

TEST(Lines, TruncatedGzipIsAnError) {
  const std::string whole = gzip("one line\nand another\n");
  for (std::size_t size = 2; size < whole.size(); ++size) {
    EXPECT_THAT([&] { lines_of(std::string_view(whole).substr(0, size)); },
                ThrowsMessage<DataError>(HasSubstr("truncated")))
        << size;
  }
  EXPECT_THAT([&] { lines_of(whole + gzip("x").substr(0, 12)); },
              ThrowsMessage<DataError>(HasSubstr("truncated")));
}

TEST(Lines, DamagedGzipIsAnError) {
  const std::string whole = gzip("one line\nand another\n");
  std::string changed = whole;
  changed[changed.size() - 6] ^= 1;  // the checksum
  EXPECT_THAT([&] { lines_of(changed); }, ThrowsMessage<DataError>(HasSubstr("damaged")));
  for (std::size_t i = 2; i < whole.size(); ++i) {
    changed = whole;
    changed[i] ^= 0x55;
    try {
      lines_of(changed);  // some header bytes do not matter
    } catch (const DataError&) {
    }
  }
}

TEST(Lines, ZerosBehindGzipArePadding) {
  const Notices said;
  for (const std::size_t zeros : {1U, 2U, 511U, 65536U, 200000U}) {
    const std::string padding(zeros, '\0');
    EXPECT_THAT(lines_of(gzip("a\nb\n") + padding), ElementsAre("a", "b")) << zeros;
    EXPECT_THAT(lines_of(gzip("a\n") + padding + gzip("b\n") + padding), ElementsAre("a", "b"));
  }
  EXPECT_TRUE(said.lines.empty());
}

TEST(Lines, OtherBytesBehindGzipAreSaid) {
  for (const std::string& tail :
       {std::string("rubbish"), std::string("\x1f"), std::string("\0\0x", 3),
        std::string(100000, 'x'), std::string("\x1f\x8a\0", 3)}) {
    const Notices said;
    EXPECT_THAT(lines_of(gzip("a\n") + gzip("b\nc") + tail), ElementsAre("a", "b", "c"));
    ASSERT_EQ(said.lines.size(), 1u);
    EXPECT_THAT(said.lines[0], HasSubstr("t.txt: bytes behind the end of the gzip data"));
  }
  EXPECT_THAT([&] { lines_of(gzip("a\n") + "\x1f\x8b\x77rubbish"); },
              ThrowsMessage<DataError>(HasSubstr("damaged")));
}

TEST(Lines, ALineWithoutAnEndIsRefused) {
  const Temporary folder;
  const auto read = [&](const std::string& bytes, std::size_t longest) {
    write_file(folder / "t.txt", bytes);
    LineReader reader((folder / "t.txt").string(), longest);
    std::size_t lines = 0;
    for (std::string line; reader.next(line);) ++lines;
    return lines;
  };
  EXPECT_EQ(read("short\n" + std::string(100, 'x') + "\n", 100), 2u);
  const std::string endless(1 << 20, 'x');
  for (const std::string& bytes :
       {"short\n" + endless, "short\n" + std::string(101, 'x') + "\nlast\n",
        gzip("short\n" + endless)}) {
    EXPECT_THAT([&] { read(bytes, 100); },
                ThrowsMessage<DataError>(HasSubstr("t.txt:2: the line has more than 100 bytes")));
  }
  EXPECT_THAT(
      [&] {
        std::string line;
        LineReader("/dev/zero", 1 << 20).next(line);
      },
      ThrowsMessage<DataError>(HasSubstr("/dev/zero:1: the line has more than")));
}

TEST(Lines, OneLineOf100000Words) {
  std::string line;
  for (int i = 0; i < 100000; ++i) line += "word" + std::to_string(i) + " ";
  EXPECT_THAT(lines_of(line + "\nnext\n"), ElementsAre(line, "next"));
  EXPECT_THAT(lines_of(gzip(line + "\nnext\n")), ElementsAre(line, "next"));
}

TEST(Lines, RefusesWhatIsNotText) {
  EXPECT_THAT([] { lines_of("fine\na\0b\n"sv); },
              ThrowsMessage<DataError>(HasSubstr("t.txt:2: holds a NUL byte")));
  EXPECT_THAT([] { lines_of("fine\nna\xEFve\n"); },
              ThrowsMessage<DataError>(HasSubstr("t.txt:2: byte 3 is not UTF-8")));
  EXPECT_THAT([] { lines_of("\xFF\xFE\x41\x00\n"sv); },
              ThrowsMessage<DataError>(HasSubstr("t.txt:1: is UTF-16")));
  EXPECT_THAT([] { lines_of("\xED\xA0\x80\n"); }, ThrowsMessage<DataError>(HasSubstr("byte 1")));
  EXPECT_THAT([] { lines_of(gzip("ok\n\xC0\xAF\n")); }, ThrowsMessage<DataError>(HasSubstr(":2:")));
}

TEST(Lines, MissingFileAndFolder) {
  EXPECT_THAT([] { read_lines("/nowhere/x.txt"); },
              ThrowsMessage<FileError>(HasSubstr("/nowhere/x.txt: cannot open: No such file")));
  const Temporary folder;
  EXPECT_THAT([&] { read_lines(folder.path().string()); },
              ThrowsMessage<FileError>(HasSubstr("is a directory")));
}

TEST(Lines, NumbersItsLines) {
  const Temporary folder;
  write_file(folder / "t.txt", "a\n\nb\n");
  LineReader reader((folder / "t.txt").string());
  std::string line;
  EXPECT_EQ(reader.line_number(), 0);
  while (reader.next(line)) {
  }
  EXPECT_EQ(reader.line_number(), 3);
  EXPECT_FALSE(reader.next(line));
  EXPECT_EQ(reader.line_number(), 3);
}

// A pipe stands in for standard input for as long as this lives.
class FedInput {
 public:
  FedInput() {
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error("pipe");
    saved_ = ::dup(STDIN_FILENO);
    ::dup2(ends[0], STDIN_FILENO);
    ::close(ends[0]);
    feed_ = ends[1];
  }
  ~FedInput() {
    end();
    ::dup2(saved_, STDIN_FILENO);
    ::close(saved_);
  }
  void give(std::string_view bytes) {
    ASSERT_EQ(::write(feed_, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  void end() {
    if (feed_ >= 0) ::close(feed_);
    feed_ = -1;
  }

 private:
  int saved_, feed_;
};

TEST(Lines, StandardInputIsAnsweredLineByLine) {
  FedInput input;
  LineReader reader("-");
  EXPECT_EQ(reader.name(), "<stdin>");
  EXPECT_FALSE(reader.ready());
  std::string line;
  input.give("first\nsecond\npart");
  EXPECT_TRUE(reader.ready());
  ASSERT_TRUE(reader.next(line));  // although the pipe stays open
  EXPECT_EQ(line, "first");
  EXPECT_TRUE(reader.ready());
  ASSERT_TRUE(reader.next(line));
  EXPECT_EQ(line, "second");
  EXPECT_FALSE(reader.ready());
  input.give("ly\n");
  ASSERT_TRUE(reader.next(line));
  EXPECT_EQ(line, "partly");
  input.end();
  EXPECT_FALSE(reader.next(line));
  EXPECT_TRUE(reader.ready());
}

TEST(Lines, StandardInputMayBeGzip) {
  FedInput input;
  const std::string packed = gzip("a\nb\n");
  input.give(packed.substr(0, 1));  // the two magic bytes arrive apart
  std::thread later([&] {
    input.give(packed.substr(1));
    input.end();
  });
  EXPECT_THAT(read_lines("-"), ElementsAre("a", "b"));
  later.join();
}

}  // namespace
}  // namespace qkv
