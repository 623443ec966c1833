#include "qkv/io/npy.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <map>

#include "qkv/base/error.h"
#include "qkv/io/half.h"
#include "qkv/io/quote.h"

namespace qkv {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

/// The header's text, a dictionary of Python with three entries.
class Header {
 public:
  Header(std::string_view text, const std::string& path) : rest_(text), path_(path) {}

  NpyArray read() {
    NpyArray array;
    bool type = false, order = false, shape = false;
    expect('{');
    while (!take('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr" && !type) {
        array.type = kind();
        type = true;
      } else if (key == "fortran_order" && !order) {
        columns_first_ = !word("False") && (word("True") || refuse("is no array of NumPy"));
        order = true;
      } else if (key == "shape" && !shape) {
        array.shape = sides();
        shape = true;
      } else {
        refuse("has a header that this program does not know");
      }
      if (!take(',')) {
        expect('}');
        break;
      }
    }
    blanks();
    if (!rest_.empty() || !type || !order || !shape) refuse("is no array of NumPy");
    if (columns_first_ && array.shape.size() > 1) refuse("lies column by column");
    return array;
  }

 private:
  [[noreturn]] bool refuse(const std::string& reason) const { throw DataError(path_, 0, reason); }
  void blanks() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\n')) {
      rest_.remove_prefix(1);
    }
  }
  bool word(std::string_view w) {
    blanks();
    if (!rest_.starts_with(w)) return false;
    rest_.remove_prefix(w.size());
    return true;
  }
  bool take(char c) { return word(std::string_view(&c, 1)); }
  void expect(char c) {
    if (!take(c)) refuse("is no array of NumPy");
  }
  std::string quoted() {
    expect('\'');
    const std::size_t end = std::min(rest_.find('\''), rest_.size());
    const std::string text(rest_.substr(0, end));
    rest_.remove_prefix(end);
    expect('\'');
    return text;
  }
  std::string kind() {
    blanks();
    if (!rest_.starts_with('\'')) refuse("holds records, not numbers");
    const std::string descr = quoted();
    const std::string_view type =
        std::string_view(descr).substr(std::min<std::size_t>(1, descr.size()));
    const bool bytes = type == "i1" || type == "u1";
    const bool floats = (type == "f4" || type == "f2") && descr.front() == '<';
    if (!floats && !(bytes && (descr.front() == '|' || descr.front() == '<'))) {
      refuse(fmt::format("has numbers of type {}; this program reads <f4, <f2 and bytes",
                         in_quotes(descr)));
    }
    return std::string(type);
  }
  std::vector<std::int64_t> sides() {
    std::vector<std::int64_t> shape;
    expect('(');
    while (!take(')')) {
      std::int64_t side = 0;
      blanks();
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), side);
      if (error != std::errc() || side < 0 || shape.size() == 8) refuse("has a shape that is none");
      rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
      shape.push_back(side);
      if (!take(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }

  std::string_view rest_;
  const std::string& path_;
  bool columns_first_ = false;
};

std::size_t size_of(const std::string& type) { return static_cast<std::size_t>(type[1] - '0'); }

}  // namespace

NpyArray NpyArray::parse(std::string_view bytes, const std::string& path) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  if (!bytes.starts_with(kMagic) || bytes.size() < 10)
    throw DataError(path, 0, "is no array of NumPy");
  const unsigned version = byte(6);
  if (version < 1 || version > 3) {
    throw DataError(
        path, 0, fmt::format("is format {} of NumPy's arrays; this program reads 1 to 3", version));
  }
  const std::size_t begin = version == 1 ? 10 : 12;
  if (bytes.size() < begin) throw DataError(path, 0, "is cut off");
  std::size_t length = byte(8) | std::size_t{byte(9)} << 8;
  if (version > 1) length |= std::size_t{byte(10)} << 16 | std::size_t{byte(11)} << 24;
  if (length > bytes.size() - begin) throw DataError(path, 0, "is cut off");
  NpyArray array = Header(bytes.substr(begin, length), path).read();
  array.numbers = bytes.substr(begin + length);
  std::int64_t count = 1;
  bool fits = true;
  for (const std::int64_t side : array.shape)
    fits = fits && !__builtin_mul_overflow(count, side, &count);
  if (!fits || static_cast<std::uint64_t>(count) != array.numbers.size() / size_of(array.type) ||
      array.numbers.size() % size_of(array.type) != 0) {
    throw DataError(
        path, 0,
        fmt::format("has {} bytes of numbers, not those of its shape", array.numbers.size()));
  }
  return array;
}

Tensor NpyArray::tensor(const std::string& path) const {
  if (type != "f4" && type != "f2") throw DataError(path, 0, "has no floating-point numbers");
  if (shape.empty() || shape.size() > 2) {
    throw DataError(path, 0, fmt::format("has {} sides, not one or two", shape.size()));
  }
  Tensor to = shape.size() == 1 ? Tensor::empty({shape[0]}) : Tensor::empty({shape[0], shape[1]});
  const auto floats = to.values();
  for (std::size_t i = 0; i < floats.size(); ++i) {
    if (type == "f4") {
      std::memcpy(&floats[i], numbers.data() + 4 * i, 4);
    } else {
      std::uint16_t half = 0;
      std::memcpy(&half, numbers.data() + 2 * i, 2);
      floats[i] = float_of_half(half);
    }
    if (!std::isfinite(floats[i])) throw DataError(path, 0, fmt::format("is not finite at {}", i));
  }
  return to;
}

}  // namespace qkv
