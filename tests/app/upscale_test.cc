// Pictures through the verbs: train upscale, upscale, info, import, export.
#include <cmath>

#include "app/run_qkv.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace qkv {
namespace {

using Json = nlohmann::json;

class Upscale : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_ / "train");
    for (int n = 0; n < 3; ++n)
      spill(folder_ / "train" / (std::to_string(n) + ".ppm"), waves(40, n));
    spill(folder_ / "v.ppm", waves(36, 5));
    spill(folder_ / "small.ppm", waves(13, 5));
  }
  /// Stripes in a circle, side × side pixels.
  static std::string waves(int side, int n) {
    std::string ppm = "P6 " + std::to_string(side) + " " + std::to_string(side) + " 255\n";
    for (int i = 0; i < side * side; ++i) {
      const double r = std::hypot(i / side - 3.0 * n, i % side - 20.0);
      for (int c = 0; c < 3; ++c) {
        ppm +=
            static_cast<char>(static_cast<unsigned char>(128 + 100 * std::sin(r * (1 + 0.2 * c))));
      }
    }
    return ppm;
  }
  std::string path(const std::string& name) { return "'" + (folder_ / name).string() + "'"; }
  std::string train(const std::string& more) {
    return "train upscale --train " + path("train") + " --valid " + path("v.ppm") + " --model " +
           path("m") +
           " --variant xs --width 8 --depths 2 --heads 2 --window 4 --crop 8 --batch 2" +
           " --threads 1 " + more;
  }
  Temporary folder_;
};

TEST_F(Upscale, TrainsAndUpscales) {
  const Ran trained =
      run_qkv(train("--steps 60 --rate 0.005 --validate-every 20 --json --test ") + path("v.ppm"));
  ASSERT_EQ(trained.exit, 0) << trained.err;
  EXPECT_NE(trained.err.find("bicubic has PSNR-Y"), std::string::npos) << trained.err;
  const std::size_t at = trained.err.find("has PSNR-Y ") + 11;
  EXPECT_GT(Json::parse(trained.out)["mean"], std::stod(trained.err.substr(at))) << trained.err;
  EXPECT_EQ(run_qkv("info " + path("m")).exit, 0);

  const std::string model = " --model " + path("m");
  const Ran one = run_qkv("upscale " + path("small.ppm") + model + " --output " + path("o.ppm"));
  ASSERT_EQ(one.exit, 0) << one.err;
  EXPECT_TRUE(slurp(folder_ / "o.ppm").starts_with("P6\n26 26\n255\n"));
  const Ran again = run_qkv("upscale " + path("small.ppm") + model + " --output " + path("o.ppm"));
  EXPECT_EQ(again.exit, 1);
  EXPECT_NE(again.err.find("--overwrite"), std::string::npos) << again.err;

  const Ran other = run_qkv("upscale " + path("small.ppm") + model + " --output " + path("o.jpg"));
  EXPECT_EQ(other.exit, 2);
  EXPECT_NE(other.err.find("o.jpg: a picture is written as"), std::string::npos) << other.err;

  const Ran many = run_qkv("upscale " + path("train") + " " + path("v.ppm") + model + " --output " +
                           path("out") + " --json");
  ASSERT_EQ(many.exit, 0) << many.err;
  EXPECT_EQ(Json::parse(many.out.substr(0, many.out.find('\n')))["width"], 80);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "out" / "v.png"));
  const Ran beside = run_qkv("upscale " + path("v.ppm") + model);
  EXPECT_EQ(beside.exit, 0) << beside.err;
  EXPECT_TRUE(std::filesystem::exists(folder_ / "v-x2.png"));
  const Ran scored = run_qkv("upscale --evaluate " + path("v.ppm") + model);
  EXPECT_NE(scored.out.find("PSNR-Y (rgb protocol, border 2) = "), std::string::npos) << scored.out;
  EXPECT_NE(scored.out.find("SSIM-Y"), std::string::npos);
}

TEST_F(Upscale, GoesOnToTheSameBits) {
  ASSERT_EQ(run_qkv(train("--steps 6 --schedule constant")).exit, 0);
  const std::string whole = slurp(folder_ / "m" / "model.safetensors");
  ASSERT_EQ(run_qkv(train("--steps 3 --schedule constant --overwrite")).exit, 0);
  const Ran resumed = run_qkv(train("--steps 6 --schedule constant --resume"));
  ASSERT_EQ(resumed.exit, 0) << resumed.err;
  EXPECT_EQ(slurp(folder_ / "m" / "model.safetensors"), whole);
}

TEST_F(Upscale, GoesOnFromPublishedNames) {
  ASSERT_EQ(run_qkv(train("--steps 2 --residual none")).exit, 0);
  const Ran exported = run_qkv("export " + path("m") + " " + path("e") + " --format swinir");
  ASSERT_EQ(exported.exit, 0) << exported.err;
  EXPECT_EQ(run_qkv("import " + path("e") + " " + path("i")).exit, 0);
  const std::string from = "train upscale --init " + path("e") + " --train " + path("train") +
                           " --valid " + path("v.ppm") + " --crop 8 --steps 2 --model " + path("n");
  const Ran on = run_qkv(from);
  EXPECT_EQ(on.exit, 0) << on.err;
  EXPECT_EQ(run_qkv(from + " --overwrite --width 8").exit, 2);
  EXPECT_EQ(run_qkv(from + " --overwrite --scale 3").exit, 2);
}

TEST_F(Upscale, Cleans) {
  for (const std::string job : {"denoise --level 25", "jpeg --level 10 --grey"}) {
    const Ran trained = run_qkv(train("--overwrite --steps 2 --job " + job));
    EXPECT_EQ(trained.exit, 0) << trained.err;
  }
  const Ran colours = run_qkv("upscale --model " + path("m") + " " + path("v.ppm"));
  EXPECT_EQ(colours.exit, 1);
  EXPECT_NE(colours.err.find("v.ppm: the model restores grey"), std::string::npos) << colours.err;
}

TEST_F(Upscale, SaysWhatIsWrong) {
  std::filesystem::create_directories(folder_ / "empty");
  const auto error = [&](const std::string& arguments, int exit) {
    const Ran ran = run_qkv(arguments);
    EXPECT_EQ(ran.exit, exit) << ran.err;
    return ran.err;
  };
  const std::string model = " --steps 1 --model " + path("m");
  const auto says = [](const std::string& text, const std::string& what) {
    EXPECT_NE(text.find(what), std::string::npos) << text;
  };
  const std::string valid = " --valid " + path("v.ppm");
  says(error("train upscale --train " + path("empty") + valid + model, 1), "holds no picture");
  says(error("train upscale --train " + path("none") + valid + model, 1), "no such file");
  says(error("train upscale --train " + path("small.ppm") + valid + model, 1), "--crop");
  says(error("train upscale --scale 5 --train " + path("train") + valid + model +
                 " --variant classical",
             1),
       "scale 5");
  says(error(
           "train upscale --job denoise --train " + path("train") + valid + model + " --variant xs",
           2),
       "--level");
  says(error("upscale --model " + path("m") + " " + path("v.ppm"), 1), "m");
  says(error("upscale --model " + path("m"), 2), "give pictures");
  spill(folder_ / "w.pth", "pickle");
  says(error("upscale --model " + path("w.pth") + " " + path("v.ppm"), 1), "is a pickle");
}

}  // namespace
}  // namespace qkv
