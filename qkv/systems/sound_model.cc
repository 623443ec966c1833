#include "qkv/systems/sound_model.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/base/utf8.h"
#include "qkv/io/directory.h"
#include "qkv/io/json.h"
#include "qkv/ops/pieces.h"
#include "qkv/systems/config_fields.h"
#include "qkv/systems/weights_file.h"
#include "qkv/tensor/numbers.h"

namespace qkv {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// Throws Error where the parts do not fit each other.
void check_parts(const SoundModel& m) {
  const SoundNetwork::Config& c = m.network.config;
  std::set<std::string> different(m.labels.begin(), m.labels.end());
  if (different.size() != m.labels.size() || different.contains("")) {
    fail("labels are not different names");
  }
  if (static_cast<std::int64_t>(m.labels.size()) != c.symbols) {
    fail("{} labels do not fit a model of {}", m.labels.size(), c.symbols);
  }
  if (c.task == SoundTask::frame && !different.contains(m.rest)) {
    fail("'{}', the rest, is none of the labels", m.rest);
  }
  if (m.frames.bands != c.bands) {
    fail("frames of {} bands do not fit a model of {}", m.frames.bands, c.bands);
  }
  if (m.means.size() != at(c.bands) || m.deviations.size() != at(c.bands)) {
    fail("{} means and {} deviations for {} bands", m.means.size(), m.deviations.size(), c.bands);
  }
  for (std::size_t b = 0; b < m.means.size(); ++b) {
    if (!std::isfinite(m.means[b]) || !(m.deviations[b] > 0) || !std::isfinite(m.deviations[b])) {
      fail("band {} has mean {} and deviation {}, which standardise nothing", b, m.means[b],
           m.deviations[b]);
    }
  }
}

std::vector<double> read_numbers(FieldReader& reader, const Json& config, const char* name) {
  constexpr const char* kExpected = "a list of numbers";
  if (!reader.has(name) || !config[name].is_array()) reader.wrong(name, kExpected);
  std::vector<double> numbers;
  for (const Json& number : config[name]) {
    if (!number.is_number()) reader.wrong(name, kExpected);
    numbers.push_back(number.get<double>());
  }
  return numbers;
}

std::vector<std::string> read_names(FieldReader& reader, const Json& config) {
  constexpr const char* kExpected = "a list of different names";
  if (!reader.has("labels") || !config["labels"].is_array()) reader.wrong("labels", kExpected);
  std::vector<std::string> names;
  for (const Json& name : config["labels"]) {
    if (!name.is_string()) reader.wrong("labels", kExpected);
    names.push_back(name.get<std::string>());
  }
  return names;
}

FrameOptions read_frames(FieldReader reader, const std::string& path) {
  FrameOptions frames;
  FrameOptions::each(
      frames, [&](const About& about, auto& field) { read_field(reader, about.name, field); });
  reader.finish();
  try {
    (void)SoundFrames(frames);
  } catch (const Error& e) {
    throw DataError(path, 0, e.what());
  }
  return frames;
}

SoundModel read_sound_model(const ModelDirectory& directory) {
  const Json& config = directory.config();
  const std::string path = directory.config_path();
  FieldReader reader(config, path);
  reader.has("format");
  const std::string task = reader.text("task");
  if (task != "sound") {
    throw DataError(path, 0, fmt::format("is no model of sounds (task '{}')", task));
  }
  SoundModel model;
  model.labels = read_names(reader, config);
  model.unit = static_cast<SpeechUnit>(reader.choice("unit", names_of<SpeechUnit>()));
  model.rest = reader.text("rest");
  model.means = read_numbers(reader, config, "means");
  model.deviations = read_numbers(reader, config, "deviations");
  model.frames = read_frames(reader.object("frames"), path);
  model.network.config = config_from<SoundNetwork::Config>(reader.object("model"), path);
  reader.finish();
  try {
    check_parts(model);
  } catch (const Error& e) {
    throw DataError(path, 0, e.what());
  }
  WeightsFile weights(directory);
  model.network = weights.network<SoundNetwork>(model.network.config);
  weights.take_all(model.network);
  weights.finish();
  return model;
}

}  // namespace

SoundModel make_sound_model(const SoundDesign& d, std::vector<std::string> labels,
                            std::vector<double> means, std::vector<double> deviations,
                            std::uint64_t seed) {
  SoundModel model{.frames = d.frames, .means = std::move(means)};
  model.deviations = std::move(deviations);
  model.labels = std::move(labels);
  model.unit = d.unit;
  if (d.network.task == SoundTask::frame) model.rest = d.rest;
  SoundNetwork::Config c = d.network;
  c.bands = d.frames.bands;
  c.symbols = static_cast<std::int64_t>(model.labels.size());
  if (c.task != SoundTask::text && c.symbols < 2) {
    fail("training needs sounds of at least two labels, found {}", c.symbols);
  }
  if (c.symbols < 1) fail("training needs texts, all are empty");
  model.network = SoundNetwork::make(seed, c);
  check_parts(model);
  return model;
}

void standardise(const SoundModel& model, Tensor& rows) {
  const std::int64_t bands = rows.dim(1);
  change_each(rows, [&](std::int64_t i, double x) {
    return (x - model.means[at(i % bands)]) / model.deviations[at(i % bands)];
  });
}

Tensor sound_rows(const SoundModel& model, const SoundFrames& frames, const Sound& sound,
                  std::string_view name) {
  const auto bad = std::ranges::find_if(sound.samples, [](float x) { return !std::isfinite(x); });
  if (bad != sound.samples.end()) {
    throw DataError(name, 0,
                    fmt::format("sample {} is no finite number", bad - sound.samples.begin()));
  }
  Tensor rows =
      frames(sound.rate == model.frames.rate ? sound : resampled(sound, model.frames.rate));
  if (rows.dim(0) == 0) {
    throw DataError(name, 0,
                    fmt::format("has {} samples, too few for a row", sound.samples.size()));
  }
  standardise(model, rows);
  return rows;
}

SoundBatch pack_sounds(std::span<const Tensor> rows) {
  std::vector<std::int64_t> lengths;
  for (const Tensor& one : rows) lengths.push_back(one.dim(0));
  return {.segments = Segments(lengths), .rows = stack_rows(rows)};
}

std::vector<std::string> units_of(std::string_view text, SpeechUnit unit) {
  std::vector<std::string> units;
  for (const std::string_view word : split_blanks(text)) {
    if (unit == SpeechUnit::word) {
      units.emplace_back(word);
      continue;
    }
    if (!units.empty()) units.emplace_back(" ");
    for (const CodePoint& c : code_points(word)) units.emplace_back(c.bytes);
  }
  return units;
}

std::string text_of_units(std::span<const std::string> units, SpeechUnit unit) {
  return fmt::format("{}", fmt::join(units, unit == SpeechUnit::word ? " " : ""));
}

std::vector<std::int32_t> symbols_of(const SoundModel& model, std::string_view text) {
  std::vector<std::int32_t> symbols;
  for (const std::string& unit : units_of(text, model.unit)) {
    const auto found = std::ranges::find(model.labels, unit);
    symbols.push_back(
        found == model.labels.end() ? -1 : static_cast<std::int32_t>(found - model.labels.begin()));
  }
  return symbols;
}

void save_sound_model(const SoundModel& model, const std::filesystem::path& directory) {
  DirectoryWriter writer(directory);
  save_weights(named_parameters(model), writer.folder());
  writer.commit({{"task", "sound"},
                 {"labels", model.labels},
                 {"unit", name_of(model.unit)},
                 {"rest", model.rest},
                 {"frames", config_json(model.frames)},
                 {"means", model.means},
                 {"deviations", model.deviations},
                 {"model", config_json(model.network.config)}});
}

SoundModel load_sound_model(const std::filesystem::path& directory) {
  return read_whole(directory, read_sound_model);
}

}  // namespace qkv
