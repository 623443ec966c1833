#include "qkv/systems/picture_generator.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "qkv/attention/observer.h"
#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/base/random.h"
#include "qkv/systems/describe.h"
#include "qkv/systems/gan_model.h"

namespace qkv {
namespace {

constexpr std::int64_t kAtOnce = 64;  // pictures a pass: memory stays small for any count

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

std::int32_t class_of(const GanModel& model, const PictureRequest& request, std::int64_t number) {
  const std::vector<std::string>& labels = model.labels;
  if (!request.label) {
    Philox random(key_of(request.seed, hash_name("class")), static_cast<std::uint64_t>(number));
    return static_cast<std::int32_t>(random.below(std::max<std::size_t>(1, labels.size())));
  }
  if (labels.empty()) fail("the model's pictures have no classes; leave '{}' out", *request.label);
  const auto found = std::find(labels.begin(), labels.end(), *request.label);
  if (found == labels.end()) {
    std::string known;
    for (std::size_t i = 0; i < labels.size() && i < 20; ++i) {
      known += (i == 0 ? "" : ", ") + labels[i];
    }
    fail("no class is called '{}'; the model knows {}{}", *request.label, known,
         labels.size() > 20 ? fmt::format(" … ({} in all)", labels.size()) : "");
  }
  return static_cast<std::int32_t>(found - labels.begin());
}

/// Pictures `first` … of a request.
std::vector<MadePicture> make(const GanModel& model, const PictureRequest& request,
                              std::int64_t first, std::int64_t count) {
  const SaganConfig& c = model.network.config;
  std::vector<std::int32_t> classes;
  for (std::int64_t i = first; i < first + count; ++i) {
    classes.push_back(class_of(model, request, i));
  }
  const Tensor rows = model.network(picture_noise(request.seed, first, count, c.noise), classes);
  std::vector<MadePicture> made;
  for (Picture& picture : pictures_from(rows, c.size)) {
    const auto label = at(classes[made.size()]);
    made.push_back({std::move(picture), model.labels.empty() ? "" : model.labels[label]});
  }
  return made;
}

std::vector<std::string> places(std::int64_t rows, std::int64_t cols) {
  std::vector<std::string> names;
  for (std::int64_t y = 0; y < rows; ++y) {
    for (std::int64_t x = 0; x < cols; ++x) names.push_back(fmt::format("{},{}", y, x));
  }
  return names;
}

}  // namespace

Tensor picture_noise(std::uint64_t seed, std::int64_t first, std::int64_t count,
                     std::int64_t width) {
  Tensor z = Tensor::empty({count, width});
  for (std::int64_t i = 0; i < count; ++i) {
    Philox random(key_of(seed, hash_name("noise"), first + i));
    for (float& x : z.values().subspan(at(i * width), at(width))) {
      x = static_cast<float>(random.normal());
    }
  }
  return z;
}

std::vector<Picture> pictures_from(const Tensor& rows, std::int64_t size) {
  const std::int64_t pixels = size * size, channels = rows.dim(1);
  const std::span<const float> values = rows.values();
  std::vector<Picture> pictures;
  std::vector<std::uint8_t> bytes(at(pixels * channels));
  for (std::int64_t b = 0; b < rows.dim(0) / pixels; ++b) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const double v = static_cast<double>(values[at(b) * bytes.size() + i]);
      if (!std::isfinite(v)) fail<NumericError>("the generator makes pictures that are no numbers");
      bytes[i] = static_cast<std::uint8_t>(std::lround(std::clamp((v + 1) * 127.5, 0.0, 255.0)));
    }
    const int side = static_cast<int>(size);
    pictures.push_back(from_interleaved(bytes, static_cast<int>(channels), side, side));
  }
  return pictures;
}

PictureGenerator::PictureGenerator(GanModel model, const LoadOptions& options)
    : model_(std::make_shared<const GanModel>(std::move(model))), options_(options) {}

PictureGenerator PictureGenerator::load(const std::filesystem::path& directory,
                                        const LoadOptions& options) {
  return PictureGenerator(load_gan_model(directory), options);
}

void PictureGenerator::save(const std::filesystem::path& directory) const {
  save_gan_model(*model_, directory);
}

const std::vector<std::string>& PictureGenerator::labels() const { return model_->labels; }

std::vector<MadePicture> PictureGenerator::generate(const PictureRequest& request) const {
  if (request.count < 0) fail("{} pictures cannot be made", request.count);
  const ThreadScope threads(options_.threads);
  const NoRecording quiet;
  std::vector<MadePicture> all;
  for (std::int64_t first = 0; first < request.count; first += kAtOnce) {
    for (MadePicture& made :
         make(*model_, request, first, std::min(kAtOnce, request.count - first))) {
      all.push_back(std::move(made));
    }
  }
  return all;
}

PlaceAttention PictureGenerator::place_attention(const PictureRequest& request,
                                                 std::int64_t number) const {
  const SaganConfig& c = model_->network.config;
  if (c.attention == 0) fail("the model was trained with --attention none; it attends to nothing");
  if (number < 0) fail("picture {} does not exist, they are counted from 0", number);
  PlaceAttention a;
  a.rows = a.cols = c.attention;
  a.seen_rows = a.seen_cols = c.form == SaganForm::released ? c.attention / 2 : c.attention;
  const ThreadScope threads(options_.threads);
  const NoRecording quiet;
  const AttentionObserver look([&](const AttentionCall& call) {
    const Tensor heads = call.weights({0, a.rows * a.cols}, {0, call.keys});  // [1 N M]
    a.weights = heads.reshaped({a.rows * a.cols, call.keys}).clone();
  });
  a.made = std::move(make(*model_, request, number, 1).front());
  return a;
}

AttentionMaps PictureGenerator::attention(const PictureRequest& request,
                                          std::int64_t number) const {
  const PlaceAttention a = place_attention(request, number);
  AttentionMaps maps;
  maps.title = a.made.label.empty() ? fmt::format("picture {}", number)
                                    : fmt::format("picture {}: {}", number, a.made.label);
  maps.source = places(a.seen_rows, a.seen_cols);
  maps.target = maps.target_in = places(a.rows, a.cols);
  maps.maps.push_back(
      {.kind = AttentionMap::Kind::cross, .layer = 0, .head = 0, .weights = a.weights});
  return maps;
}

Info PictureGenerator::info() const {
  const SaganConfig& c = model_->network.config;
  Info info = describe("gan", "", "SAGAN", *model_);
  info.summary = "SAGAN, a generator of pictures";
  info.facts.emplace_back(
      "pictures", fmt::format("{} × {}, {}", c.size, c.size, c.channels == 1 ? "grey" : "colour"));
  info.facts.emplace_back(
      "attention", c.attention == 0 ? "none"
                                    : fmt::format("between the {} × {} places of a feature map, {}",
                                                  c.attention, c.attention, name_of(c.form)));
  info.facts.emplace_back("labels",
                          model_->labels.empty() ? "none" : std::to_string(model_->labels.size()));
  tell_options(c, info);
  return info;
}

}  // namespace qkv
