#include "qkv/media/picture_tables.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

std::int64_t big_endian(std::string_view bytes, std::size_t at) {
  std::int64_t value = 0;
  for (std::size_t i = 0; i < 4; ++i)
    value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

const char* type_name(unsigned char type) {
  switch (type) {
    case 0x09:
      return "signed bytes";
    case 0x0B:
      return "16-bit integers";
    case 0x0C:
      return "32-bit integers";
    case 0x0D:
      return "floats";
    case 0x0E:
      return "doubles";
    default:
      return "numbers of an unknown type";
  }
}

std::vector<std::string> numbers_up_to(int count) {
  std::vector<std::string> names;
  names.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) names.push_back(std::to_string(i));
  return names;
}

}  // namespace

IdxArray parse_idx(std::string_view bytes, std::string_view name) {
  constexpr std::size_t kHead = 4, kMostSizes = 8;
  constexpr std::int64_t kMostBytes = std::int64_t{1} << 40;
  if (bytes.size() < kHead || bytes[0] != 0 || bytes[1] != 0) {
    throw DataError(name, 0,
                    "is no IDX file: it does not begin with two zeros, a type and a count");
  }
  const auto type = static_cast<unsigned char>(bytes[2]),
             count = static_cast<unsigned char>(bytes[3]);
  if (type != 0x08) {
    throw DataError(name, 0, fmt::format("holds {}; bytes are read", type_name(type)));
  }
  if (count < 1 || count > kMostSizes || bytes.size() < kHead + 4 * std::size_t{count}) {
    throw DataError(name, 0, fmt::format("has {} sizes in {} bytes", count, bytes.size()));
  }
  IdxArray array;
  std::int64_t total = 1;
  for (std::size_t i = 0; i < count; ++i) {
    array.sizes.push_back(big_endian(bytes, kHead + 4 * i));
    const std::int64_t size = array.sizes.back();
    total = size > 0 && total > kMostBytes / size ? kMostBytes : total * size;
  }
  const std::string_view data = bytes.substr(kHead + 4 * std::size_t{count});
  if (total != static_cast<std::int64_t>(data.size())) {
    throw DataError(name, 0,
                    fmt::format("its sizes {} need {} bytes, {} are there",
                                fmt::join(array.sizes, " × "), total, data.size()));
  }
  array.bytes.assign(data.begin(), data.end());
  return array;
}

PictureSet idx_pictures(const IdxArray& images, std::string_view images_name,
                        const IdxArray& labels, std::string_view labels_name) {
  if (images.sizes.size() != 3) {
    throw DataError(
        images_name, 0,
        fmt::format("has {} sizes; pictures have 3: count, height, width", images.sizes.size()));
  }
  if (labels.sizes.size() != 1 || labels.sizes[0] != images.sizes[0]) {
    throw DataError(labels_name, 0,
                    fmt::format("has {} labels, {} has {} pictures", labels.bytes.size(),
                                images_name, images.sizes[0]));
  }
  if (images.sizes[0] == 0) throw DataError(images_name, 0, "holds no picture");
  check_picture_size(images_name, images.sizes[1], images.sizes[2]);
  PictureSet set;
  const Picture blank(1, static_cast<int>(images.sizes[1]), static_cast<int>(images.sizes[2]));
  for (std::size_t i = 0; i < labels.bytes.size(); ++i) {
    Picture& picture = set.pictures.emplace_back(blank);
    std::copy_n(images.bytes.begin() + static_cast<std::ptrdiff_t>(i * picture.bytes.size()),
                picture.bytes.size(), picture.bytes.begin());
    set.labels.push_back(labels.bytes[i]);
  }
  set.classes = numbers_up_to(*std::ranges::max_element(set.labels) + 1);
  return set;
}

PictureSet parse_cifar(std::string_view bytes, std::string_view name,
                       std::vector<std::string> classes) {
  constexpr int kSide = 32, kClasses = 10;
  constexpr std::size_t kPixels = 3 * kSide * kSide, kRecord = kPixels + 1;
  if (bytes.empty() || bytes.size() % kRecord != 0) {
    throw DataError(name, 0,
                    fmt::format("has {} bytes; records of CIFAR-10 are {} each: it is another file "
                                "or cut short",
                                bytes.size(), kRecord));
  }
  PictureSet set;
  set.classes = classes.empty() ? numbers_up_to(kClasses) : std::move(classes);
  for (std::size_t at = 0; at < bytes.size(); at += kRecord) {
    const auto label = static_cast<unsigned char>(bytes[at]);
    if (label >= set.classes.size()) {
      throw DataError(name, 0,
                      fmt::format("record {} has label {} of {} classes", at / kRecord + 1, label,
                                  set.classes.size()));
    }
    Picture& picture = set.pictures.emplace_back(3, kSide, kSide);
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at + 1), kPixels,
                picture.bytes.begin());
    set.labels.push_back(label);
  }
  return set;
}

}  // namespace qkv
