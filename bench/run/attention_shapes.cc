#include "bench/run/attention_shapes.h"

#include <charconv>

#include <fmt/core.h>

#include "qkv/base/options.h"

namespace qkv::bench {
namespace {

const std::vector<std::string> kLarge = {
    "b1-h8-n1024-d64-full",    "b1-h8-n1024-d64-causal",  "b1-h8-n1024-d128-full",
    "b1-h8-n1024-d128-causal", "b1-h8-n1024-d32-full",    "b1-h8-n1024-d32-causal",
    "b1-h8-n2048-d64-full",    "b1-h8-n2048-d64-causal",  "b1-h8-n2048-d128-full",
    "b1-h8-n2048-d128-causal", "b1-h4-n4096-d64-full",    "b1-h4-n4096-d64-causal",
    "b1-h4-n4096-d128-full",   "b1-h4-n4096-d128-causal", "b1-h4-n4096-d64-window256"};
const std::vector<std::string> kMixed = {
    "b1-h1-n4096-d64-full",     "b1-h1-n4096-d64-causal",   "b1-h8/2-n1024-d64-full",
    "b1-h8/1-n2048-d64-causal", "b8-h8-n256:1024-d64-full", "b16-h8-n256-d64-lengths",
    "b8-h8-n512-d64-lengths",   "b8-h12-n512-d64-full",     "b1-h16-n577-d80-full",
    "b1-h8-n1000-d100-causal",  "b1-h8-n1:65536-d64-full",  "b1-h8/2-n16:16384-d128-full",
    "b64-h8-n1:256-d64-full"};
const std::vector<std::string> kSmall = {
    "b512-h4-n8-d32-full",    "b512-h4-n8-d32-causal",   "b256-h8-n8-d64-full",
    "b292-h4-n14-d32-full",   "b292-h4-n14-d32-causal",  "b128-h8-n16-d64-full",
    "b128-h8-n16-d64-causal", "b128-h8-n16-d128-full",   "b64-h8-n32-d64-full",
    "b64-h8-n32-d64-causal",  "b64-h4-n32-d32-causal",   "b64-h8-n24:40-d64-full",
    "b32-h8-n64-d64-full",    "b32-h8-n64-d64-causal",   "b32-h8-n64-d32-lengths",
    "b16-h8-n128-d64-full",   "b16-h8-n128-d64-causal",  "b16-h8-n128-d128-full",
    "b16-h8-n128-d32-full",   "b16-h8-n128-d64-lengths", "b1-h1-n8-d32-full",
    "b1-h4-n16-d32-causal",   "b1-h8-n128-d64-full"};

[[noreturn]] void no_shape(const std::string& name) {
  throw UsageError(fmt::format("--shapes: cannot read the shape '{}'", name));
}

/// The number that `text` begins with, which is cut off.
std::int64_t take_number(std::string_view& text, const std::string& name) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value <= 0) no_shape(name);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

}  // namespace

AttentionShape shape_named(const std::string& name) {
  AttentionShape s;
  s.name = name;
  std::string_view rest = name;
  const auto expect = [&](std::string_view prefix) {
    if (!rest.starts_with(prefix)) no_shape(name);
    rest.remove_prefix(prefix.size());
  };
  const auto second = [&](std::string_view mark, std::int64_t first) {
    if (!rest.starts_with(mark)) return first;
    rest.remove_prefix(1);
    return take_number(rest, name);
  };
  expect("b");
  s.batch = take_number(rest, name);
  expect("-h");
  s.heads = take_number(rest, name);
  s.kv_heads = second("/", s.heads);
  expect("-n");
  s.queries = take_number(rest, name);
  s.keys = second(":", s.queries);
  expect("-d");
  s.dim = take_number(rest, name);
  expect("-");
  s.mask = rest;
  if (rest.starts_with("window")) {
    rest.remove_prefix(6);
    s.window = take_number(rest, name);
  } else if (s.mask != "full" && s.mask != "causal" && s.mask != "lengths") {
    throw UsageError(fmt::format(
        "--shapes: mask '{}' is not one of full, causal, window<size>, lengths", s.mask));
  }
  return s;
}

Mask mask_of(const AttentionShape& s) {
  const std::vector<std::int64_t> queries(static_cast<std::size_t>(s.batch), s.queries);
  const std::vector<std::int64_t> keys(static_cast<std::size_t>(s.batch), s.keys);
  const Mask all = segments(Segments(queries), Segments(keys));
  if (s.mask == "full") return all;
  if (s.window > 0) return all & causal() & window(s.window);
  if (s.mask == "causal") return all & causal();
  std::vector<std::int64_t> valid(static_cast<std::size_t>(s.batch));
  for (std::int64_t b = 0; b < s.batch; ++b) {
    valid[static_cast<std::size_t>(b)] = s.keys / 4 + (s.keys - s.keys / 4) * (b * 5 % 8) / 7;
  }
  return all & lengths(std::move(valid));
}

std::vector<std::string> shapes_chosen(std::span<const std::string> words) {
  std::vector<std::string> names;
  const auto add = [&](const std::vector<std::string>& more) {
    names.insert(names.end(), more.begin(), more.end());
  };
  for (const std::string& s : detail::split_list(words)) {
    if (s == "large" || s == "all") add(kLarge);
    if (s == "mixed" || s == "all") add(kMixed);
    if (s == "small" || s == "all") add(kSmall);
    if (s != "large" && s != "mixed" && s != "small" && s != "all") names.push_back(s);
  }
  return names;
}

}  // namespace qkv::bench
