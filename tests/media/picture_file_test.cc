// Files of every kind against pixels known beforehand; what is damaged, too large or of another
// kind is refused by name.
#include "qkv/media/picture_file.h"

#include <cstdlib>

#include "data/notices.h"
#include "media/fill.h"
#include "media/picture_bytes.h"
#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/media/png.h"

namespace qkv {
namespace {

using namespace std::string_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string why(const std::string& bytes, const PictureReading& how = {}) {
  try {
    (void)decode_picture(bytes, "x.pic", how);
  } catch (const DataError& error) {
    return error.what();
  }
  return "read";
}

Picture decoded(const std::string& bytes, const PictureReading& how = {}) {
  return decode_picture(bytes, "x.pic", how);
}

TEST(PictureFile, WhatIsWrittenIsReadBack) {
  const Temporary folder;
  for (const int channels : {1, 3}) {
    const Picture picture = noise_picture(3, channels, 5, 7);
    for (const std::string name : {"a.png", channels == 1 ? "a.pgm" : "a.ppm", "a.pnm"}) {
      save_picture(picture, folder / name);
      EXPECT_EQ(read_picture(folder / name), picture) << name;
    }
  }
  const Picture grey(1, 1, 1);
  EXPECT_THROW(save_picture(grey, folder / "a.ppm"), UsageError);
  EXPECT_THROW(save_picture(grey, folder / "a.jpg"), UsageError);
  EXPECT_THROW(read_picture(folder / "none.png"), FileError);
}

TEST(PictureFile, PngPaletteBecomesRgb) {
  const std::string bytes =
      png_bytes({.width = 4,
                 .bits = 2,
                 .kind = PNG_COLOR_TYPE_PALETTE,
                 .rows = {0b00011011},
                 .more = [](png_structp png, png_infop info) {
                   const png_color colours[] = {{1, 2, 3}, {40, 50, 60}, {7, 8, 9}, {255, 0, 128}};
                   png_set_PLTE(png, info, colours, 4);
                 }});
  EXPECT_THAT(interleaved(decoded(bytes)), ElementsAre(1, 2, 3, 40, 50, 60, 7, 8, 9, 255, 0, 128));
}

TEST(PictureFile, PngGreyOfFewBits) {
  EXPECT_THAT(
      decoded(png_bytes({.width = 4, .bits = 2, .kind = PNG_COLOR_TYPE_GRAY, .rows = {0b00011011}}))
          .bytes,
      ElementsAre(0, 85, 170, 255));
  EXPECT_THAT(
      decoded(png_bytes({.width = 3, .bits = 1, .kind = PNG_COLOR_TYPE_GRAY, .rows = {0b10100000}}))
          .bytes,
      ElementsAre(255, 0, 255));
}

// 16 bits: v·255/65535 rounded, in the file's bytes as they are, with gAMA or without.
TEST(PictureFile, PngSixteenBitsAreRounded) {
  std::vector<std::uint8_t> rows, right;
  for (const int v : {0, 128, 129, 255, 256, 32767, 32896, 65406, 65407, 65535}) {
    rows.push_back(static_cast<std::uint8_t>(v >> 8));
    rows.push_back(static_cast<std::uint8_t>(v & 255));
    right.push_back(static_cast<std::uint8_t>((v * 255 * 2 + 65535) / (2 * 65535)));
  }
  EXPECT_EQ(right[1], 0);
  EXPECT_EQ(right[2], 1);
  for (const bool gamma : {false, true}) {
    const std::string bytes = png_bytes({.width = 10,
                                         .bits = 16,
                                         .kind = PNG_COLOR_TYPE_GRAY,
                                         .rows = rows,
                                         .more = [gamma](png_structp png, png_infop info) {
                                           if (gamma) png_set_gAMA(png, info, 1.0);
                                         }});
    EXPECT_EQ(decoded(bytes).bytes, right) << gamma;
  }
}

TEST(PictureFile, PngInterlaced) {
  const Picture picture = noise_picture(9, 3, 13, 11);
  const std::string bytes =
      png_bytes({.width = 11, .height = 13, .interlaced = true, .rows = interleaved(picture)});
  EXPECT_EQ(decoded(bytes), picture);
}

TEST(PictureFile, PngTransparencyOverABackground) {
  const std::string rgba = png_bytes(
      {.width = 2, .kind = PNG_COLOR_TYPE_RGB_ALPHA, .rows = {100, 0, 200, 51, 10, 20, 30, 0}});
  const Notices notices;
  EXPECT_THAT(interleaved(decoded(rgba)), ElementsAre(224, 204, 244, 255, 255, 255));
  EXPECT_THAT(interleaved(decoded(rgba)), ElementsAre(224, 204, 244, 255, 255, 255));
  ASSERT_EQ(notices.lines.size(), 1U) << "said once";
  EXPECT_THAT(notices.lines[0], HasSubstr("x.pic: has transparent places"));
  EXPECT_THAT(interleaved(decoded(rgba, {.background = Rgb{0, 10, 255}})),
              ElementsAre(20, 8, 244, 0, 10, 255));
  const std::string grey =
      png_bytes({.width = 2, .kind = PNG_COLOR_TYPE_GRAY_ALPHA, .rows = {100, 51, 10, 255}});
  EXPECT_THAT(decoded(grey).bytes, ElementsAre(224, 10));
  EXPECT_EQ(decoded(grey, {.background = Rgb{0, 10, 255}}).channels, 3);
  // A transparent colour, in 16 bits: told apart before the rounding.
  const std::string colour = png_bytes({.width = 2,
                                        .bits = 16,
                                        .kind = PNG_COLOR_TYPE_GRAY,
                                        .rows = {1, 2, 1, 3},
                                        .more = [](png_structp png, png_infop info) {
                                          png_color_16 clear{};
                                          clear.gray = 0x0102;
                                          png_set_tRNS(png, info, nullptr, 0, &clear);
                                        }});
  EXPECT_THAT(decoded(colour).bytes, ElementsAre(255, 1));
}

TEST(PictureFile, PngOrientation) {
  std::string block = exif_block(true, 6);
  const std::string bytes =
      png_bytes({.width = 3,
                 .height = 2,
                 .kind = PNG_COLOR_TYPE_GRAY,
                 .rows = {1, 2, 3, 4, 5, 6},
                 .more = [&](png_structp png, png_infop info) {
                   png_set_eXIf_1(png, info, static_cast<png_uint_32>(block.size()),
                                  reinterpret_cast<png_bytep>(block.data()));
                 }});
  EXPECT_THAT(decoded(bytes).bytes, ElementsAre(4, 1, 5, 2, 6, 3));
  EXPECT_THAT(decoded(bytes, {.turn = false}).bytes, ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(PictureFile, ChannelsAsAskedFor) {
  const std::string grey = encode_png(noise_picture(1, 1, 2, 2));
  EXPECT_EQ(decoded(grey, {.channels = 3}).channels, 3);
  EXPECT_EQ(decoded(encode_png(noise_picture(1, 3, 2, 2)), {.channels = 1}).channels, 1);
  EXPECT_THROW(decoded(grey, {.channels = 2}), Error);
}

/// Smooth, so that a JPEG of it is near.
Picture slope(int channels, int height, int width) {
  Picture picture(channels, height, width);
  for (int c = 0; c < channels; ++c) {
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        picture.at(c, y, x) = static_cast<std::uint8_t>(40 * c + 3 * y + 2 * x);
      }
    }
  }
  return picture;
}

void expect_near(const Picture& a, const Picture& b, int most) {
  ASSERT_EQ(a.bytes.size(), b.bytes.size());
  ASSERT_EQ(a.width, b.width);
  for (std::size_t i = 0; i < a.bytes.size(); ++i) {
    ASSERT_LE(std::abs(a.bytes[i] - b.bytes[i]), most) << i;
  }
}

TEST(PictureFile, JpegColourGreyAndProgressive) {
  const Picture picture = slope(3, 24, 40);
  expect_near(decoded(jpeg_bytes(interleaved(picture), 40, 24)), picture, 3);
  expect_near(decoded(jpeg_bytes(interleaved(picture), 40, 24, TJPF_RGB, "", TJSAMP_444,
                                 TJFLAG_PROGRESSIVE)),
              picture, 3);
  const Picture grey = slope(1, 24, 40);
  expect_near(decoded(jpeg_bytes(grey.bytes, 40, 24, TJPF_GRAY, "", TJSAMP_GRAY)), grey, 2);
}

TEST(PictureFile, JpegOrientationOfEitherByteOrder) {
  const Picture picture = slope(3, 16, 24);
  for (const bool little : {false, true}) {
    for (int o = 1; o <= 8; ++o) {
      const std::string exif = jpeg_segment(0xE1, "Exif\0\0"s + exif_block(little, o));
      const std::string bytes =
          jpeg_bytes(interleaved(picture), 24, 16, TJPF_RGB, jpeg_segment(0xE1, "http://") + exif);
      expect_near(decoded(bytes), turned(picture, o), 3);
    }
  }
}

TEST(PictureFile, JpegCutShortIsShownAndSaid) {
  const Picture picture = slope(3, 64, 64);
  const std::string whole = jpeg_bytes(interleaved(picture), 64, 64);
  const Notices notices;
  const Picture part = decoded(whole.substr(0, whole.size() * 3 / 4));
  ASSERT_EQ(notices.lines.size(), 1U);
  EXPECT_THAT(notices.lines[0], HasSubstr("x.pic: shown as far as it could be decoded"));
  EXPECT_EQ(part.at(0, 1, 1), decoded(whole).at(0, 1, 1));
  EXPECT_THAT(why(whole.substr(0, 100)), HasSubstr("x.pic: JPEG: "));
}

TEST(PictureFile, JpegInCmykIsRefusedByName) {
  const std::vector<std::uint8_t> pixels(8 * 8 * 4, 77);
  EXPECT_THAT(why(jpeg_bytes(pixels, 8, 8, TJPF_CMYK)), HasSubstr("is a CMYK JPEG"));
}

/// A small progressive file that orders one scan of luminance again and again.
TEST(PictureFile, JpegWithThousandsOfScansIsStopped) {
  const Picture grey = slope(1, 64, 64);
  std::string bytes =
      jpeg_bytes(grey.bytes, 64, 64, TJPF_GRAY, "", TJSAMP_GRAY, TJFLAG_PROGRESSIVE);
  const std::size_t scan = bytes.find("\xFF\xDA");
  ASSERT_NE(scan, std::string::npos);
  const std::size_t next = bytes.find("\xFF\xDA", scan + 2);
  ASSERT_NE(next, std::string::npos);
  std::size_t tables = bytes.find("\xFF\xC4", scan + 2);
  const std::string first = bytes.substr(scan, std::min(next, tables) - scan);
  std::string many;
  for (int i = 0; i < 600; ++i) many += first;
  bytes.insert(scan, many);
  EXPECT_THAT(why(bytes), HasSubstr("500"));
}

TEST(PictureFile, ColourProfilesAreSaidOnce) {
  const Picture picture = slope(3, 8, 8);
  const std::string bytes =
      jpeg_bytes(interleaved(picture), 8, 8, TJPF_RGB, jpeg_segment(0xE2, "ICC_PROFILE\0\1\1abc"s));
  const Notices notices;
  expect_near(decoded(bytes), picture, 3);
  expect_near(decoded(bytes), picture, 3);
  ASSERT_EQ(notices.lines.size(), 1U);
  EXPECT_THAT(notices.lines[0], HasSubstr("its colour profile is passed over"));
}

TEST(PictureFile, PortableMaps) {
  const Picture grey = decoded("P5 # made by hand\n#another\n 3\t2\n# x\n255\n\1\2\3\4\5\6");
  EXPECT_EQ(grey.width, 3);
  EXPECT_THAT(grey.bytes, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(decoded("P6 2 1 255 abcdef").bytes, ElementsAre('a', 'd', 'b', 'e', 'c', 'f'));
  EXPECT_THAT(decoded("P5 3 1 4 \0\1\4"s).bytes, ElementsAre(0, 64, 255));
  EXPECT_THAT(decoded("P5 3 1 65535 \0\x80\0\x81\xFF\xFF"s).bytes, ElementsAre(0, 1, 255));
  const Notices notices;
  EXPECT_THAT(decoded("P5 1 1 255 abc").bytes, ElementsAre('a'));
  ASSERT_EQ(notices.lines.size(), 1U);
  EXPECT_THAT(notices.lines[0], HasSubstr("2 bytes behind its picture"));
}

TEST(PictureFile, BrokenPortableMaps) {
  EXPECT_THAT(why("P5"), HasSubstr("has no width"));
  EXPECT_THAT(why("P5 3"), HasSubstr("has no height"));
  EXPECT_THAT(why("P5 3 2 255"), HasSubstr("does not end in white space"));
  EXPECT_THAT(why("P5 3 2 255 abcde"), HasSubstr("6 bytes, 5 are there"));
  EXPECT_THAT(why("P5 0 2 255 "), HasSubstr("no pixels"));
  EXPECT_THAT(why("P5 1 1 0 a"), HasSubstr("largest value is 0"));
  EXPECT_THAT(why("P5 1 1 65536 a"), HasSubstr("largest value is 65536"));
  EXPECT_THAT(why("P5 1 1 9 a"), HasSubstr("has the value 97"));
  EXPECT_THAT(why("P5 99999999999999999999 1 255 "), HasSubstr("claims"));
  EXPECT_THAT(why("P6 60000 60000 255 "), HasSubstr("claims 60000 × 60000"));
}

TEST(PictureFile, OtherKindsAreNamed) {
  EXPECT_THAT(why(""), HasSubstr("is empty"));
  EXPECT_THAT(why("GIF89a"), HasSubstr("is a GIF"));
  EXPECT_THAT(why("RIFF\1\1\1\1WEBPVP8 "), HasSubstr("is a WebP"));
  EXPECT_THAT(why("P3 1 1 255 0 0 0"), HasSubstr("plain text (P3)"));
  EXPECT_THAT(why("hello"), HasSubstr("x.pic: is no picture that is known here"));
}

TEST(PictureFile, PngCutAtEveryByte) {
  const std::string whole = encode_png(noise_picture(2, 3, 6, 5));
  EXPECT_EQ(why(whole), "read");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(why(whole.substr(0, size)), "read") << size;
  }
}

TEST(PictureFile, AFlippedBitInAPngIsSeen) {
  const std::string whole = encode_png(noise_picture(2, 3, 6, 5));
  int refused = 0;
  for (std::size_t at = 8; at < whole.size(); ++at) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 4);
    refused += why(bytes) != "read" ? 1 : 0;
  }
  EXPECT_GT(refused, static_cast<int>(whole.size()) * 3 / 4) << "checksums cover all that counts";
}

std::string with_size(std::string png, std::uint32_t width, std::uint32_t height) {
  for (int i = 0; i < 4; ++i) {
    png[static_cast<std::size_t>(16 + i)] = static_cast<char>(width >> (24 - 8 * i));
    png[static_cast<std::size_t>(20 + i)] = static_cast<char>(height >> (24 - 8 * i));
  }
  const auto crc =
      static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(png.data()) + 12, 17));
  for (int i = 0; i < 4; ++i)
    png[static_cast<std::size_t>(29 + i)] = static_cast<char>(crc >> (24 - 8 * i));
  return png;
}

TEST(PictureFile, ClaimsAreNotBelieved) {
  const std::string small = encode_png(Picture(1, 2, 2));
  EXPECT_THAT(why(with_size(small, 65537, 1)), HasSubstr("claims 65537 × 1 pixels"));
  EXPECT_THAT(why(with_size(small, 65536, 65536)), HasSubstr("at most"));
  EXPECT_THAT(why(with_size(small, 16384, 16384)), HasSubstr("more than its"));
  EXPECT_THAT(why(with_size(small, 0, 1)), HasSubstr("no pixels"));
  EXPECT_THAT(why(small, {.most_pixels = 3}), HasSubstr("3 in all"));
  std::string jpeg = jpeg_bytes(std::vector<std::uint8_t>(64, 9), 8, 8, TJPF_GRAY, "", TJSAMP_GRAY);
  const std::size_t frame = jpeg.find("\xFF\xC0");
  for (const std::size_t at : {frame + 5, frame + 7}) jpeg.replace(at, 2, "\x3F\xFF");
  EXPECT_THAT(why(jpeg), HasSubstr("hold next to nothing"));
}

}  // namespace
}  // namespace qkv
