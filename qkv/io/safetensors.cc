#include "qkv/io/safetensors.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <utility>

#include <zlib.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/base/parallel.h"
#include "qkv/io/directory.h"
#include "qkv/io/half.h"
#include "qkv/io/quote.h"
#include "qkv/io/safetensors_header.h"

namespace qkv {

static_assert(std::endian::native == std::endian::little, "numbers are mapped as they are");

struct SafetensorsFile::Contents {
  std::string file;
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
  SafetensorsHeader header;
  std::vector<std::string> names;
  std::map<std::string, std::size_t, std::less<>> index;

  Contents(std::span<const std::byte> all, std::shared_ptr<const void> keep, std::string name)
      : file(std::move(name)),
        bytes(all),
        owner(std::move(keep)),
        header(parse_safetensors_header(bytes, file)) {
    for (const StoredTensor& t : header.tensors) {
      index.emplace(t.name, names.size());
      names.push_back(t.name);
    }
  }

  const StoredTensor& find(std::string_view name) const {
    const auto found = index.find(name);
    if (found == index.end()) {
      throw DataError(file, 0,
                      fmt::format("has no tensor {} among its {}; is it of another model?",
                                  in_quotes(name), names.size()));
    }
    return header.tensors[found->second];
  }

  const std::byte* numbers(const StoredTensor& t) const { return bytes.data() + t.begin; }
  std::string_view header_text() const {
    constexpr std::size_t kBefore = sizeof(std::uint64_t);
    return {reinterpret_cast<const char*>(bytes.data()) + kBefore, header.data_begin - kBefore};
  }
};

namespace {

/// Number i of type T at bytes that need not be aligned.
template <class T>
T load(const std::byte* numbers, std::size_t i) {
  T value;
  std::memcpy(&value, numbers + i * sizeof(T), sizeof(T));
  return value;
}

template <class T>
std::int64_t first_with_exponent(const std::byte* numbers, std::int64_t begin, std::int64_t end,
                                 T exponent) {
  const auto bad = [&](std::int64_t i) {
    return (load<T>(numbers, static_cast<std::size_t>(i)) & exponent) == exponent;
  };
  // Blocks, so that the common case is one branch for many numbers.
  constexpr std::int64_t kBlock = 4096;
  for (; begin < end; begin += kBlock) {
    const std::int64_t block_end = std::min(end, begin + kBlock);
    T any = 0;
    for (std::int64_t i = begin; i < block_end; ++i) any |= static_cast<T>(bad(i));
    if (any == 0) continue;
    while (!bad(begin)) ++begin;
    return begin;
  }
  return end;
}

// Numbers that one thread looks at at a time.
constexpr std::int64_t kPiece = 1 << 20;

/// The first of `count` numbers with all bits of the exponent set, which means NaN or infinity.
template <class T>
std::size_t first_with_exponent(const std::byte* numbers, std::size_t count, T exponent) {
  const auto n = static_cast<std::int64_t>(count);
  std::vector<std::int64_t> first(static_cast<std::size_t>((n + kPiece - 1) / kPiece), n);
  parallel_for(n, kPiece, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t at = first_with_exponent(numbers, begin, end, exponent);
    if (at < end) first[static_cast<std::size_t>(begin / kPiece)] = at;
  });
  return first.empty() ? count : static_cast<std::size_t>(*std::ranges::min_element(first));
}

/// The first number that is NaN or infinite; the count when there is none.
std::size_t first_not_finite(const StoredTensor& t, const std::byte* numbers) {
  const std::size_t count = (t.end - t.begin) / t.type->bytes;
  if (t.type->name == "F32") return first_with_exponent<std::uint32_t>(numbers, count, 0x7f800000U);
  if (t.type->name == "F64") {
    return first_with_exponent<std::uint64_t>(numbers, count, 0x7ff0000000000000ULL);
  }
  if (t.type->name == "F16") return first_with_exponent<std::uint16_t>(numbers, count, 0x7c00U);
  if (t.type->name == "BF16") return first_with_exponent<std::uint16_t>(numbers, count, 0x7f80U);
  return count;
}

/// "[2, 17]" for element `flat` of a shape.
std::string index_text(const Shape& shape, std::size_t flat) {
  auto rest = static_cast<std::int64_t>(flat);
  Shape index = shape;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    index[axis] = rest % shape[axis];
    rest /= shape[axis];
  }
  return to_string(index);
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) {
  auto map = std::make_shared<const MappedFile>(path);
  const std::span<const std::byte> bytes = map->bytes();
  contents_ = std::make_shared<const Contents>(bytes, std::move(map), path.string());
}

SafetensorsFile::SafetensorsFile(std::span<const std::byte> bytes,
                                 std::shared_ptr<const void> owner, std::string name)
    : contents_(std::make_shared<const Contents>(bytes, std::move(owner), std::move(name))) {}

const std::vector<std::string>& SafetensorsFile::names() const { return contents_->names; }

const std::map<std::string, std::string>& SafetensorsFile::metadata() const {
  return contents_->header.metadata;
}

bool SafetensorsFile::contains(std::string_view name) const {
  return contents_->index.contains(name);
}

const Shape& SafetensorsFile::shape(std::string_view name) const {
  return contents_->find(name).shape;
}

std::string_view SafetensorsFile::dtype(std::string_view name) const {
  return contents_->find(name).type->name;
}

Tensor SafetensorsFile::tensor(std::string_view name) const {
  const StoredTensor& t = contents_->find(name);
  const std::byte* numbers = contents_->numbers(t);
  if (t.type->name == "F32" && reinterpret_cast<std::uintptr_t>(numbers) % alignof(float) == 0) {
    return Tensor::borrow(reinterpret_cast<const float*>(numbers), t.shape, contents_->owner);
  }
  return tensor_copy(name);
}

Tensor SafetensorsFile::tensor_copy(std::string_view name) const {
  const StoredTensor& t = contents_->find(name);
  const std::byte* numbers = contents_->numbers(t);
  const std::size_t bytes = t.end - t.begin;
  if (t.type->name == "F64") {
    Tensor out = Tensor::empty(t.shape, DType::f64);
    if (bytes > 0) std::memcpy(out.data<double>(), numbers, bytes);
    return out;
  }
  const bool half = t.type->name == "F16", bfloat = t.type->name == "BF16";
  if (!half && !bfloat && t.type->name != "F32") {
    throw DataError(contents_->file, 0,
                    fmt::format("tensor {}: is {} (byte {}), but only F32, F64, F16 and BF16 can "
                                "be read; convert it",
                                in_quotes(t.name), t.type->name, t.begin));
  }
  Tensor out = Tensor::empty(t.shape);
  float* to = out.data<float>();
  if (half || bfloat) {
    for (std::size_t i = 0; i < bytes / 2; ++i) {
      const auto value = load<std::uint16_t>(numbers, i);
      to[i] = half ? float_of_half(value) : float_of_bfloat(value);
    }
  } else if (bytes > 0) {
    std::memcpy(to, numbers, bytes);
  }
  return out;
}

Tensor SafetensorsFile::float_tensor(std::string_view name) const {
  const StoredTensor& t = contents_->find(name);
  if (t.type->name != "F64") return tensor(name);
  Tensor out = Tensor::empty(t.shape);
  for (std::int64_t i = 0; i < out.count(); ++i) {
    const auto wide = load<double>(contents_->numbers(t), static_cast<std::size_t>(i));
    out.data()[i] = static_cast<float>(wide);
    if (std::isfinite(out.data()[i]) || !std::isfinite(wide)) continue;
    throw DataError(
        contents_->file, 0,
        fmt::format("tensor {}: {} at index {} is beyond F32, in which it is used; "
                    "scale it",
                    in_quotes(t.name), wide, index_text(t.shape, static_cast<std::size_t>(i))));
  }
  return out;
}

bool SafetensorsFile::counts_up(std::string_view name, std::int64_t step) const {
  const StoredTensor& t = contents_->find(name);
  const bool wide = t.type->name == "I64";
  if (!wide && t.type->name != "I32") return false;
  const std::byte* numbers = contents_->numbers(t);
  const std::int64_t length = std::max<std::int64_t>(t.shape.rank() > 0 ? t.shape[-1] : 1, 1);
  for (std::int64_t i = 0; i < t.shape.count(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    const std::int64_t value =
        wide ? load<std::int64_t>(numbers, at) : load<std::int32_t>(numbers, at);
    if (value != step * (i % length)) return false;
  }
  return true;
}

bool SafetensorsFile::verify() const {
  const auto stored = metadata().find(kNumbersChecksum);
  if (stored == metadata().end()) return false;
  const std::size_t begin = contents_->header.data_begin;
  const std::string found = fmt::format("{:08x}", qkv::checksum(contents_->bytes.subspan(begin)));
  if (stored->second != found) {
    throw DataError(contents_->file, 0,
                    fmt::format("the numbers from byte {} on have checksum {}, not {}; the file is "
                                "damaged, copy or save it again",
                                begin, found, in_quotes(stored->second)));
  }
  return true;
}

bool SafetensorsFile::verify_header() const {
  const auto stored = metadata().find(kHeaderChecksum);
  if (stored == metadata().end()) return false;
  if (const std::string found = header_checksum(std::string(contents_->header_text()));
      stored->second != found) {
    throw DataError(contents_->file, 0,
                    fmt::format("the header has checksum {}, not {}; the file is damaged, copy or "
                                "save it again",
                                found, in_quotes(stored->second)));
  }
  return true;
}

std::uint32_t SafetensorsFile::checksum() const {
  const std::span<const std::byte> bytes = contents_->bytes;
  const std::size_t begin = contents_->header.data_begin;
  const std::uint32_t header = qkv::checksum(bytes.first(begin));
  const auto stored = metadata().find(kNumbersChecksum);
  std::uint32_t numbers = 0;
  if (stored == metadata().end() || stored->second.size() != 8 ||
      std::from_chars(stored->second.data(), stored->second.data() + 8, numbers, 16).ptr !=
          stored->second.data() + 8) {
    numbers = qkv::checksum(bytes.subspan(begin));
  }
  return static_cast<std::uint32_t>(
      ::crc32_combine(header, numbers, static_cast<z_off_t>(bytes.size() - begin)));
}

std::uint64_t SafetensorsFile::bytes() const { return contents_->bytes.size(); }

std::uint64_t SafetensorsFile::number_bytes() const {
  return contents_->bytes.size() - contents_->header.data_begin;
}

const std::string& SafetensorsFile::path() const { return contents_->file; }

void SafetensorsFile::check_finite() const {
  for (const StoredTensor& t : contents_->header.tensors) {
    const std::byte* numbers = contents_->numbers(t);
    const std::size_t at = first_not_finite(t, numbers);
    if (at == (t.end - t.begin) / t.type->bytes) continue;
    // The fraction tells NaN from infinity; F16 and BF16 keep the difference as f32.
    const bool nan = t.type->name == "F64"   ? std::isnan(load<double>(numbers, at))
                     : t.type->name == "F32" ? std::isnan(load<float>(numbers, at))
                     : t.type->name == "F16"
                         ? std::isnan(float_of_half(load<std::uint16_t>(numbers, at)))
                         : std::isnan(float_of_bfloat(load<std::uint16_t>(numbers, at)));
    throw DataError(contents_->file, 0,
                    fmt::format("tensor {}: is {} at index {} (byte {}); go back to an earlier "
                                "checkpoint or train again",
                                in_quotes(t.name), nan ? "NaN" : "infinite",
                                index_text(t.shape, at), t.begin + at * t.type->bytes));
  }
}

}  // namespace qkv
