// Tiny models of pictures and of sounds, and what each answers, in numbers that differ when a bit
// of the answer does.
#pragma once

#include <cmath>
#include <concepts>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "qkv/base/random.h"
#include "qkv/media/sound.h"
#include "qkv/systems/gan_model.h"
#include "qkv/systems/picture_classifier.h"
#include "qkv/systems/picture_generator.h"
#include "qkv/systems/picture_model.h"
#include "qkv/systems/sound_model.h"
#include "qkv/systems/sounds.h"
#include "qkv/systems/upscale_model.h"
#include "qkv/systems/upscaler.h"

namespace qkv::tiny {

namespace fs = std::filesystem;

/// A number of an answer, to its last bit. What is none is no Error that a reader may throw.
template <std::floating_point T>
std::string bits(T x) {
  if (!std::isfinite(x)) throw std::logic_error("an answer that is no number");
  return fmt::format("{:a}", x);
}
inline std::string bits(std::span<const float> numbers) {
  std::string text;
  for (const float x : numbers) text += bits(x) + " ";
  return text;
}

inline constexpr PictureKind kPictureKinds[] = {PictureKind::vit, PictureKind::mixer,
                                                PictureKind::cnn, PictureKind::quadratic};

/// Four pictures of 6 × 6 pixels.
inline PictureSet pictures() {
  PictureSet set;
  set.classes = {"dark", "light"};
  Philox random(3);
  for (int i = 0; i < 4; ++i) {
    Picture p(1, 6, 6);
    for (std::uint8_t& v : p.bytes) {
      v = static_cast<std::uint8_t>(random.below(100) + (i % 2 == 0 ? 0 : 150));
    }
    set.pictures.push_back(p);
    set.labels.push_back(i % 2);
  }
  return set;
}

/// Its head is filled, which is 0 in a fresh one.
inline PictureModel picture_model(PictureKind kind) {
  PictureDesign design;
  design.network = {.kind = kind, .patch = 2, .width = 4, .layers = 2, .heads = 2};
  design.network.feed_forward = design.network.token_width = 5;
  design.network.widths = {3, 4};
  design.network.strides = {1, 2};
  PictureModel model = make_picture_model(design, pictures(), 1);
  Philox random(4);
  for_each_parameter(model, [&](std::string_view, Tensor& p) {
    for (float& x : p.values()) x += static_cast<float>(0.2 * random.normal());
  });
  return model;
}

inline std::string ask_pictures(const fs::path& from) {
  std::string answer;
  for (const ClassifiedPicture& p : PictureClassifier::load(from).classify(pictures().pictures)) {
    answer += p.label;
    for (const double x : p.probabilities) answer += " " + bits(x);
  }
  return answer;
}

inline UpscaleModel upscale_model(SwinIrEnd end = SwinIrEnd::pixel_shuffle_direct,
                                  std::int64_t scale = 2) {
  UpscaleModel m;
  SwinIr::Config c;
  c.width = 12;
  c.depths = {2, 2};
  c.heads = {2, 3};
  c.window = 4;
  c.end = end;
  c.scale = scale;
  m.network = SwinIr::make(5, c);
  m.variant = "own";
  return m;
}

inline Picture noise_picture(int channels, int height, int width) {
  Picture p(channels, height, width);
  Philox random(9);
  for (std::uint8_t& byte : p.bytes) byte = static_cast<std::uint8_t>(random.below(256));
  return p;
}

inline std::string ask_upscaler(const fs::path& from) {
  const Picture made = Upscaler::load(from).upscale(noise_picture(3, 5, 6));
  return {made.bytes.begin(), made.bytes.end()};
}

inline SoundModel sound_model(SoundTask task, SpeechMethod method = SpeechMethod::ctc) {
  SoundDesign d;
  d.network = sound_sizes(task);
  d.network.method = method;
  d.network.width = 8;
  d.network.heads = 2;
  d.network.feed_forward = 8;
  d.network.layers = d.network.decoder_layers = 1;
  d.frames.rate = 8000;
  d.frames.bands = 10;
  d.rest = "x";
  return make_sound_model(d, {"x", "y", "z"}, std::vector<double>(10, -4.0),
                          std::vector<double>(10, 1.5), 3);
}

inline Sound noise_sound(int rate, std::size_t samples, std::uint64_t seed) {
  Philox random(seed);
  Sound sound{rate, {}};
  for (std::size_t i = 0; i < samples; ++i) {
    sound.samples.push_back(static_cast<float>(0.2 * random.normal()));
  }
  return sound;
}

inline std::string ask_transcriber(const fs::path& from) {
  const Transcript t = Transcriber::load(from).transcribe(noise_sound(8000, 1600, 2));
  return t.text + " " + bits(t.log_probability);
}
inline std::string ask_sound_labels(const fs::path& from) {
  std::string answer;
  const SoundLabel l = SoundClassifier::load(from).classify(noise_sound(8000, 1600, 2));
  for (const double p : l.probabilities) answer += " " + bits(p);
  return answer;
}

inline GanModel gan_model() {
  SaganConfig c;
  c.size = 8;
  c.width = 4;
  c.noise = 3;
  c.channels = 1;
  c.classes = 2;
  c.attention = 0;
  return {.network = SaganGenerator::make(Initialiser(1), c), .labels = {"dark", "light"}};
}

inline std::string ask_generator(const fs::path& from) {
  std::string answer;
  for (const MadePicture& made : PictureGenerator::load(from).generate({.count = 2})) {
    answer += made.label + std::string(made.picture.bytes.begin(), made.picture.bytes.end());
  }
  return answer;
}

}  // namespace qkv::tiny
