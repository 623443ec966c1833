#include <memory>

#include <turbojpeg.h>

#include "qkv/base/error.h"
#include "qkv/base/notice.h"
#include "qkv/media/exif.h"
#include "qkv/media/picture_formats.h"

namespace qkv {
namespace {

struct Close {
  void operator()(void* handle) const { tjDestroy(handle); }
};

/// What is decoded with a warning is the picture as far as it goes; anything worse is thrown.
/// Returns the warning, or nothing.
std::string result_of(int status, tjhandle handle, std::string_view name) {
  if (status == 0) return {};
  const std::string reason = tjGetErrorStr2(handle);
  if (tjGetErrorCode(handle) == TJERR_WARNING) return reason;
  throw DataError(name, 0, fmt::format("JPEG: {}", reason));
}

/// At most 512 pixels come from a byte: a block of 8 × 8 costs a bit. With what may be missing of a
/// file that is cut short it is worth less than a byte for 4096.
void check_content(std::string_view bytes, int width, int height, std::string_view name) {
  constexpr std::uint64_t kBest = 4096;
  if (static_cast<std::uint64_t>(width) * static_cast<std::uint64_t>(height) <=
      kBest * bytes.size()) {
    return;
  }
  throw DataError(
      name, 0,
      fmt::format("claims {} × {} pixels, of which {} bytes hold next to nothing; it is "
                  "damaged or cut short",
                  width, height, bytes.size()));
}

}  // namespace

StoredPicture decode_jpeg(std::string_view bytes, std::string_view name,
                          const PictureReading& how) {
  const std::unique_ptr<void, Close> handle(tjInitDecompress());
  if (!handle) fail("{}: libjpeg-turbo has no memory", name);
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  int width = 0, height = 0, sampling = 0, colours = 0;
  const std::string early = result_of(
      tjDecompressHeader3(handle.get(), data, bytes.size(), &width, &height, &sampling, &colours),
      handle.get(), name);
  if (width < 1 || height < 1) throw DataError(name, 0, fmt::format("JPEG: {}", early));
  if (colours == TJCS_CMYK || colours == TJCS_YCCK) {
    throw DataError(name, 0,
                    "is a CMYK JPEG, which only its colour profile explains; convert it to RGB");
  }
  check_picture_size(name, height, width, how.most_pixels);
  check_content(bytes, width, height, name);
  const int channels = colours == TJCS_GRAY ? 1 : 3;
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(width) *
                                   static_cast<std::size_t>(height) *
                                   static_cast<std::size_t>(channels));
  // A progressive file may order thousands of passes over one picture: libjpeg-turbo stops at 500.
  const std::string warning =
      result_of(tjDecompress2(handle.get(), data, bytes.size(), pixels.data(), width, 0, height,
                              channels == 1 ? TJPF_GRAY : TJPF_RGB, TJFLAG_LIMITSCANS),
                handle.get(), name);
  if (!warning.empty()) {
    notice(fmt::format("{}: shown as far as it could be decoded ({})", name, warning));
  }
  const JpegHead head = jpeg_head(bytes);
  return {from_interleaved(pixels, channels, height, width), head.orientation, head.has_profile};
}

std::string encode_jpeg(const Picture& picture, int quality) {
  if (quality < 1 || quality > 100) fail("JPEG: quality {} is not from 1 to 100", quality);
  const std::unique_ptr<void, Close> handle(tjInitCompress());
  if (!handle) fail("libjpeg-turbo has no memory");
  const std::vector<std::uint8_t> pixels = interleaved(picture);
  const bool grey = picture.channels == 1;
  const int sampling = grey ? TJSAMP_GRAY : TJSAMP_420;
  std::string bytes(tjBufSize(picture.width, picture.height, sampling), '\0');
  auto* to = reinterpret_cast<unsigned char*>(bytes.data());
  unsigned long size = bytes.size();
  if (tjCompress2(handle.get(), pixels.data(), picture.width, 0, picture.height,
                  grey ? TJPF_GRAY : TJPF_RGB, &to, &size, sampling, quality,
                  TJFLAG_NOREALLOC | TJFLAG_ACCURATEDCT) != 0) {
    fail("JPEG: {}", tjGetErrorStr2(handle.get()));
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace qkv
