// Mel frames against values of Whisper's, librosa's and Kaldi's code.
#include "qkv/media/sound_frames.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "media/test_signal.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/random.h"
#include "qkv/base/threads.h"
#include "qkv/media/spec_augment.h"

namespace qkv {
namespace {

using Numbers = std::vector<double>;

TEST(TestSignal, IsTheOneOfTheReference) {
  const Sound x = test_signal(16000);
  EXPECT_NEAR(x.samples[1], 0.177937, 1e-6);
  EXPECT_NEAR(x.samples[1000], -0.009819, 1e-6);
  EXPECT_NEAR(x.samples[3999], 0.014406, 1e-6);
}

struct Golden {
  FrameOptions options;
  std::int64_t rows;
  Numbers first;        // [0, :4]
  double inside, last;  // [5, 10], [last, last]
  double most;          // the largest
  int at_row, at_band;
  double mean, deviation;
};

void expect_golden(const Golden& g) {
  const SoundFrames frames(g.options);
  const Sound sound = test_signal(g.options.rate);
  const Numbers x = frames.numbers(sound);
  const auto bands = static_cast<std::size_t>(g.options.bands);
  ASSERT_EQ(x.size(), static_cast<std::size_t>(g.rows) * bands);
  for (std::size_t i = 0; i < g.first.size(); ++i) EXPECT_NEAR(x[i], g.first[i], 1e-5) << i;
  EXPECT_NEAR(x[5 * bands + 10], g.inside, 1e-5);
  EXPECT_NEAR(x.back(), g.last, 1e-5);
  const auto most = std::ranges::max_element(x);
  EXPECT_NEAR(*most, g.most, 1e-5);
  if (g.at_row >= 0) {
    EXPECT_EQ(most - x.begin(), g.at_row * g.options.bands + g.at_band);
  }
  const auto count = static_cast<double>(x.size());
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / count;
  double squares = 0;
  for (const double v : x) squares += (v - mean) * (v - mean);
  EXPECT_NEAR(mean, g.mean, 1e-5);
  EXPECT_NEAR(std::sqrt(squares / count), g.deviation, 1e-5);
  const Tensor rows = frames(sound);
  ASSERT_EQ(rows.shape(), Shape({g.rows, g.options.bands}));
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_EQ(rows.values()[i], static_cast<float>(x[i]));
}

TEST(SoundFrames, LogMelAtSixteenKilohertz) {
  expect_golden({{.kind = FrameKind::log_mel},
                 25,
                 {-.152951, -.104370, -.030818, .114186},
                 .041201,
                 -3.728725,
                 1.349889,
                 24,
                 13,
                 -3.227894,
                 1.327372});
}

TEST(SoundFrames, Whisper) {
  expect_golden({{.kind = FrameKind::whisper},
                 25,
                 {.961762, .973907, .992295, 1.028547},
                 1.010300,
                 .067819,
                 1.337472,
                 24,
                 13,
                 .193027,
                 .331843});
}

TEST(SoundFrames, LogMelAtEightKilohertz) {
  const FrameOptions options{.rate = 8000, .bands = 40};
  expect_golden({options,
                 50,
                 {-.758479, -.581553, -.355920, .185801},
                 -4.291236,
                 -4.183263,
                 .653000,
                 11,
                 6,
                 -3.648466,
                 1.703316});
  const Numbers x = SoundFrames(options).numbers(test_signal(8000));
  const Numbers row = {-4.737653, -4.582395, -3.909532, -3.949954,
                       -4.112273, -3.732651, -.515896,  .486181};
  for (std::size_t b = 0; b < row.size(); ++b) EXPECT_NEAR(x[20 * 40 + b], row[b], 1e-5) << b;
  for (std::size_t b = 0; b < 40; ++b) EXPECT_EQ(x[30 * 40 + b], -10) << "silence";
}

TEST(SoundFrames, KaldisFilterBank) {
  expect_golden({{.kind = FrameKind::fbank},
                 23,
                 {12.639957, 11.174725, 12.198791, 11.646391},
                 21.836008,
                 19.353972,
                 27.663185,
                 20,
                 64,
                 16.843259,
                 3.409255});
  expect_golden({{.kind = FrameKind::fbank, .rate = 8000, .bands = 40},
                 48,
                 {11.886680, 12.070850, 12.249048, 13.885605},
                 14.969361,
                 18.729269,
                 26.038294,
                 11,
                 30,
                 16.013036,
                 5.955850});
}

TEST(SoundFrames, Counts) {
  const SoundFrames mel({.rate = 8000, .bands = 40});
  EXPECT_EQ(mel.window(), 200);
  EXPECT_EQ(mel.hop(), 80);
  for (const auto& [samples, rows] : {std::pair{0, 0}, {79, 0}, {80, 1}, {199, 2}, {2384, 29}}) {
    EXPECT_EQ(mel.count(samples), rows) << samples;
  }
  const SoundFrames snip({.kind = FrameKind::fbank}),
      centred({.kind = FrameKind::fbank, .snip = false});
  EXPECT_EQ(snip.count(399), 0);
  EXPECT_EQ(snip.count(400), 1);
  EXPECT_EQ(centred.count(79), 0);
  EXPECT_EQ(centred.count(80), 1);
  EXPECT_EQ(centred.count(4000), 25);
}

// Shorter than half a window: the mirror goes back and forth.
TEST(SoundFrames, ASoundShorterThanItsWindow) {
  for (const FrameKind kind : {FrameKind::log_mel, FrameKind::whisper, FrameKind::fbank}) {
    const SoundFrames frames({.kind = kind, .rate = 8000, .bands = 40, .snip = false});
    for (const std::size_t length : {1U, 2U, 40U, 90U}) {
      Sound sound{8000, std::vector<float>(length, 0.25F)};
      for (const double v : frames.numbers(sound)) EXPECT_TRUE(std::isfinite(v));
    }
    EXPECT_EQ(frames(Sound{8000, {}}).shape(), Shape({0, 40}));
  }
}

// The definition: the same spectrum from the sum of a complex exponential.
TEST(SoundFrames, OneRowByItsDefinition) {
  const FrameOptions options{.rate = 8000, .bands = 40};
  const Sound sound = test_signal(8000);
  const std::vector<MelBand> bands = slaney_bands(8000, 200, 40);
  Numbers power;
  for (int b = 0; b <= 100; ++b) {
    double re = 0, im = 0;
    for (int n = 0; n < 200; ++n) {
      const double angle = 2 * std::numbers::pi * b * n / 200,
                   x = (0.5 - 0.5 * std::cos(2 * std::numbers::pi * n / 200)) *
                       static_cast<double>(
                           sound.samples[static_cast<std::size_t>(7 * 80 - 100 + n)]);
      re += x * std::cos(angle);
      im -= x * std::sin(angle);
    }
    power.push_back(re * re + im * im);
  }
  const Numbers x = SoundFrames(options).numbers(sound);
  for (std::size_t m = 0; m < bands.size(); ++m) {
    double sum = 0;
    for (std::size_t i = 0; i < bands[m].weights.size(); ++i) {
      sum += bands[m].weights[i] * power[static_cast<std::size_t>(bands[m].first) + i];
    }
    EXPECT_NEAR(x[7 * 40 + m], std::log10(sum), 1e-9) << m;
  }
}

TEST(SoundFrames, SameBitsForAnyNumberOfThreads) {
  const SoundFrames frames;
  const int before = threads();
  set_threads(1);
  const Numbers one = frames.numbers(test_signal(16000));
  set_threads(3);
  EXPECT_EQ(frames.numbers(test_signal(16000)), one);
  set_threads(before);
}

TEST(Mel, SlaneysScaleAndBands) {
  EXPECT_NEAR(slaney_mel(4000), 35.163760, 1e-6);
  EXPECT_NEAR(slaney_hertz(slaney_mel(1234)), 1234, 1e-9);
  EXPECT_NEAR(slaney_hertz(slaney_mel(567)), 567, 1e-9);
  const auto wide = slaney_bands(16000, 400, 80);
  EXPECT_EQ(wide[0].first, 1);
  EXPECT_NEAR(wide[0].weights[0], .024863, 1e-6);
  EXPECT_EQ(wide[79].first, 186);
  EXPECT_EQ(wide[79].weights.size(), 14U);
  EXPECT_NEAR(*std::ranges::max_element(wide[79].weights), .003165, 1e-6);
  const auto sum = [](const std::vector<MelBand>& bands) {
    double all = 0;
    for (const MelBand& band : bands) {
      all += std::accumulate(band.weights.begin(), band.weights.end(), 0.0);
    }
    return all;
  };
  EXPECT_NEAR(sum(wide), 1.999024, 1e-6);
  const auto narrow = slaney_bands(8000, 200, 40);
  EXPECT_NEAR(narrow[0].weights[0], .012235, 1e-6);
  EXPECT_NEAR(narrow[0].weights[1], .010508, 1e-6);
  EXPECT_NEAR(sum(narrow), .998422, 1e-6);
}

TEST(Mel, ABandWithoutABinIsRefused) {
  EXPECT_NO_THROW(SoundFrames({.rate = 8000, .bands = 80}));
  EXPECT_THROW(SoundFrames({.rate = 8000, .bands = 128}), Error);
  EXPECT_THROW(SoundFrames({.bands = 0}), UsageError);
  EXPECT_THROW(SoundFrames()(Sound{8000, {0}}), Error) << "another rate";
}

TEST(SpecAugment, HidesWithinItsLimitsAndTheSameForOneKey) {
  const SpecAugment how{.bands = 5, .band_masks = 1, .frames = 20, .frame_masks = 1, .share = 0.2};
  std::vector<int> widths(6), lengths(11);
  for (std::uint64_t key = 0; key < 300; ++key) {
    std::vector<float> rows(50 * 8, 1.0F), again = rows;
    Philox random(key_of(key)), same(key_of(key));
    spec_augment(rows, 8, how, random);
    spec_augment(again, 8, how, same);
    EXPECT_EQ(rows, again);
    int bands = 0, frames = 0;  // that are hidden throughout
    for (std::size_t b = 0; b < 8; ++b) {
      bool hidden = true;
      for (std::size_t t = 0; t < 50; ++t) hidden = hidden && rows[t * 8 + b] == 0;
      bands += hidden ? 1 : 0;
    }
    for (std::size_t t = 0; t < 50; ++t) {
      frames +=
          std::all_of(rows.begin() + static_cast<int>(t) * 8,
                      rows.begin() + static_cast<int>(t) * 8 + 8, [](float v) { return v == 0; })
              ? 1
              : 0;
    }
    ASSERT_LE(bands, 5);
    ASSERT_LE(frames, 10);
    ++widths[static_cast<std::size_t>(bands)];
    ++lengths[static_cast<std::size_t>(frames)];
    EXPECT_EQ(std::ranges::count(rows, 1.0F), (8 - bands) * (50 - frames));
  }
  for (const int count : widths) EXPECT_GT(count, 20) << "every width comes";
  for (const int count : lengths) EXPECT_GT(count, 5);
}

TEST(SpecAugment, NothingToHide) {
  std::vector<float> none, one(8, 1.0F);
  Philox random(key_of(1));
  EXPECT_NO_THROW(spec_augment(none, 8, {}, random));
  spec_augment(one, 8, {.bands = 0}, random);
  EXPECT_EQ(std::ranges::count(one, 1.0F), 8) << "a tenth of one row is none";
  EXPECT_THROW(spec_augment(one, 3, {}, random), Error);
  EXPECT_THROW(spec_augment(one, 8, {.share = 1.5}, random), UsageError);
}

TEST(Vary, ShiftsAndGainsWithinTheirLimits) {
  for (std::uint64_t key = 0; key < 50; ++key) {
    Sound sound{8000, std::vector<float>(100, 0.0F)};
    sound.samples[50] = 0.25F;
    Philox random(key_of(key));
    vary(sound, 80, 6, random);
    const auto most = std::ranges::max_element(sound.samples);
    EXPECT_LE(std::abs(most - sound.samples.begin() - 50), 40);
    EXPECT_GT(*most, 0.124F);
    EXPECT_LT(*most, 0.5F);
  }
}

}  // namespace
}  // namespace qkv
