#include "qkv/systems/upscaler.h"

#include <fstream>

#include "models/picture_helpers.h"
#include "systems/tiny_models.h"
#include "text/temporary.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/base/random.h"
#include "qkv/io/directory.h"
#include "qkv/io/safetensors.h"
#include "qkv/systems/export/export.h"
#include "qkv/systems/import/swin_ir_files.h"
#include "qkv/systems/open.h"
#include "qkv/systems/restore_pairs.h"
#include "qkv/systems/upscale_model.h"

namespace qkv {
namespace {

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(Upscaler, GivesThePictureOfTheNetwork) {
  const UpscaleModel m = tiny::upscale_model();
  const Picture in = tiny::noise_picture(3, 9, 14);
  const Picture out = Upscaler(m).upscale(in);
  ASSERT_EQ(out.height, 18);
  ASSERT_EQ(out.width, 28);
  Picture wanted(3, 18, 28);
  put_pixels(m.network(pixels_of(in, 0, 9), Grids{{9, 14}}), 0, wanted);
  EXPECT_EQ(out, wanted);
}

TEST(Upscaler, NeighboursAndThreadsChangeNoByte) {
  const Upscaler u(tiny::upscale_model(SwinIrEnd::pixel_shuffle, 3));
  const std::vector<Picture> in = {tiny::noise_picture(3, 5, 30), tiny::noise_picture(3, 40, 21),
                                   tiny::noise_picture(1, 8, 8)};
  const std::vector<Picture> together = u.upscale(in);
  for (const int n : {1, 2}) {
    const ThreadScope threads(n);
    for (std::size_t i = 0; i < in.size(); ++i) EXPECT_EQ(u.upscale(in[i]), together[i]);
  }
  EXPECT_EQ(together[2].channels, 1);
}

TEST(Upscaler, RefusesWhatDoesNotFit) {
  UpscaleModel grey = tiny::upscale_model();
  SwinIr::Config c = grey.network.config;
  c.channels = 1;
  grey.network = SwinIr::make(1, c);
  EXPECT_EQ(error_of([&] { (void)Upscaler(grey).upscale(tiny::noise_picture(3, 8, 8)); }),
            "the model restores grey pictures, this one has colours; give it a grey one");
  EXPECT_EQ(Upscaler(grey).upscale(tiny::noise_picture(1, 8, 8)).width, 16);
  EXPECT_NE(error_of([&] {
              Upscaler(tiny::upscale_model()).check(Picture(3, 1, 60'000));
            }).find("60000 × 1"),
            std::string::npos);
  c.end = SwinIrEnd::none;
  c.scale = 1;
  c.residual = SwinIrResidual::bicubic;
  EXPECT_THROW((void)SwinIr::make(1, c), Error);
}

TEST(Upscaler, ShowsWhatAPixelAttendsTo) {
  const Upscaler u(tiny::upscale_model());
  const std::vector<PixelAttention> seen = u.attention(tiny::noise_picture(3, 9, 11), 5, 6);
  ASSERT_EQ(seen.size(), 4u);  // 12 × 12 pixels in windows of 4, every other layer shifted by 2
  EXPECT_EQ(seen[0].path, "layers.0.blocks.0.attn");
  EXPECT_EQ(seen[3].path, "layers.1.blocks.1.attn");
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(seen[i].top, i % 2 == 0 ? 4 : 2);
    EXPECT_EQ(seen[i].left, i % 2 == 0 ? 4 : 6);
    ASSERT_EQ(seen[i].weights.shape(), (Shape{i < 2 ? 2 : 3, 16}));
    for (std::int64_t h = 0; h < seen[i].weights.dim(0); ++h) {
      double sum = 0;
      for (const float p : seen[i].weights.rows(h, h + 1).values()) sum += static_cast<double>(p);
      EXPECT_NEAR(sum, 1, 1e-5);
    }
  }
  EXPECT_EQ(u.attention(tiny::noise_picture(3, 9, 11), 0, 0)[1].rows, 2);
  EXPECT_THROW((void)u.attention(tiny::noise_picture(3, 9, 11), 9, 0), Error);
}

TEST(Upscaler, LiesInADirectory) {
  const Temporary folder;
  UpscaleModel m = tiny::upscale_model();
  m.job = RestoreJob::upscale;
  const Upscaler u(m);
  u.save(folder / "m");
  const System system = open(folder / "m");
  ASSERT_TRUE(std::holds_alternative<Upscaler>(system));
  EXPECT_EQ(verb_of(system), "upscale");
  EXPECT_EQ(info_of(system).parameters, parameter_count(m));
  const Picture in = tiny::noise_picture(3, 6, 7);
  EXPECT_EQ(std::get<Upscaler>(system).upscale(in), u.upscale(in));
}

/// The model's weights under the published names, below a prefix, with buffers.
void publish(const UpscaleModel& m, const std::filesystem::path& file,
             const std::vector<std::string>& prefixes, const std::string& extra = "") {
  std::vector<NamedTensor> tensors;
  for (const std::string& prefix : prefixes) {
    for (auto& [name, tensor] : read_state(state_entries(m.network))) {
      // What is not to be taken is something else.
      const bool other = prefixes.size() > 1 && prefix == "params.";
      tensors.push_back({prefix + name, other ? Tensor::zeros(tensor.shape()) : tensor});
    }
    const std::string block = prefix + "layers.0.residual_group.blocks.1.attn";
    tensors.push_back({block + ".relative_position_index", Tensor::zeros({16, 16})});
    tensors.push_back({block + "_mask", Tensor::zeros({4, 16, 16})});
  }
  if (!extra.empty()) tensors.push_back({extra, Tensor::zeros({2})});
  save_safetensors(file, tensors);
}

TEST(SwinIrFiles, AreReadUnderEachPrefix) {
  const Temporary folder;
  const Picture in = tiny::noise_picture(3, 6, 7);
  struct End {
    SwinIrEnd end;
    std::int64_t scale;
  };
  for (const End& end : {End{SwinIrEnd::pixel_shuffle_direct, 2},
                         End{SwinIrEnd::pixel_shuffle_direct, 3}, End{SwinIrEnd::pixel_shuffle, 3},
                         End{SwinIrEnd::pixel_shuffle, 4}, End{SwinIrEnd::nearest_conv, 4},
                         End{SwinIrEnd::nearest_conv, 2}, End{SwinIrEnd::none, 1}}) {
    const UpscaleModel m = tiny::upscale_model(end.end, end.scale);
    for (const std::vector<std::string>& prefixes :
         std::vector<std::vector<std::string>>{{""}, {"params."}, {"params_ema.", "params."}}) {
      const auto file = folder / "w.safetensors";
      publish(m, file, prefixes);
      const UpscaleModel back = read_swin_ir_file(file);
      EXPECT_EQ(back.network.config.scale, end.scale);
      EXPECT_EQ(Upscaler(back).upscale(in), Upscaler(m).upscale(in));
      EXPECT_EQ(back.notes.size(), prefixes.size() > 1 ? 1u : 0u);
    }
  }
}

TEST(SwinIrFiles, AreFoundInADirectory) {
  const Temporary folder;
  std::filesystem::create_directories(folder / "d");
  publish(tiny::upscale_model(), folder / "d" / kWeightsFile, {"params."});
  EXPECT_TRUE(std::holds_alternative<Upscaler>(open(folder / "d")));
}

TEST(SwinIrFiles, SayWhatIsWrong) {
  const Temporary folder;
  const auto file = folder / "w.safetensors";
  const auto error = [&] { return error_of([&] { (void)open(file); }); };
  publish(tiny::upscale_model(), file, {""}, "stray");
  EXPECT_NE(error().find("stray"), std::string::npos) << error();
  publish(tiny::upscale_model(), file, {"params."}, "optimizer");
  EXPECT_NE(error().find("'optimizer' stands beside 'params.'"), std::string::npos) << error();
  save_safetensors(file, std::vector<NamedTensor>{{"x", Tensor::zeros({2})}});
  EXPECT_NE(error().find("holds no SwinIR"), std::string::npos) << error();
  std::ofstream(folder / "w.pth") << "pickle";
  EXPECT_NE(error_of([&] { (void)open(folder / "w.pth"); }).find("save_file"), std::string::npos);
  std::filesystem::create_directories(folder / "d");
  std::ofstream(folder / "d" / "w.pth") << "pickle";
  EXPECT_NE(error_of([&] { (void)open(folder / "d"); }).find("save_file"), std::string::npos);
}

TEST(SwinIrFiles, AreExported) {
  const Temporary folder;
  const UpscaleModel m = tiny::upscale_model(SwinIrEnd::pixel_shuffle, 4);
  const System system = Upscaler(m);
  EXPECT_THROW((void)export_system(system, folder / "e", ExportFormat::huggingface), Error);
  (void)export_system(system, folder / "e", ExportFormat::swinir);
  const Picture in = tiny::noise_picture(3, 6, 7);
  EXPECT_EQ(std::get<Upscaler>(open(folder / "e")).upscale(in), Upscaler(m).upscale(in));
  UpscaleModel own = tiny::upscale_model();
  own.network.config.residual = SwinIrResidual::bicubic;
  EXPECT_NE(error_of([&] {
              (void)export_system(Upscaler(own), folder / "f", ExportFormat::swinir);
            }).find("--residual none"),
            std::string::npos);
}

TEST(RestorePairs, AreWhatTheJobSays) {
  const std::vector<NamedPicture> pictures = {{"a.png", tiny::noise_picture(3, 33, 21)}};
  UpscaleModel m = tiny::upscale_model();
  EXPECT_EQ(restore_pairs(m, pictures)[0].right.height, 32);
  EXPECT_EQ(restore_pairs(m, pictures)[0].given.width, 10);
  m = tiny::upscale_model(SwinIrEnd::none, 1);
  m.job = RestoreJob::jpeg;
  EXPECT_THROW((void)restore_pairs(m, pictures), Error);
  m.level = 10;
  const RestorePair jpeg = restore_pairs(m, pictures)[0];
  EXPECT_NE(jpeg.given, jpeg.right);
  m.job = RestoreJob::denoise;
  Tensor x = Tensor::full({4000, 3}, 0.5);
  add_noise(m, 1, x);
  double squares = 0;
  for (const float v : x.values()) squares += std::pow(255 * (static_cast<double>(v) - 0.5), 2);
  EXPECT_NEAR(std::sqrt(squares / 12000), 10, 0.3);
}

TEST(UpscaleSizes, AreOursAndThePublishedOnes) {
  const auto xs = upscale_sizes("xs", RestoreJob::upscale, 2, 3);
  EXPECT_EQ(parameter_count(SwinIr::make(1, xs)), 107788);
  EXPECT_EQ(xs.residual, SwinIrResidual::bicubic);
  EXPECT_EQ(upscale_sizes("light", RestoreJob::upscale, 2, 3).width, 60);
  EXPECT_EQ(upscale_sizes("xs", RestoreJob::denoise, 1, 1).end, SwinIrEnd::none);
  EXPECT_THROW((void)upscale_sizes("denoise-grey", RestoreJob::upscale, 1, 1), Error);
  EXPECT_THROW((void)upscale_sizes("heavy", RestoreJob::upscale, 2, 3), Error);
}

}  // namespace
}  // namespace qkv
