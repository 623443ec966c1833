// qkv score psnr and ssim as a user types them.
#include "app/run_qkv.h"
#include "media/fill.h"
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "qkv/eval/picture_scores.h"
#include "qkv/media/picture_file.h"

namespace qkv {
namespace {

class ScorePictures : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_ / "right");
    std::filesystem::create_directories(folder_ / "given");
    for (const std::string name : {"a", "b"}) {
      Picture right = noise_picture(name == "a" ? 1 : 2, 3, 20, 24), given = right;
      for (std::uint8_t& byte : given.bytes) byte = static_cast<std::uint8_t>(byte / 2 + 60);
      save_picture(right, folder_ / "right" / (name + ".png"));
      save_picture(given, folder_ / "given" / (name + ".ppm"));
    }
  }
  std::string path(const std::string& name) const { return "'" + (folder_ / name).string() + "' "; }
  Temporary folder_;
};

TEST_F(ScorePictures, TwoFilesInTextAndJson) {
  const std::string files = "--reference " + path("right/a.png") + path("given/a.ppm");
  const double right =
      psnr(score_planes(read_picture(folder_ / "right" / "a.png"), ScoreChannel::y),
           score_planes(read_picture(folder_ / "given" / "a.ppm"), ScoreChannel::y), 2);
  const Ran ran = run_qkv("score psnr --border 2 " + files);
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.out, fmt::format("PSNR-Y (rgb protocol, border 2) = {:.3f}\n", right));
  const auto json = nlohmann::json::parse(run_qkv("score psnr --json --border 2 " + files).out);
  EXPECT_EQ(json["mean"].get<double>(), right);
  EXPECT_EQ(json["protocol"], "rgb");
  const auto ssim = nlohmann::json::parse(run_qkv("score ssim --json --channel rgb " + files).out);
  EXPECT_EQ(ssim["metric"], "SSIM");
  EXPECT_EQ(ssim["channel"], "rgb");
}

TEST_F(ScorePictures, FoldersByName) {
  const Ran ran = run_qkv("score psnr --reference " + path("right") + path("given"));
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_NE(ran.out.find(" a\n"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("PSNR-Y (rgb protocol, border 0) = "), std::string::npos) << ran.out;
  std::filesystem::remove(folder_ / "given" / "b.ppm");
  const Ran lacks = run_qkv("score psnr --reference " + path("right") + path("given"));
  EXPECT_EQ(lacks.exit, 1);
  EXPECT_NE(lacks.err.find("has no picture 'b'"), std::string::npos) << lacks.err;
}

TEST_F(ScorePictures, BicubicBaselines) {
  const auto mean = [&](const std::string& options) {
    const Ran ran =
        run_qkv("score psnr --json --bicubic 2 " + options + " --reference " + path("right"));
    EXPECT_EQ(ran.exit, 0) << ran.err;
    return nlohmann::json::parse(ran.out);
  };
  EXPECT_EQ(mean("")["border"], 2);
  EXPECT_NE(mean("")["mean"], mean("--protocol y-float")["mean"]);
  EXPECT_EQ(mean("--protocol y-bytes")["protocol"], "y-bytes");
}

TEST_F(ScorePictures, SizesThatDiffer) {
  save_picture(cropped(read_picture(folder_ / "right" / "a.png"), 0, 0, 19, 24),
               folder_ / "small.png");
  const std::string files = "--reference " + path("right/a.png") + path("small.png");
  const Ran ran = run_qkv("score psnr " + files);
  EXPECT_EQ(ran.exit, 1);
  EXPECT_NE(ran.err.find("24 × 19 pixels"), std::string::npos) << ran.err;
  EXPECT_EQ(run_qkv("score psnr --crop " + files).out, "PSNR-Y (rgb protocol, border 0) = inf\n");
}

TEST_F(ScorePictures, WrongUsage) {
  const std::string reference = "score psnr --reference " + path("right");
  EXPECT_EQ(run_qkv(reference).exit, 2);
  EXPECT_EQ(run_qkv(reference + "--bicubic 2 " + path("given")).exit, 2);
  EXPECT_EQ(run_qkv(reference + "--bicubic 2 --crop").exit, 2);
  EXPECT_EQ(run_qkv(reference + "--protocol y-float " + path("given")).exit, 2);
  EXPECT_EQ(run_qkv(reference + "--bicubic 2 --protocol y-float --channel rgb").exit, 2);
  EXPECT_EQ(run_qkv(reference + path("right/a.png")).exit, 1);
  spill(folder_ / "broken.png", "no picture");
  const Ran broken = run_qkv("score psnr --reference " + path("right/a.png") + path("broken.png"));
  EXPECT_EQ(broken.exit, 1);
  EXPECT_NE(broken.err.find("broken.png: is no picture"), std::string::npos) << broken.err;
}

}  // namespace
}  // namespace qkv
