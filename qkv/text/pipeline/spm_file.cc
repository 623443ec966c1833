#include "qkv/text/pipeline/spm_file.h"

#include <algorithm>
#include <bit>

#include "qkv/base/error.h"

namespace qkv::pipeline {
namespace {

/// Fields of a protocol buffer, one after the other. Throws Error where it is cut off.
class Message {
 public:
  explicit Message(std::string_view bytes) : rest_(bytes) {}

  struct Field {
    std::uint64_t number = 0;
    std::uint64_t value = 0;  // of a number or a float's bits
    std::string_view bytes;   // of a text or a message
  };
  bool next(Field& field) {
    if (rest_.empty()) return false;
    const std::uint64_t key = varint();
    field = {.number = key >> 3};
    switch (key & 7U) {
      case 0:
        field.value = varint();
        break;
      case 1:
        field.value = fixed(8);
        break;
      case 2:
        field.bytes = take(varint());
        break;
      case 5:
        field.value = fixed(4);
        break;
      default:
        fail("not a whole SentencePiece model");
    }
    return true;
  }

 private:
  std::string_view take(std::uint64_t count) {
    if (count > rest_.size()) fail("not a whole SentencePiece model");
    const std::string_view taken = rest_.substr(0, static_cast<std::size_t>(count));
    rest_.remove_prefix(taken.size());
    return taken;
  }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
      if (byte < 0x80) return value;
    }
    fail("not a whole SentencePiece model");
  }
  std::uint64_t fixed(std::size_t count) {
    std::uint64_t value = 0;
    const std::string_view bytes = take(count);
    for (std::size_t i = 0; i < count; ++i) {
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
    }
    return value;
  }

  std::string_view rest_;
};

std::pair<std::string, double> read_piece(std::string_view bytes) {
  std::pair<std::string, double> piece;
  Message message(bytes);
  for (Message::Field f; message.next(f);) {
    if (f.number == 1) piece.first = f.bytes;
    if (f.number != 2) continue;
    piece.second = static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(f.value)));
  }
  return piece;
}

void read_trainer(std::string_view bytes, SpmFile& file) {
  Message message(bytes);
  for (Message::Field f; message.next(f);) {
    if (f.number == 3) {
      if (f.value < 1 || f.value > 4) fail("a SentencePiece model of an unknown kind, {}", f.value);
      file.kind = static_cast<SpmFile::Kind>(f.value);
    }
    if (f.number == 35) file.byte_fallback = f.value != 0;
    if (f.number == 45) file.unk_piece = f.bytes;
  }
}

void read_normaliser(std::string_view bytes, SpmFile& file) {
  Message message(bytes);
  for (Message::Field f; message.next(f);) {
    if (f.number == 2) file.charsmap = f.bytes;
    if (f.number == 3) file.dummy_prefix = f.value != 0;
  }
}

}  // namespace

SpmFile SpmFile::parse(std::string_view bytes, std::string_view path) {
  SpmFile file;
  try {
    Message message(bytes);
    for (Message::Field f; message.next(f);) {
      if (f.number == 1) file.pieces.push_back(read_piece(f.bytes));
      if (f.number == 2) read_trainer(f.bytes, file);
      if (f.number == 3) read_normaliser(f.bytes, file);
    }
    if (file.pieces.empty()) fail("not a whole SentencePiece model");
  } catch (const Error& e) {
    throw DataError(path, 0, e.what());
  }
  return file;
}

std::vector<std::pair<std::string, std::string>> merges_of(
    const std::vector<std::pair<std::string, double>>& pieces, const PieceIds& ids) {
  struct Way {
    double score;
    std::int32_t left, right;
  };
  std::vector<Way> ways;
  for (const auto& [piece, score] : pieces) {
    const std::size_t first = ways.size();
    if (!ids.contains(piece)) continue;
    for (std::size_t cut = 1; cut < piece.size(); ++cut) {
      if ((static_cast<unsigned char>(piece[cut]) & 0xC0) == 0x80) continue;
      const auto left = ids.find(std::string_view(piece).substr(0, cut));
      const auto right = ids.find(std::string_view(piece).substr(cut));
      if (left != ids.end() && right != ids.end()) {
        ways.push_back({score, left->second, right->second});
      }
    }
    std::sort(ways.begin() + static_cast<std::ptrdiff_t>(first), ways.end(),
              [](const Way& a, const Way& b) {
                return std::pair(a.left, a.right) < std::pair(b.left, b.right);
              });
  }
  std::stable_sort(ways.begin(), ways.end(),
                   [](const Way& a, const Way& b) { return a.score > b.score; });
  std::vector<std::pair<std::string, std::string>> merges;
  merges.reserve(ways.size());
  for (const Way& w : ways) {
    merges.emplace_back(pieces[static_cast<std::size_t>(w.left)].first,
                        pieces[static_cast<std::size_t>(w.right)].first);
  }
  return merges;
}

}  // namespace qkv::pipeline
