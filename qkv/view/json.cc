#include "qkv/view/json.h"

#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/text/normalise.h"

namespace qkv {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFormat = "qkv-attention";
constexpr int kVersion = 1;

Json labels_json(const std::vector<std::string>& labels) {
  Json list = Json::array();
  for (const std::string& label : labels) list.push_back(repair_utf8(label));
  return list;
}

Json weights_json(const Tensor& weights, double power) {
  Json rows = Json::array();
  auto w = weights.values().begin();
  for (std::int64_t r = 0; r < weights.dim(0); ++r) {
    Json row = Json::array();
    for (std::int64_t c = 0; c < weights.dim(1); ++c) {
      const double rounded = std::round(static_cast<double>(*w++) * power) / power;
      // 0 and 1 are most of a peaked map; written short.
      if (rounded == 0.0 || rounded == 1.0) {
        row.push_back(static_cast<int>(rounded));
      } else {
        row.push_back(rounded);
      }
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

// Shapes come from the labels, so that a map without rows keeps its columns.
Tensor weights_of(const Json& rows, std::size_t height, std::size_t width) {
  if (!rows.is_array() || rows.size() != height) fail("weights need {} rows", height);
  Tensor weights =
      Tensor::empty({static_cast<std::int64_t>(height), static_cast<std::int64_t>(width)});
  auto w = weights.values().begin();
  for (const Json& row : rows) {
    if (!row.is_array() || row.size() != width) fail("a row of weights needs {} numbers", width);
    for (const Json& value : row) {
      if (!value.is_number()) fail("a weight is {}, not a number", value.dump());
      const double number = value.get<double>();
      if (std::abs(number) > static_cast<double>(std::numeric_limits<float>::max())) {
        fail("weight {} is too large", number);
      }
      *w++ = static_cast<float>(number);
    }
  }
  return weights;
}

int number_of(const Json& map, const char* name) {
  const Json& value = map.at(name);
  if (!value.is_number_integer()) fail("'{}' is {}, not a whole number", name, value.dump());
  const auto number = value.get<std::int64_t>();
  if (number < -1 || number > 1'000'000) fail("'{}' is {}", name, number);
  return static_cast<int>(number);
}

AttentionMaps maps_of(const Json& json) {
  if (!json.is_object() || json.value("format", "") != kFormat) {
    fail("not an attention file; 'qkv look --output NAME.json' writes one");
  }
  if (json.at("version") != kVersion) {
    fail("version {} of the attention format; this program reads {}", json.at("version").dump(),
         kVersion);
  }
  AttentionMaps maps;
  maps.title = json.value("title", "");
  maps.source_text = json.value("source_text", "");
  maps.translation = json.value("translation", "");
  maps.source = json.at("source").get<std::vector<std::string>>();
  maps.target = json.at("target").get<std::vector<std::string>>();
  if (json.contains("target_in")) {
    maps.target_in = json["target_in"].get<std::vector<std::string>>();
  }
  for (const Json& one : json.at("maps")) {
    AttentionMap map;
    map.kind = attention_kind(one.at("kind").get<std::string>());
    map.layer = number_of(one, "layer");
    map.head = number_of(one, "head");
    map.weights = weights_of(one.at("weights"), row_labels(maps, map.kind).size(),
                             column_labels(maps, map.kind).size());
    maps.maps.push_back(std::move(map));
  }
  check(maps);
  return maps;
}

}  // namespace

std::string attention_json(const AttentionMaps& maps, int digits) {
  if (digits < 1 || digits > 9) fail("attention: {} digits, not 1 to 9", digits);
  check(maps);
  const double power = std::pow(10.0, digits);
  Json json = {{"format", kFormat},
               {"version", kVersion},
               {"title", repair_utf8(maps.title)},
               {"source_text", repair_utf8(maps.source_text)},
               {"translation", repair_utf8(maps.translation)},
               {"source", labels_json(maps.source)},
               {"target", labels_json(maps.target)},
               {"target_in", labels_json(maps.target_in)},
               {"maps", Json::array()}};
  for (const AttentionMap& map : maps.maps) {
    json["maps"].push_back({{"kind", name_of(map.kind)},
                            {"layer", map.layer},
                            {"head", map.head},
                            {"weights", weights_json(map.weights, power)}});
  }
  return json.dump();
}

AttentionMaps parse_attention_json(std::string_view text, std::string_view path) {
  try {
    return maps_of(Json::parse(text));
  } catch (const Json::exception& error) {
    throw DataError(path, 0, error.what());
  } catch (const Error& error) {
    throw DataError(path, 0, error.what());
  }
}

}  // namespace qkv
