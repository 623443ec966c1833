// The ready-made masks that need no more than a row's place.
#include <memory>
#include <utility>

#include "qkv/attention/mask_rules.h"
#include "qkv/base/error.h"

namespace qkv {

using mask_rules::append;
using mask_rules::list;
using mask_rules::place;

namespace {

/// "name(arguments)", with the alignment as the last of them where it is not the usual one.
std::string named(const char* name, std::string arguments, Alignment alignment) {
  if (alignment == Alignment::top_left) arguments += arguments.empty() ? "top_left" : ", top_left";
  return fmt::format("{}({})", name, arguments);
}

constexpr std::int64_t kFar = MaskBand::kFar;

/// The band of a window; only where the place is the usual one.
std::optional<MaskBand> band(std::int64_t left, std::int64_t right, Alignment alignment) {
  if (alignment != Alignment::bottom_right) return std::nullopt;
  return MaskBand{.left = left, .right = right};
}

void append_length(const char* name, const MaskRow& row, std::span<const std::int64_t> valid,
                   std::int64_t at, Intervals& out) {
  const auto count = static_cast<std::int64_t>(valid.size());
  if (at >= count) fail<ShapeError>("{}: {} values, but there is a number {}", name, count, at);
  const std::int64_t length = valid[static_cast<std::size_t>(at)];
  if (length < 0 || length > row.keys) {
    fail<ShapeError>("{}: value {} is {}, sequence {} has {} keys", name, at, length, row.segment,
                     row.keys);
  }
  append(row, 0, length, out);
}

}  // namespace

Mask everything() {
  return Mask::of(
      "everything()",
      [](const MaskRow& row, Intervals& out) {
        out.push_back({0, row.all_keys});
      },
      MaskBand{});
}

Mask causal(Alignment alignment) {
  return Mask::of(
      named("causal", "", alignment),
      [alignment](const MaskRow& row, Intervals& out) {
        append(row, 0, place(row, alignment) + 1, out);
      },
      band(kFar, 0, alignment));
}

Mask window(std::int64_t left, std::int64_t right, Alignment alignment) {
  left = std::clamp(left, -kFar, kFar);
  right = std::clamp(right, -kFar, kFar);
  return Mask::of(
      named("window", fmt::format("{}, {}", left, right), alignment),
      [=](const MaskRow& row, Intervals& out) {
        const std::int64_t here = place(row, alignment);
        append(row, here - left, here + right + 1, out);
      },
      band(left, right, alignment));
}

Mask window(std::int64_t size) {
  const std::int64_t reach = std::max(size, -kFar) - 1;  // the least number has none before it
  return window(reach, reach);
}

Mask dilated(std::int64_t size, std::int64_t step, Alignment alignment) {
  if (step < 1) fail<ShapeError>("dilated: step {} is below 1", step);
  return Mask::of(named("dilated", fmt::format("{}, {}", size, step), alignment),
                  [=](const MaskRow& row, Intervals& out) {
                    const std::int64_t here = place(row, alignment);
                    for (std::int64_t n = 0; n < size && n * step <= here; ++n) {
                      append(row, here - n * step, here - n * step + 1, out);
                    }
                    // A place before the first key (more queries than keys) may still see later
                    // ones.
                    const std::int64_t skip = here < 0 ? -here / step : 0;
                    for (std::int64_t n = std::max<std::int64_t>(1, skip);
                         n < size && n <= (row.keys - here) / step; ++n) {
                      append(row, here + n * step, here + n * step + 1, out);
                    }
                  });
}

Mask prefix(std::int64_t count) {
  return Mask::of(fmt::format("prefix({})", count),
                  [count](const MaskRow& row, Intervals& out) { append(row, 0, count, out); });
}

Mask lengths(std::vector<std::int64_t> valid) {
  auto name = "lengths(" + list(valid) + ")";
  const auto each = std::make_shared<const std::vector<std::int64_t>>(std::move(valid));
  return Mask::of(
      std::move(name),
      [each](const MaskRow& row, Intervals& out) {
        append_length("lengths", row, *each, row.segment, out);
      },
      MaskBand{.lengths = each});
}

Mask query_lengths(std::vector<std::int64_t> valid) {
  auto name = "query_lengths(" + list(valid) + ")";
  return Mask::of(std::move(name), [valid = std::move(valid)](const MaskRow& row, Intervals& out) {
    append_length("query_lengths", row, valid, row.query, out);
  });
}

Mask query_lengths(const std::vector<std::vector<std::int64_t>>& valid) {
  std::string lists;
  for (const auto& of_sequence : valid) lists += (lists.empty() ? "" : ", ") + list(of_sequence);
  return Mask::of("query_lengths(" + lists + ")", [valid](const MaskRow& row, Intervals& out) {
    if (row.segment >= static_cast<std::int64_t>(valid.size())) {
      fail<ShapeError>("query_lengths: {} lists, but there is a sequence {}", valid.size(),
                       row.segment);
    }
    const auto& own = valid[static_cast<std::size_t>(row.segment)];
    if (static_cast<std::int64_t>(own.size()) != row.queries) {
      fail<ShapeError>("query_lengths: {} values for sequence {} of {} query rows", own.size(),
                       row.segment, row.queries);
    }
    append_length("query_lengths", row, own, row.position, out);
  });
}

}  // namespace qkv
