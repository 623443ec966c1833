#include "qkv/systems/picture_model.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/io/directory.h"
#include "qkv/io/json.h"
#include "qkv/media/resize.h"
#include "qkv/systems/config_fields.h"
#include "qkv/systems/load_whole.h"
#include "qkv/systems/noise_key.h"
#include "qkv/systems/weights_file.h"

namespace qkv {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// Mean and deviation of each channel over all pixels.
void standardise_by(const std::vector<Picture>& pictures, PictureModel& model) {
  for (int c = 0; c < static_cast<int>(model.network.config.channels); ++c) {
    double sum = 0, squares = 0, count = 0;  // whole numbers: exact
    for (const Picture& p : pictures) {
      for (const std::uint8_t v : p.plane(c)) {
        sum += v;
        squares += static_cast<double>(v) * v;
      }
      count += static_cast<double>(p.pixels());
    }
    const double mean = sum / count, variance = std::max(0.0, squares / count - mean * mean);
    model.mean.push_back(mean / 255);
    model.deviation.push_back(variance > 0 ? std::sqrt(variance) / 255 : 1.0);
  }
}

/// The side that all pictures have.
std::int64_t side_of(const std::vector<Picture>& pictures) {
  const Picture& first = pictures.front();
  for (const Picture& p : pictures) {
    if (p.height == first.height && p.width == first.height) continue;
    fail("the training pictures are no squares of one size, one is {} × {}; give --side", p.height,
         p.width);
  }
  return first.height;
}

/// Where a picture is looked at.
struct Placing {
  int down = 0, right = 0;
  bool mirror = false;
};

void write_rows(const PictureModel& model, const Picture& p, const Placing& placing, float* to) {
  const int channels = p.channels;
  for (int c = 0; c < channels; ++c) {
    const double mean = model.mean[static_cast<std::size_t>(c)],
                 deviation = model.deviation[static_cast<std::size_t>(c)];
    const auto black = static_cast<float>(-mean / deviation);
    for (int y = 0; y < p.height; ++y) {
      for (int x = 0; x < p.width; ++x) {
        const int from_y = y - placing.down;
        const int moved = x - placing.right, from_x = placing.mirror ? p.width - 1 - moved : moved;
        const bool inside = from_y >= 0 && from_y < p.height && from_x >= 0 && from_x < p.width;
        to[(y * p.width + x) * channels + c] =
            inside ? static_cast<float>((p.at(c, from_y, from_x) / 255.0 - mean) / deviation)
                   : black;
      }
    }
  }
}

}  // namespace

PictureModel make_picture_model(const PictureDesign& d, const PictureSet& train,
                                std::uint64_t seed) {
  if (train.pictures.empty()) fail("training needs pictures, there are none");
  if (train.classes.size() < 2) {
    fail("training needs pictures of at least two classes, found {}", train.classes.size());
  }
  PictureModel model;
  model.labels = train.classes;
  PictureNetwork::Config c = d.network;
  c.classes = static_cast<std::int64_t>(train.classes.size());
  c.channels = 1;
  for (const Picture& p : train.pictures) {
    if (p.channels == 3) c.channels = 3;
  }
  if (c.side == 0) c.side = side_of(train.pictures);
  model.network = PictureNetwork::make(seed, c);
  std::vector<Picture> pictures = train.pictures;
  fit(c, pictures);
  standardise_by(pictures, model);
  return model;
}

Picture fitted(const PictureNetwork::Config& c, const Picture& picture) {
  const int side = static_cast<int>(c.side);
  Picture p = picture.channels == c.channels ? picture
              : c.channels == 3              ? rgb_of(picture)
                                             : grey_of(picture);
  if (p.height == side && p.width == side) return p;
  return resize_bicubic(p, side, side);
}

void fit(const PictureNetwork::Config& config, std::vector<Picture>& pictures) {
  parallel_for(static_cast<std::int64_t>(pictures.size()), 16,
               [&](std::int64_t first, std::int64_t last) {
                 for (std::int64_t i = first; i < last; ++i) {
                   pictures[at(i)] = fitted(config, pictures[at(i)]);
                 }
               });
}

Tensor pack(const PictureModel& model, const std::vector<Picture>& pictures,
            std::span<const std::int64_t> chosen, const PictureNoise* noise) {
  const std::optional<std::uint64_t> key = noise ? noise_key() : std::nullopt;
  const PictureNetwork::Config& c = model.network.config;
  const std::int64_t size = c.side * c.side * c.channels;
  std::vector<float> rows(chosen.size() * at(size));
  parallel_for(
      static_cast<std::int64_t>(chosen.size()), 4, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first; i < last; ++i) {
          Placing placing;
          if (key) {
            Philox random(key_of(*key, chosen[at(i)]));
            const auto draw = [&] {
              return static_cast<int>(static_cast<std::int64_t>(random.below(
                                          static_cast<std::uint64_t>(2 * noise->shift + 1))) -
                                      noise->shift);
            };
            placing.down = draw();
            placing.right = draw();
            placing.mirror = noise->mirror && random.uniform() < 0.5;
          }
          write_rows(model, pictures[at(chosen[at(i)])], placing, rows.data() + at(i * size));
        }
      });
  const auto count = static_cast<std::int64_t>(chosen.size());
  return Tensor::of(rows, {count * c.side * c.side, c.channels});
}

Tensor picture_logits(const PictureModel& model, const std::vector<Picture>& pictures,
                      std::int64_t batch) {
  const NoRecording off;
  const auto count = static_cast<std::int64_t>(pictures.size());
  const std::int64_t classes = model.network.config.classes;
  Tensor all = Tensor::empty({count, classes});
  for (std::int64_t begin = 0; begin < count; begin += batch) {
    std::vector<std::int64_t> chosen(at(std::min(batch, count - begin)));
    std::iota(chosen.begin(), chosen.end(), begin);
    const Tensor some = model.network(pack(model, pictures, chosen));
    for (const float x : some.values()) {
      if (!std::isfinite(x)) {
        fail<NumericError>("the scores of a picture are no numbers; the model's weights ran away");
      }
    }
    std::ranges::copy(some.values(), all.values().begin() + begin * classes);
  }
  return all;
}

std::int32_t class_of(const PictureModel& model, std::string_view label) {
  const auto found = std::ranges::find(model.labels, label);
  if (found == model.labels.end()) {
    constexpr std::size_t kMostTold = 20;
    const std::size_t told = std::min(kMostTold, model.labels.size());
    fail("class '{}' is none of the model's: {}{}", label,
         fmt::join(std::span(model.labels).first(told), ", "),
         told < model.labels.size() ? " …" : "");
  }
  return static_cast<std::int32_t>(found - model.labels.begin());
}

std::vector<std::int32_t> classes_of(const PictureModel& model, const PictureSet& set) {
  std::vector<std::int32_t> of_class, classes;
  for (const std::string& name : set.classes) of_class.push_back(class_of(model, name));
  for (const int label : set.labels) classes.push_back(of_class[static_cast<std::size_t>(label)]);
  return classes;
}

void save_picture_model(const PictureModel& model, const std::filesystem::path& directory) {
  DirectoryWriter writer(directory);
  save_weights(named_saved(model), writer.folder());
  writer.commit({{"task", "picture"},
                 {"labels", model.labels},
                 {"mean", model.mean},
                 {"deviation", model.deviation},
                 {"model", config_json(model.network.config)}});
}

namespace {

std::vector<double> channels_from(FieldReader& reader, const Json& config, const char* name,
                                  std::int64_t channels, bool positive) {
  const std::string expected = fmt::format("{} {}numbers", channels, positive ? "positive " : "");
  if (!reader.has(name) || !config[name].is_array()) reader.wrong(name, expected);
  std::vector<double> numbers;
  for (const Json& number : config[name]) {
    if (!number.is_number()) reader.wrong(name, expected);
    numbers.push_back(number.get<double>());
    if (!std::isfinite(numbers.back()) || (positive && !(numbers.back() > 0))) {
      reader.wrong(name, expected);
    }
  }
  if (static_cast<std::int64_t>(numbers.size()) != channels) reader.wrong(name, expected);
  return numbers;
}

std::vector<std::string> labels_from(FieldReader& reader, const Json& config) {
  constexpr const char* kExpected = "a list of different names";
  if (!reader.has("labels") || !config["labels"].is_array()) reader.wrong("labels", kExpected);
  std::vector<std::string> labels;
  for (const Json& label : config["labels"]) {
    if (!label.is_string()) reader.wrong("labels", kExpected);
    labels.push_back(label.get<std::string>());
  }
  std::vector<std::string> sorted = labels;
  std::ranges::sort(sorted);
  if (std::ranges::adjacent_find(sorted) != sorted.end()) reader.wrong("labels", kExpected);
  return labels;
}

PictureModel read_picture_model(const ModelDirectory& directory) {
  const Json& config = directory.config();
  const std::string path = directory.config_path();
  FieldReader reader(config, path);
  reader.has("format");
  const std::string task = reader.text("task");
  if (task != "picture") {
    throw DataError(path, 0, fmt::format("is no model of pictures (task '{}')", task));
  }
  PictureModel model;
  model.labels = labels_from(reader, config);
  const auto sizes = config_from<PictureNetwork::Config>(reader.object("model"), path);
  model.mean = channels_from(reader, config, "mean", sizes.channels, false);
  model.deviation = channels_from(reader, config, "deviation", sizes.channels, true);
  reader.finish();
  if (static_cast<std::int64_t>(model.labels.size()) != sizes.classes) {
    throw DataError(path, 0,
                    fmt::format("{} labels do not fit a model of {} classes", model.labels.size(),
                                sizes.classes));
  }
  WeightsFile weights(directory);
  model.network = weights.network<PictureNetwork>(sizes);
  weights.take_all(model.network);
  weights.take_buffers(model.network);
  weights.finish();
  for_each_buffer(model.network, [&](std::string_view name, const Tensor& value) {
    if (!name.ends_with("running_var")) return;
    for (const float x : value.values()) {
      if (x < 0) throw DataError(weights.path(), 0, fmt::format("'{}' holds {}", name, x));
    }
  });
  return model;
}

}  // namespace

PictureModel load_picture_model(const std::filesystem::path& directory) {
  return load_whole(directory, read_picture_model);
}

}  // namespace qkv
