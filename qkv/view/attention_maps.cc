#include "qkv/view/attention_maps.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using Kind = AttentionMap::Kind;

constexpr std::array<std::string_view, 3> kKinds = {"encoder", "decoder", "cross"};

std::int64_t size_of(const std::vector<std::string>& labels) {
  return static_cast<std::int64_t>(labels.size());
}

std::string describe(Kind kind, int layer, int head) {
  return head == kMeanHead ? fmt::format("{} layer {} mean", name_of(kind), layer)
                           : fmt::format("{} layer {} head {}", name_of(kind), layer, head);
}

std::string list(const std::vector<int>& numbers) {
  return numbers.empty() ? "none" : fmt::format("{}", fmt::join(numbers, ", "));
}

/// Which map the attention of a module belongs to.
std::pair<Kind, int> place_of(const std::string& path) {
  std::string last;
  int layer = 0;
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('.', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    const bool number = !part.empty() && part.size() < 9 &&
                        part.find_first_not_of("0123456789") == std::string::npos;
    if (number) {
      layer = std::stoi(part);
    } else {
      last = part;
    }
    begin = end + 1;
  }
  if (last == "cross" || last == "pooling" || last == "attention") return {Kind::cross, layer};
  if (last == "self" && path.starts_with("encoder")) return {Kind::encoder_self, layer};
  if (last == "self" || last == "attn") return {Kind::decoder_self, layer};
  fail("attention maps: no picture for the attention of '{}'", path);
}

std::int64_t groups_in(std::span<const std::int32_t> of_token) {
  std::int32_t next = 0;
  for (std::int32_t group : of_token) {
    if (group != next && group != next - 1) {
      fail("merge: group {} follows group {}; groups must ascend without gaps from 0", group,
           next - 1);
    }
    if (group == next) ++next;
    if (next == 0) fail("merge: the first group is {}, not 0", group);
  }
  return next;
}

std::vector<std::string> group_labels(const std::vector<std::string>& tokens, const Groups& groups,
                                      std::string_view what) {
  if (groups.of_token.size() != tokens.size()) {
    fail("merge: {} groups for {} {} tokens", groups.of_token.size(), tokens.size(), what);
  }
  const auto count = static_cast<std::size_t>(groups_in(groups.of_token));
  if (!groups.labels.empty()) {
    if (groups.labels.size() != count) {
      fail("merge: {} labels for {} {} groups", groups.labels.size(), count, what);
    }
    return groups.labels;
  }
  std::vector<std::string> labels(count);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    labels[static_cast<std::size_t>(groups.of_token[i])] += tokens[i];
  }
  return labels;
}

AttentionMap mean_over_heads(const AttentionMaps& maps, Kind kind, int layer) {
  AttentionMap mean{.kind = kind, .layer = layer, .head = kMeanHead, .weights = {}};
  std::vector<double> sum;
  int heads = 0;
  for (const AttentionMap& map : maps.maps) {
    if (map.kind != kind || map.layer != layer) continue;
    const auto values = map.weights.values();
    if (heads++ == 0) {
      mean.weights = Tensor::empty(map.weights.shape());
      sum.assign(values.size(), 0.0);
    } else if (!(map.weights.shape() == mean.weights.shape())) {
      fail<ShapeError>("attention maps: heads of {} layer {} differ in shape, {} and {}",
                       name_of(kind), layer, to_string(mean.weights.shape()),
                       to_string(map.weights.shape()));
    }
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += static_cast<double>(values[i]);
  }
  auto out = mean.weights.values();
  for (std::size_t i = 0; i < sum.size(); ++i) out[i] = static_cast<float>(sum[i] / heads);
  return mean;
}

}  // namespace

void add_maps(AttentionMaps& maps, std::span<const SeenAttention> seen) {
  for (const SeenAttention& a : seen) {
    const auto [kind, layer] = place_of(a.path);
    for (std::int64_t h = 0; h < a.weights.dim(0); ++h) {
      maps.maps.push_back(
          {.kind = kind,
           .layer = layer,
           .head = static_cast<int>(h),
           .weights = a.weights.rows(h, h + 1).reshaped({a.weights.dim(1), a.weights.dim(2)})});
    }
  }
}

std::string_view name_of(Kind kind) { return kKinds[static_cast<std::size_t>(kind)]; }

Kind attention_kind(std::string_view name) {
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    if (kKinds[i] == name) return static_cast<Kind>(i);
  }
  fail("attention '{}' is not one of {}", name, fmt::join(kKinds, ", "));
}

const std::vector<std::string>& row_labels(const AttentionMaps& maps, Kind kind) {
  return kind == Kind::encoder_self ? maps.source : maps.target;
}

const std::vector<std::string>& column_labels(const AttentionMaps& maps, Kind kind) {
  if (kind != Kind::decoder_self) return maps.source;
  return maps.target_in.empty() ? maps.target : maps.target_in;
}

void check(const AttentionMaps& maps) {
  if (!maps.target_in.empty() && maps.target_in.size() != maps.target.size()) {
    fail<ShapeError>("attention maps: {} target_in labels for {} target labels",
                     maps.target_in.size(), maps.target.size());
  }
  if (!maps.received.empty() && maps.received.size() != maps.source.size()) {
    fail<ShapeError>("attention maps: {} numbers received for {} source labels",
                     maps.received.size(), maps.source.size());
  }
  std::set<std::tuple<Kind, int, int>> seen;
  for (const AttentionMap& map : maps.maps) {
    const std::string name = describe(map.kind, map.layer, map.head);
    if (map.layer < 0 || map.head < kMeanHead) fail("attention maps: no such map, {}", name);
    if (!seen.emplace(map.kind, map.layer, map.head).second) {
      fail("attention maps: {} is there twice", name);
    }
    const Shape expected{size_of(row_labels(maps, map.kind)),
                         size_of(column_labels(maps, map.kind))};
    if (!map.weights.defined() || !(map.weights.shape() == expected)) {
      fail<ShapeError>("attention maps: weights of {} are {}, labels {}", name,
                       map.weights.defined() ? to_string(map.weights.shape()) : "missing",
                       to_string(expected));
    }
    for (float weight : map.weights.values()) {
      if (!std::isfinite(weight)) {
        fail<NumericError>("attention maps: a weight of {} is {}", name, weight);
      }
    }
  }
}

std::vector<int> layers_of(const AttentionMaps& maps, Kind kind) {
  std::set<int> layers;
  for (const AttentionMap& map : maps.maps) {
    if (map.kind == kind) layers.insert(map.layer);
  }
  return {layers.begin(), layers.end()};
}

std::vector<int> heads_of(const AttentionMaps& maps, Kind kind, int layer) {
  std::set<int> heads;
  for (const AttentionMap& map : maps.maps) {
    if (map.kind == kind && map.layer == layer) heads.insert(map.head);
  }
  return {heads.begin(), heads.end()};
}

AttentionMap select(const AttentionMaps& maps, Kind kind, int layer, int head) {
  const std::vector<int> layers = layers_of(maps, kind);
  const int wanted = layer;
  if (layer < 0 && -layer <= static_cast<int>(layers.size())) {
    layer = layers[layers.size() - static_cast<std::size_t>(-layer)];
  }
  for (const AttentionMap& map : maps.maps) {
    if (map.kind == kind && map.layer == layer && map.head == head) return map;
  }
  const std::vector<int> heads = heads_of(maps, kind, layer);
  if (heads.empty()) {
    fail("no {} attention of layer {}; layers: {}", name_of(kind), wanted, list(layers));
  }
  if (head != kMeanHead) {
    fail("no head {} in {} layer {}; heads: {}", head, name_of(kind), layer, list(heads));
  }
  return mean_over_heads(maps, kind, layer);
}

Tensor merge_weights(const Tensor& weights, std::span<const std::int32_t> query_groups,
                     std::span<const std::int32_t> key_groups) {
  const Shape tokens{static_cast<std::int64_t>(query_groups.size()),
                     static_cast<std::int64_t>(key_groups.size())};
  if (!(weights.shape() == tokens)) {
    fail<ShapeError>("merge: weights are {}, groups {}", to_string(weights.shape()),
                     to_string(tokens));
  }
  const std::int64_t rows = groups_in(query_groups), columns = groups_in(key_groups);
  std::vector<double> sum(static_cast<std::size_t>(rows * columns), 0.0);
  std::vector<double> members(static_cast<std::size_t>(rows), 0.0);
  const auto values = weights.values();
  std::size_t at = 0;
  for (std::int32_t row : query_groups) {
    members[static_cast<std::size_t>(row)] += 1.0;
    for (std::int32_t column : key_groups) {
      sum[static_cast<std::size_t>(row * columns + column)] += static_cast<double>(values[at++]);
    }
  }
  Tensor merged = Tensor::empty({rows, columns});
  auto out = merged.values();
  for (std::size_t i = 0; i < sum.size(); ++i) {
    out[i] = static_cast<float>(sum[i] / members[i / static_cast<std::size_t>(columns)]);
  }
  return merged;
}

AttentionMaps merge_tokens(const AttentionMaps& maps, const Groups& source, const Groups& target,
                           const Groups& target_in) {
  check(maps);
  AttentionMaps merged = maps;
  merged.source = group_labels(maps.source, source, "source");
  merged.target = group_labels(maps.target, target, "target");
  const bool own = !maps.target_in.empty();
  if (own) {
    merged.target_in = group_labels(maps.target_in, target_in, "target_in");
    if (merged.target_in.size() != merged.target.size()) {
      fail("merge: {} groups of target_in, {} of target", merged.target_in.size(),
           merged.target.size());
    }
  }
  if (!maps.received.empty()) {
    merged.received.assign(merged.source.size(), 0.0);
    for (std::size_t i = 0; i < maps.received.size(); ++i) {
      merged.received[static_cast<std::size_t>(source.of_token[i])] += maps.received[i];
    }
  }
  for (AttentionMap& map : merged.maps) {
    const Groups& rows = map.kind == Kind::encoder_self ? source : target;
    const Groups& columns = map.kind != Kind::decoder_self ? source : own ? target_in : target;
    map.weights = merge_weights(map.weights, rows.of_token, columns.of_token);
  }
  return merged;
}

Groups even_groups(const std::vector<std::string>& labels, std::int64_t limit) {
  if (limit < 1) fail("shrink: a limit of {} tokens", limit);
  const std::int64_t count = size_of(labels), groups = std::min(count, limit);
  Groups even;
  std::vector<std::size_t> first;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto group = static_cast<std::int32_t>(i * groups / count);
    if (first.size() == static_cast<std::size_t>(group))
      first.push_back(static_cast<std::size_t>(i));
    even.of_token.push_back(group);
  }
  first.push_back(labels.size());
  for (std::size_t g = 0; g + 1 < first.size(); ++g) {
    const std::size_t last = first[g + 1] - 1;
    even.labels.push_back(first[g] == last ? labels[last] : labels[first[g]] + "…" + labels[last]);
  }
  return even;
}

AttentionMaps shrink(const AttentionMaps& maps, std::int64_t limit) {
  if (size_of(maps.source) <= limit && size_of(maps.target) <= limit) {
    check(maps);
    return maps;
  }
  return merge_tokens(maps, even_groups(maps.source, limit), even_groups(maps.target, limit),
                      even_groups(maps.target_in, limit));
}

}  // namespace qkv
