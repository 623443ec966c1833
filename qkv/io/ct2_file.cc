#include "qkv/io/ct2_file.h"

#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/io/half.h"
#include "qkv/io/quote.h"

namespace qkv {
namespace {

constexpr std::uint32_t kOldest = 2, kNewest = 6;
constexpr std::string_view kScale = "_scale";

struct Type {
  std::string_view name;
  std::size_t size;
};
constexpr std::array<Type, 6> kTypes = {
    {{"float32", 4}, {"int8", 1}, {"int16", 2}, {"int32", 4}, {"float16", 2}, {"bfloat16", 2}}};
constexpr std::uint8_t kFloat32 = 0, kInt8 = 1, kInt16 = 2, kInt32 = 3, kFloat16 = 4;

/// Reads from the front and knows where it is.
class Reader {
 public:
  Reader(std::span<const std::byte> bytes, const std::string& path) : bytes_(bytes), path_(path) {}

  std::size_t at() const { return at_; }
  bool done() const { return at_ == bytes_.size(); }
  template <class T>
  T number(const char* what) {
    T value;
    std::memcpy(&value, take(sizeof(T), what).data(), sizeof(T));
    return value;
  }
  std::string text(const char* what) {
    const auto length = number<std::uint16_t>(what);
    const auto bytes = take(length, what);
    const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (all.empty() || all.find('\0') != all.size() - 1) {
      refuse(fmt::format("{} is no text that ends with a NUL", what));
    }
    return std::string(all.substr(0, all.size() - 1));
  }
  std::span<const std::byte> take(std::uint64_t count, std::string_view what) {
    if (count > bytes_.size() - at_) refuse(fmt::format("is cut off in {}", what));
    at_ += static_cast<std::size_t>(count);
    return bytes_.subspan(at_ - static_cast<std::size_t>(count), static_cast<std::size_t>(count));
  }
  [[noreturn]] void refuse(const std::string& reason) const {
    throw DataError(path_, 0, fmt::format("byte {}: {}", at_, reason));
  }

 private:
  std::span<const std::byte> bytes_;
  const std::string& path_;
  std::size_t at_ = 0;
};

template <class T>
T load(std::span<const std::byte> bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

struct Extent {
  std::vector<std::int64_t> shape;
  std::int64_t count = 1;
};

Extent read_extent(Reader& r) {
  Extent e;
  const auto rank = r.number<std::uint8_t>("a rank");
  if (rank > 4) r.refuse(fmt::format("a variable of {} sides; none has more than 4", rank));
  for (int i = 0; i < rank; ++i) {
    e.shape.push_back(r.number<std::uint32_t>("a side"));
    if (__builtin_mul_overflow(e.count, e.shape.back(), &e.count))
      r.refuse("sides beyond all bounds");
  }
  return e;
}

}  // namespace

Ct2File::Ct2File(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                 std::string name)
    : bytes_(bytes), owner_(std::move(owner)), path_(std::move(name)) {
  parse();
}

void Ct2File::parse() {
  Reader r(bytes_, path_);
  const auto version = r.number<std::uint32_t>("the version");
  if (version < kOldest || version > kNewest) {
    r.refuse(
        fmt::format("is version {} of CTranslate2's models, or none of them; this program reads "
                    "{} to {}",
                    version, kOldest, kNewest));
  }
  network_ = r.text("the name of the network");
  revision_ = r.number<std::uint32_t>("the revision");
  const auto count = r.number<std::uint32_t>("the number of variables");
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string name = r.text("a name");
    Extent extent = read_extent(r);
    Variable v{.shape = std::move(extent.shape), .count = extent.count};
    std::uint64_t bytes = 0;
    const auto type = r.number<std::uint8_t>("a type");
    if (version >= 4) {
      if (type >= kTypes.size()) r.refuse(fmt::format("{} has type {}", in_quotes(name), type));
      v.type = type;
      bytes = r.number<std::uint32_t>("a size");
    } else {
      if (type != 1 && type != 2 && type != 4) {
        r.refuse(fmt::format("{} has numbers of {} bytes", in_quotes(name), type));
      }
      v.type = type == 4 ? kFloat32 : type == 2 ? kInt16 : kInt8;
      bytes = std::uint64_t{r.number<std::uint32_t>("a size")} * type;
    }
    v.begin = r.at();
    (void)r.take(bytes, "numbers");
    if (static_cast<std::uint64_t>(v.count) != bytes / kTypes[v.type].size ||
        bytes % kTypes[v.type].size != 0) {
      refuse(name, fmt::format("has {} numbers, but {} bytes", v.count, bytes));
    }
    numbers_ += v.count;
    if (!variables_.emplace(name, std::move(v)).second) refuse(name, "is there twice");
  }
  if (version >= 3) {
    const auto aliases = r.number<std::uint32_t>("the number of aliases");
    for (std::uint32_t i = 0; i < aliases; ++i) {
      const std::string name = r.text("an alias"), of = r.text("an alias");
      if (!variables_.emplace(name, find(of)).second) refuse(name, "is there twice");
    }
  }
  if (!r.done()) r.refuse("more bytes than variables");
}

void Ct2File::refuse(std::string_view name, std::string_view reason) const {
  throw DataError(path_, 0, fmt::format("variable {} {}", in_quotes(name), reason));
}

const Ct2File::Variable& Ct2File::find(std::string_view name) const {
  const auto found = variables_.find(name);
  if (found == variables_.end()) refuse(name, "is not there");
  return found->second;
}

std::vector<std::string> Ct2File::names() const {
  std::vector<std::string> names;
  for (const auto& entry : variables_) names.push_back(entry.first);
  return names;
}

bool Ct2File::same(std::string_view a, std::string_view b) const {
  return contains(a) && contains(b) && find(a).begin == find(b).begin;
}

std::string_view Ct2File::type(std::string_view name) const { return kTypes[find(name).type].name; }

const std::vector<std::int64_t>& Ct2File::shape(std::string_view name) const {
  return find(name).shape;
}

double Ct2File::number(const Variable& v, std::int64_t i) const {
  const std::size_t at = v.begin + static_cast<std::size_t>(i) * kTypes[v.type].size;
  switch (v.type) {
    case kFloat32:
      return static_cast<double>(load<float>(bytes_, at));
    case kInt8:
      return load<std::int8_t>(bytes_, at);
    case kInt16:
      return load<std::int16_t>(bytes_, at);
    case kInt32:
      return load<std::int32_t>(bytes_, at);
    case kFloat16:
      return static_cast<double>(float_of_half(load<std::uint16_t>(bytes_, at)));
    default:
      return static_cast<double>(float_of_bfloat(load<std::uint16_t>(bytes_, at)));
  }
}

void Ct2File::divide(std::string_view name, const Variable& v, Tensor& numbers) const {
  const std::string other = std::string(name) + std::string(kScale);
  const Variable& scale = find(other);
  if (scale.type != kFloat32) refuse(other, "is not float32");
  const std::int64_t rows = v.shape.empty() ? 1 : v.shape.front();
  if (scale.count != 1 && scale.count != rows) {
    refuse(other, fmt::format("has {} numbers, for {} rows", scale.count, rows));
  }
  const std::int64_t each = rows > 0 ? v.count / rows : 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto by = static_cast<float>(number(scale, scale.count == 1 ? 0 : r));
    if (!(by > 0) || !std::isfinite(by)) refuse(other, "is not positive");
    for (float& x : numbers.values().subspan(static_cast<std::size_t>(r * each),
                                             static_cast<std::size_t>(each))) {
      x /= by;
    }
  }
}

Tensor Ct2File::tensor(std::string_view name) const {
  const Variable& v = find(name);
  Tensor numbers = Tensor::empty({v.count});
  for (std::int64_t i = 0; i < v.count; ++i) {
    numbers.data()[i] = static_cast<float>(number(v, i));
  }
  if (v.type == kInt8 || v.type == kInt16) divide(name, v, numbers);
  for (std::int64_t i = 0; i < v.count; ++i) {
    if (!std::isfinite(numbers.data()[i])) refuse(name, fmt::format("is not finite at {}", i));
  }
  Shape shape;
  switch (v.shape.size()) {
    case 0:
      shape = {1};
      break;
    case 1:
      shape = {v.shape[0]};
      break;
    case 2:
      shape = {v.shape[0], v.shape[1]};
      break;
    default:
      refuse(name, "has more than two sides");
  }
  return numbers.reshaped(shape);
}

std::optional<double> Ct2File::scalar(std::string_view name) const {
  if (!contains(name)) return {};
  const Variable& v = find(name);
  if (v.count != 1) refuse(name, "is no single number");
  return number(v, 0);
}

}  // namespace qkv
