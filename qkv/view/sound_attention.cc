#include "qkv/view/sound_attention.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/view/html.h"
#include "qkv/view/json.h"
#include "qkv/view/label.h"
#include "qkv/view/sound_page.h"

namespace qkv {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// Means over `rows` by `columns` even parts of [T M], transposed, the highest band first, from 0
/// to 1.
std::vector<float> spectrogram(const Tensor& frames, std::int64_t rows, std::int64_t columns) {
  const std::int64_t length = frames.dim(0), bands = frames.dim(1);
  std::vector<float> picture(at(rows * columns));
  const auto part = [](std::int64_t i, std::int64_t parts, std::int64_t all) {
    const std::int64_t begin = i * all / parts;
    return std::pair{begin, std::max(begin + 1, (i + 1) * all / parts)};
  };
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto [low, high] = part(rows - 1 - r, rows, bands);
    for (std::int64_t c = 0; c < columns; ++c) {
      const auto [begin, end] = part(c, columns, length);
      double sum = 0;
      for (std::int64_t t = begin; t < end; ++t) {
        for (std::int64_t b = low; b < high; ++b) {
          sum += static_cast<double>(frames.values()[at(t * bands + b)]);
        }
      }
      picture[at(r * columns + c)] =
          static_cast<float>(sum / static_cast<double>((end - begin) * (high - low)));
    }
  }
  const auto [least, most] = std::ranges::minmax(picture);
  const float range = most > least ? most - least : 1;
  for (float& x : picture) x = (x - least) / range;
  return picture;
}

/// The one map that is looked at, its queries merged or one of them chosen.
HeatMap weights_of(const SoundAttention& sound, const SoundLook& look) {
  const AttentionMap map = select(sound.maps, look.kind, look.layer, look.head);
  HeatMap weights{.rows = row_labels(sound.maps, look.kind),
                  .columns = column_labels(sound.maps, look.kind),
                  .values = map.weights};
  const auto shrunk = [&] { return shrink(weights, look.queries, look.columns); };
  if (!look.at) return shrunk();
  if (look.kind != AttentionMap::Kind::encoder_self) {
    fail("look: a moment is a query of the encoder, not of what spells or pools");
  }
  if (!(*look.at >= 0 && *look.at < sound.seconds)) {
    fail("look: {} s is outside the sound of {:.2f} s", *look.at, sound.seconds);
  }
  const auto rows = static_cast<double>(weights.rows.size());
  const auto row = static_cast<std::int64_t>(*look.at / sound.seconds * rows);
  weights.rows = {weights.rows[at(row)]};
  weights.values = weights.values.rows(row, row + 1);
  return shrunk();
}

}  // namespace

HeatMap sound_heat_map(const SoundAttention& sound, const SoundLook& look) {
  if (look.kind == AttentionMap::Kind::decoder_self) {
    fail("look: the decoder's own attention is not along the sound; choose cross or encoder");
  }
  const HeatMap weights = weights_of(sound, look);
  const auto columns = static_cast<std::int64_t>(weights.columns.size());
  const std::int64_t bands = std::min(look.bands, sound.frames.dim(1));
  std::vector<float> values = spectrogram(sound.frames, bands, columns);
  HeatMap map{
      .title = sound.maps.title, .row_name = "bands, then queries", .column_name = "seconds"};
  map.columns = weights.columns;
  for (std::int64_t b = 0; b < bands; ++b) {
    const bool marked = b == 0 || b + 1 == bands;
    map.rows.push_back(!marked ? "" : b == 0 ? fmt::format("{:.0f} Hz", sound.highest) : "0 Hz");
  }
  map.rows.emplace_back("");
  values.resize(values.size() + at(columns), 0.0F);
  const double scale = colour_scale(weights);
  map.rows.insert(map.rows.end(), weights.rows.begin(), weights.rows.end());
  for (const float w : weights.values.values()) {
    values.push_back(static_cast<float>(static_cast<double>(w) / scale));
  }
  map.values = Tensor::of(values, {static_cast<std::int64_t>(map.rows.size()), columns});
  map.title += fmt::format(
      " ({}, layer {}, {}; largest weight {:.2f})", name_of(look.kind),
      select(sound.maps, look.kind, look.layer, look.head).layer,
      look.head == kMeanHead ? "mean of heads" : fmt::format("head {}", look.head), scale);
  return map;
}

std::string sound_page(const SoundAttention& sound, const std::string& title, std::int64_t most) {
  AttentionMaps maps = shrink(sound.maps, most);
  for (auto* labels : {&maps.source, &maps.target, &maps.target_in}) {
    for (std::string& label : *labels) label = clean_label(label);
  }
  maps.title = clean_label(maps.title);
  constexpr std::int64_t kAcross = 800;
  const std::int64_t columns = std::min(kAcross, sound.frames.dim(0));
  const std::vector<float> picture = spectrogram(sound.frames, sound.frames.dim(1), columns);
  std::string cells;  // a byte each is all that a screen shows
  for (const float x : picture) {
    cells += fmt::format("{}{}", cells.empty() ? "" : ",", std::lround(x * 255));
  }
  const std::string data = fmt::format(
      "{{\"seconds\":{:.4f},\"highest\":{:.0f},\"across\":{},\"down\":{},\"cells\":[{}],\"maps\":{}"
      "}}",
      sound.seconds, sound.highest, columns, sound.frames.dim(1), cells, attention_json(maps, 4));
  std::string page;
  std::string_view rest = kSoundPage;
  for (const auto& [name, text] :
       {std::pair<std::string_view, std::string>{"{{title}}", escape_xml(clean_label(title))},
        {"{{data}}", script_safe_json(data)}}) {
    const std::size_t place = rest.find(name);
    page += rest.substr(0, place);
    page += text;
    rest.remove_prefix(place + name.size());
  }
  return page + std::string(rest);
}

}  // namespace qkv
