#include "qkv/io/safetensors_header.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>
#include <zlib.h>

#include "qkv/base/error.h"
#include "qkv/io/quote.h"

namespace qkv {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kDigits = 8;  // of a checksum
// The bound of the reference implementation; a header of real models is below a few megabytes.
constexpr std::uint64_t kMaxHeader = 100'000'000;

constexpr StoredType kTypes[] = {{"F64", 8},     {"F32", 4},  {"F16", 2},     {"BF16", 2},
                                 {"I64", 8},     {"I32", 4},  {"I16", 2},     {"I8", 1},
                                 {"U64", 8},     {"U32", 4},  {"U16", 2},     {"U8", 1},
                                 {"F8_E4M3", 1}, {"BOOL", 1}, {"F8_E5M2", 1}, {"C64", 8}};

/// Takes the events of the JSON parser and accepts the one form that the format allows. Nothing
/// else is ever built, so a hostile header (deep, huge) costs no more than its own bytes.
class HeaderReader : public nlohmann::json_sax<Json> {
 public:
  explicit HeaderReader(const std::string& file) : file_(file) {}

  SafetensorsHeader take() { return std::move(header_); }

  bool null() override { unexpected("null"); }
  bool boolean(bool) override { unexpected("true or false"); }
  bool number_integer(std::int64_t value) override { unexpected(fmt::format("{}", value)); }
  bool number_float(double, const std::string& text) override { unexpected(in_quotes(text)); }
  bool binary(Json::binary_t&) override { unexpected("binary"); }

  bool number_unsigned(std::uint64_t value) override {
    if (place_ != Place::array) unexpected(fmt::format("{}", value));
    if (value > kMost) wrong(fmt::format("the number {} is too large", value));
    const auto size = static_cast<std::int64_t>(value);
    if (field_ == "shape") {
      if (tensor_.shape.rank() == Shape::kMaxRank) {
        wrong(fmt::format("has more than {} axes", Shape::kMaxRank));
      }
      tensor_.shape.push_back(size);
    } else {
      if (offsets_ == 2) wrong("data_offsets has more than two numbers");
      (offsets_++ == 0 ? tensor_.begin : tensor_.end) = static_cast<std::size_t>(value);
    }
    return true;
  }

  bool string(std::string& value) override {
    if (place_ == Place::metadata) {
      header_.metadata[field_] = std::move(value);
    } else if (place_ == Place::tensor && field_ == "dtype") {
      tensor_.type = std::ranges::find(kTypes, value, &StoredType::name);
      if (tensor_.type == std::end(kTypes)) {
        wrong(fmt::format("has the unknown type {}; convert it to F32", in_quotes(value)));
      }
    } else {
      unexpected(in_quotes(value));
    }
    return true;
  }

  bool key(std::string& name) override {
    switch (place_) {
      case Place::top:
        tensor_ = {};
        tensor_.name = std::move(name);
        if (!names_.insert(tensor_.name).second) wrong("is given twice");
        return true;
      case Place::metadata:
        if (header_.metadata.contains(name)) wrong(in_quotes(name) + " is given twice");
        break;
      default:
        if (name != "dtype" && name != "shape" && name != "data_offsets") {
          wrong("has the unknown field " + in_quotes(name));
        }
        if (!fields_.insert(name).second) wrong(name + " is given twice");
    }
    field_ = std::move(name);
    return true;
  }

  bool start_object(std::size_t) override {
    if (place_ == Place::start) {
      place_ = Place::top;
    } else if (place_ == Place::top) {
      place_ = tensor_.name == "__metadata__" ? Place::metadata : Place::tensor;
      if (place_ == Place::tensor) check_name();
      fields_.clear();
      offsets_ = 0;
    } else {
      unexpected("an object");
    }
    return true;
  }

  bool end_object() override {
    if (place_ == Place::tensor) {
      for (const char* field : {"dtype", "shape", "data_offsets"}) {
        if (!fields_.contains(field)) wrong(fmt::format("has no {}", field));
      }
      header_.tensors.push_back(std::move(tensor_));
    }
    place_ = place_ == Place::top ? Place::start : Place::top;
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ != Place::tensor || field_ == "dtype") unexpected("an array");
    place_ = Place::array;
    return true;
  }

  bool end_array() override {
    if (field_ == "data_offsets" && offsets_ != 2) wrong("data_offsets has not two numbers");
    place_ = Place::tensor;
    return true;
  }

  bool parse_error(std::size_t at, const std::string&, const Json::exception&) override {
    throw DataError(file_, 0,
                    fmt::format("the header is no JSON at byte {}; not a safetensors file or "
                                "damaged, download or save it again",
                                kLengthBytes + at - (at > 0 ? 1 : 0)));
  }

 private:
  enum class Place { start, top, metadata, tensor, array };
  static constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();

  [[noreturn]] void wrong(const std::string& reason) const {
    if (place_ == Place::start || (place_ == Place::top && tensor_.name.empty())) {
      throw DataError(file_, 0, "the header: " + reason);
    }
    throw DataError(file_, 0, fmt::format("tensor {}: {}", in_quotes(tensor_.name), reason));
  }

  [[noreturn]] void unexpected(const std::string& what) const {
    const bool inside = place_ == Place::metadata || place_ == Place::tensor;
    wrong(fmt::format("{}did not expect {}; not a safetensors file?",
                      inside ? in_quotes(field_) + ": " : std::string(), what));
  }

  void check_name() const {
    if (tensor_.name.empty()) wrong("a tensor has no name");
    for (const char c : tensor_.name) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) wrong("its name is not printable");
    }
  }

  const std::string& file_;
  SafetensorsHeader header_;
  std::set<std::string, std::less<>> names_;
  Place place_ = Place::start;
  StoredTensor tensor_;           // the one being read
  std::string field_;             // of the tensor or of the metadata
  std::set<std::string> fields_;  // seen in this tensor
  int offsets_ = 0;               // numbers of data_offsets seen
};

/// Bytes of a shape; nothing when they do not fit 63 bits. A size of zero does not excuse the
/// others: later products of a part of the sizes must not overflow either.
std::optional<std::size_t> bytes_of(const StoredTensor& tensor) {
  auto product = static_cast<std::int64_t>(tensor.type->bytes);
  bool empty = false;
  for (const std::int64_t size : tensor.shape) {
    empty = empty || size == 0;
    if (__builtin_mul_overflow(product, std::max<std::int64_t>(size, 1), &product)) return {};
  }
  return empty ? 0 : static_cast<std::size_t>(product);
}

/// Turns offsets into places in the file and checks that they cover the rest of it exactly once.
void place(SafetensorsHeader& header, std::size_t file_size, const std::string& file) {
  std::ranges::stable_sort(header.tensors, {},
                           [](const StoredTensor& t) { return std::pair(t.begin, t.end); });
  const std::size_t room = file_size - header.data_begin;
  std::size_t at = 0;
  const std::string* previous = nullptr;
  for (StoredTensor& t : header.tensors) {
    const auto wrong = [&](std::string_view reason) {
      // begin may be close to 2^63, so this sum is kept from wrapping by its unsigned type.
      throw DataError(file, 0,
                      fmt::format("tensor {}: {} (byte {})", in_quotes(t.name), reason,
                                  std::uint64_t{header.data_begin} + t.begin));
    };
    if (t.begin > t.end) wrong(fmt::format("begins at {} but ends at {}", t.begin, t.end));
    const std::optional<std::size_t> bytes = bytes_of(t);
    if (!bytes) wrong(fmt::format("the shape {} is impossibly large", to_string(t.shape)));
    if (*bytes != t.end - t.begin) {
      wrong(fmt::format("the shape {} in {} takes {} bytes, the file gives it {}",
                        to_string(t.shape), t.type->name, *bytes, t.end - t.begin));
    }
    if (t.begin < at) wrong(fmt::format("overlaps tensor {}", in_quotes(*previous)));
    if (t.begin > at) wrong(fmt::format("leaves a gap of {} bytes before it", t.begin - at));
    if (t.end > room) {
      wrong(
          fmt::format("ends at byte {}, the file has {}; it was cut short, copy or download it "
                      "again",
                      std::uint64_t{header.data_begin} + t.end, file_size));
    }
    at = t.end;
    t.begin += header.data_begin;
    t.end += header.data_begin;
    previous = &t.name;
  }
  if (at != room) {
    throw DataError(file, 0,
                    fmt::format("has {} bytes after its last tensor (byte {}); damaged, copy or "
                                "download it again",
                                room - at, header.data_begin + at));
  }
}

}  // namespace

std::size_t header_digits(std::string_view header) {
  // Inside of texts quotation marks are written as \", so this can only be the key itself.
  const std::string key = fmt::format("\"{}\":\"", kHeaderChecksum);
  const std::size_t at = header.find(key);
  return at == header.npos || header.size() - at < key.size() + kDigits ? header.npos
                                                                        : at + key.size();
}

std::string header_checksum(std::string header) {
  if (const std::size_t at = header_digits(header); at != header.npos) {
    header.replace(at, kDigits, kDigits, '0');
  }
  return fmt::format("{:08x}",
                     ::crc32_z(0, reinterpret_cast<const Bytef*>(header.data()), header.size()));
}

SafetensorsHeader parse_safetensors_header(std::span<const std::byte> bytes,
                                           const std::string& file) {
  if (bytes.size() < kLengthBytes) {
    throw DataError(file, 0,
                    fmt::format("has {} bytes, a safetensors file has at least 10; it was cut "
                                "short or is something else",
                                bytes.size()));
  }
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  if (length > kMaxHeader) {
    throw DataError(file, 0,
                    fmt::format("the header would be {} bytes long (byte 0), at most {} are "
                                "allowed; not a safetensors file",
                                length, kMaxHeader));
  }
  if (length > bytes.size() - kLengthBytes) {
    throw DataError(file, 0,
                    fmt::format("the header ends at byte {}, the file has {}; it was cut short, "
                                "copy or download it again",
                                kLengthBytes + length, bytes.size()));
  }
  const auto size = static_cast<std::size_t>(length);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, size);
  if (!text.starts_with('{')) {
    throw DataError(file, 0, "the header does not begin with '{' (byte 8); not a safetensors file");
  }
  HeaderReader reader(file);
  Json::sax_parse(text.begin(), text.end(), &reader);
  SafetensorsHeader header = reader.take();
  header.data_begin = kLengthBytes + size;
  place(header, bytes.size(), file);
  return header;
}

}  // namespace qkv
