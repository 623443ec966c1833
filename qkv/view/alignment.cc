#include "qkv/view/alignment.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using Pairs = std::set<std::pair<int, int>>;

// f(target, source, weight) for every weight, in order.
template <class F>
void for_each_weight(const Tensor& weights, F&& f) {
  if (weights.shape().rank() != 2) {
    fail<ShapeError>("alignment: weights [Lt Ls] are {}", to_string(weights.shape()));
  }
  auto w = weights.values().begin();
  for (std::int64_t target = 0; target < weights.dim(0); ++target) {
    for (std::int64_t source = 0; source < weights.dim(1); ++source, ++w) {
      if (!std::isfinite(*w)) {
        fail<NumericError>("alignment: the weight of target {}, source {} is {}", target, source,
                           *w);
      }
      f(static_cast<int>(target), static_cast<int>(source), *w);
    }
  }
}

Pairs pairs(std::span<const AlignmentLink> links) {
  Pairs all;
  for (const AlignmentLink& link : links) all.emplace(link.source, link.target);
  return all;
}

}  // namespace

std::vector<AlignmentLink> hard_alignment(const Tensor& weights) {
  std::vector<AlignmentLink> links;
  for_each_weight(weights, [&](int target, int source, float weight) {
    if (!(weight > 0.0f)) return;
    if (links.empty() || links.back().target != target) {
      links.push_back({source, target, weight});
    } else if (weight > links.back().weight) {
      links.back() = {source, target, weight};
    }
  });
  return links;
}

std::vector<AlignmentLink> threshold_alignment(const Tensor& weights, float threshold) {
  if (!(threshold > 0.0f)) fail("alignment: threshold {} is not above 0", threshold);
  std::vector<AlignmentLink> links;
  for_each_weight(weights, [&](int target, int source, float weight) {
    if (weight >= threshold) links.push_back({source, target, weight});
  });
  return links;
}

std::string pharaoh(std::span<const AlignmentLink> links) {
  std::string line;
  for (const AlignmentLink& link : links) {
    line += fmt::format("{}{}-{}", line.empty() ? "" : " ", link.source, link.target);
  }
  return line;
}

std::vector<AlignmentLink> parse_pharaoh(std::string_view line) {
  std::vector<AlignmentLink> links;
  constexpr std::string_view kSpace = " \t\r\n";
  while (true) {
    line.remove_prefix(std::min(line.find_first_not_of(kSpace), line.size()));
    if (line.empty()) return links;
    const std::string_view word = line.substr(0, line.find_first_of(kSpace));
    line.remove_prefix(word.size());
    AlignmentLink link;
    const char* end = word.data() + word.size();
    const auto source = std::from_chars(word.data(), end, link.source);
    bool good = source.ec == std::errc() && source.ptr != end &&
                (*source.ptr == '-' || *source.ptr == '?') && link.source >= 0;
    if (good) {
      const auto target = std::from_chars(source.ptr + 1, end, link.target);
      good = target.ec == std::errc() && target.ptr == end && link.target >= 0;
    }
    if (!good) fail("alignment: '{}' is not a link such as 0-2", word);
    links.push_back(link);
  }
}

std::string soft_alignment(const Tensor& weights, int digits) {
  std::string line;
  for_each_weight(weights, [&](int, int source, float weight) {
    const std::string_view before = line.empty() ? "" : source == 0 ? " " : ",";
    line += fmt::format("{}{:.{}f}", before, weight, digits);
  });
  return line;
}

double alignment_error_rate(std::span<const AlignmentLink> found,
                            std::span<const AlignmentLink> sure,
                            std::span<const AlignmentLink> possible) {
  const Pairs a = pairs(found), s = pairs(sure);
  Pairs p = pairs(possible);
  p.insert(s.begin(), s.end());
  std::size_t hits = 0;
  for (const auto& link : a) hits += s.count(link) + p.count(link);
  const std::size_t all = a.size() + s.size();
  return all == 0 ? 0.0 : 1.0 - static_cast<double>(hits) / static_cast<double>(all);
}

}  // namespace qkv
