// Any bytes as a text file, plain or gzipped.
#pragma once

#include <string>
#include <vector>

#include "fuzz/scratch.h"
#include "fuzz/target.h"
#include <zlib.h>

#include "qkv/base/error.h"
#include "qkv/base/utf8.h"
#include "qkv/data/lines.h"
#include "qkv/data/pairs.h"

namespace qkv {

inline void fuzz_lines(std::string_view bytes) {
  static ScratchFile file;
  const std::string& path = file.write(bytes);
  constexpr std::size_t kLongest = 4096;
  try {
    LineReader reader(path, kLongest);
    std::int64_t lines = 0;
    for (std::string line; reader.next(line);) {
      fuzz_require(reader.line_number() == ++lines, "lines are not counted");
      fuzz_require(line.size() <= kLongest, "a line is too long");
      fuzz_require(line.find('\n') == line.npos && line.find('\0') == line.npos, "no line");
      fuzz_require(!first_bad_byte(line), "not UTF-8");
    }
    fuzz_require(!reader.next(*std::make_unique<std::string>()), "goes on behind its end");
  } catch (const Error&) {
  }
  try {
    const TextPairs pairs = read_pairs(path, ReadOptions{});
    fuzz_require(pairs.source.size() == pairs.target.size(), "half a pair");
  } catch (const Error&) {
  }
}

inline std::string gzipped(std::string_view text) {
  z_stream deflater = {};
  if (deflateInit2(&deflater, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) return {};
  std::string packed(deflateBound(&deflater, static_cast<uLong>(text.size())) + 64, '\0');
  deflater.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  deflater.avail_in = static_cast<uInt>(text.size());
  deflater.next_out = reinterpret_cast<Bytef*>(packed.data());
  deflater.avail_out = static_cast<uInt>(packed.size());
  deflate(&deflater, Z_FINISH);
  packed.resize(deflater.total_out);
  deflateEnd(&deflater);
  return packed;
}

inline std::vector<std::string> lines_seeds() {
  const std::string text = "\xEF\xBB\xBFone\ttwo\r\n你好\tb c\n\nlast\tline";
  return {text,
          gzipped(text),
          gzipped("a\tb\n") + gzipped("c\td") + std::string(40, '\0'),
          gzipped("a\n") + "tail",
          "\xFF\xFE\x41",
          std::string(5000, 'x')};
}

}  // namespace qkv
