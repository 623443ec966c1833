// Small maps with known weights for the tests of this folder.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "qkv/view/attention_maps.h"
#include "qkv/view/heat_map.h"

namespace qkv {

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

inline Tensor matrix(const std::vector<float>& values, std::int64_t rows, std::int64_t columns) {
  return Tensor::of(values, {rows, columns});
}

/// "the dog" -> "狗 </s>": two heads of cross attention, one encoder and one decoder map.
inline AttentionMaps sample_maps() {
  using Kind = AttentionMap::Kind;
  AttentionMaps maps;
  maps.title = "sample";
  maps.source = {"the", "dog", "</s>"};
  maps.target = {"狗", "</s>"};
  maps.target_in = {"<s>", "狗"};
  maps.source_text = "the dog";
  maps.translation = "狗";
  maps.maps = {
      {Kind::cross, 1, 0, matrix({0.5f, 0.5f, 0, 0, 0, 1}, 2, 3)},
      {Kind::cross, 1, 1, matrix({0, 1, 0, 0.25f, 0.25f, 0.5f}, 2, 3)},
      {Kind::encoder_self, 0, 0, matrix({1, 0, 0, 0.5f, 0.5f, 0, 0.25f, 0.25f, 0.5f}, 3, 3)},
      {Kind::decoder_self, 0, 0, matrix({1, 0, 0.75f, 0.25f}, 2, 2)},
  };
  return maps;
}

inline HeatMap map_of(std::vector<std::string> rows, std::vector<std::string> columns,
                      const std::vector<float>& values) {
  HeatMap map;
  map.values = matrix(values, static_cast<std::int64_t>(rows.size()),
                      static_cast<std::int64_t>(columns.size()));
  map.rows = std::move(rows);
  map.columns = std::move(columns);
  return map;
}

/// n × n with weights on the diagonal only, labels "r0" … and "c0" ….
inline HeatMap diagonal(int n) {
  HeatMap map;
  map.values = Tensor::zeros({n, n});
  for (int i = 0; i < n; ++i) {
    map.rows.push_back("r" + std::to_string(i));
    map.columns.push_back("c" + std::to_string(i));
    map.values.data()[i * n + i] = 1.0f;
  }
  return map;
}

inline int count_of(const std::string& text, const std::string& what) {
  int count = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
    ++count;
  }
  return count;
}

}  // namespace qkv
