// Real pictures: MATLAB's own low resolutions of Set5, byte for byte, and the table of bicubic
// results that papers quote.
#include <filesystem>
#include <numeric>

#include <gtest/gtest.h>

#include "qkv/base/options.h"
#include "qkv/base/parallel.h"
#include "qkv/eval/picture_scores.h"
#include "qkv/media/folders.h"
#include "qkv/media/picture_file.h"

namespace qkv {
namespace {

const std::filesystem::path kData = QKV_DATA_DIR;

std::vector<Picture> pictures_of(const std::filesystem::path& folder) {
  std::vector<Picture> pictures;
  for (const auto& path : files_in(folder, picture_endings())) {
    pictures.push_back(read_picture(path));
  }
  return pictures;
}

TEST(PictureScoresData, LowResolutionsOfSet5ByteForByte) {
  const auto folder = kData / "sr-sets" / "Set5";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no " << folder;
  int equal = 0;
  for (const int scale : {2, 3, 4}) {
    for (const auto& path : files_in(folder / "HR", picture_endings())) {
      const std::string low = "LR_bicubic/X" + std::to_string(scale) + "/" + path.stem().string() +
                              "x" + std::to_string(scale) + ".png";
      const Picture right = read_picture(folder / low);
      const Picture high =
          cropped(read_picture(path), 0, 0, scale * right.height, scale * right.width);
      const bool same = resize_bicubic(high, 1.0 / scale) == right;
      EXPECT_TRUE(same) << low;
      equal += same ? 1 : 0;
    }
  }
  EXPECT_EQ(equal, 15);
}

struct Row {
  SrProtocol protocol;
  double psnr[3], ssim[3];  // of ×2, ×3, ×4; 0: not known
};

/// The means over a set to the digits that were printed.
void expect_rows(const std::vector<Picture>& pictures, const std::vector<Row>& rows,
                 double tolerance) {
  for (const Row& row : rows) {
    for (const int scale : {2, 3, 4}) {
      std::vector<double> decibels(pictures.size()), similarity(pictures.size());
      const bool similar = row.ssim[scale - 2] > 0;
      parallel_for(static_cast<std::int64_t>(pictures.size()), 1,
                   [&](std::int64_t i, std::int64_t) {
                     const auto at = static_cast<std::size_t>(i);
                     const BicubicPair pair =
                         bicubic_pair(pictures[at], scale, row.protocol, ScoreChannel::y);
                     decibels[at] = psnr(pair.reference, pair.output, scale);
                     if (similar) similarity[at] = ssim(pair.reference, pair.output, scale);
                   });
      const auto mean = [](const std::vector<double>& x) {
        return std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
      };
      const std::string where = std::string(name_of(row.protocol)) + " x" + std::to_string(scale);
      EXPECT_NEAR(mean(decibels), row.psnr[scale - 2], tolerance) << where;
      if (similar) {
        EXPECT_NEAR(mean(similarity), row.ssim[scale - 2], 6e-5 + tolerance / 50) << where;
      }
    }
  }
}

TEST(PictureScoresData, BicubicOnSet5) {
  const auto folder = kData / "sr-sets" / "Set5" / "HR";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no " << folder;
  expect_rows(pictures_of(folder),
              {{SrProtocol::rgb, {33.673, 30.403, 28.429}, {.9303, .8689, .8111}},
               {SrProtocol::y_float, {33.661, 30.392, 28.421}, {.9299, .8682, .8104}},
               {SrProtocol::y_bytes, {33.637, 30.384, 28.414}, {.9291, .8678, .8100}}},
              6e-4);
}

TEST(PictureScoresData, BicubicOnSet14) {
  const auto folder = kData / "sr-sets" / "Set14" / "HR";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no " << folder;
  expect_rows(pictures_of(folder),
              {{SrProtocol::rgb, {30.325, 27.631, 26.088}, {.8699, .7759, .7048}},
               {SrProtocol::y_float, {30.326, 27.635, 26.094}, {.8694, .7750, .7037}},
               {SrProtocol::y_bytes, {30.314, 27.632, 26.090}, {}}},
              6e-4);
}

// The originals are JPEG, whose decoders differ: .005 dB.
TEST(PictureScoresData, BicubicOnBsd100) {
  const auto folder = kData / "bsds" / "bsd100";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no " << folder;
  expect_rows(pictures_of(folder),
              {{SrProtocol::rgb, {29.560, 27.209, 25.961}, {.8434, .7391, .6681}},
               {SrProtocol::y_float, {29.558, 27.207, 25.961}, {}},
               {SrProtocol::y_bytes, {29.547, 27.203, 25.957}, {}}},
              5e-3);
}

}  // namespace
}  // namespace qkv
