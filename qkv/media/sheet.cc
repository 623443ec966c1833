#include "qkv/media/sheet.h"

#include <algorithm>
#include <cstdint>

#include "qkv/base/error.h"

namespace qkv {
namespace {

constexpr int kSeen = 48;  // pixels a side: what people can make something out of

}  // namespace

Picture picture_sheet(std::span<const Picture> pictures, const SheetStyle& s) {
  if (pictures.empty()) fail("a sheet wants at least one picture");
  if (s.columns < 1 || s.gap < 0 || s.zoom < 0) {
    fail("a sheet of {} columns, gap {}, zoom {} is none", s.columns, s.gap, s.zoom);
  }
  const Picture& first = pictures.front();
  const int zoom = s.zoom > 0 ? s.zoom : std::max(1, kSeen / std::max(first.height, first.width));
  const auto count = static_cast<std::int64_t>(pictures.size());
  const std::int64_t columns = std::min<std::int64_t>(s.columns, count);
  const std::int64_t rows = (count + columns - 1) / columns;
  const std::int64_t step_y = std::int64_t{first.height} * zoom + s.gap;
  const std::int64_t step_x = std::int64_t{first.width} * zoom + s.gap;
  check_picture_size("sheet", rows * step_y + s.gap, columns * step_x + s.gap);
  Picture sheet(first.channels, static_cast<int>(rows * step_y + s.gap),
                static_cast<int>(columns * step_x + s.gap));
  std::fill(sheet.bytes.begin(), sheet.bytes.end(), std::uint8_t{255});
  for (std::int64_t n = 0; n < count; ++n) {
    const Picture& p = pictures[static_cast<std::size_t>(n)];
    if (p.channels != first.channels || p.height != first.height || p.width != first.width) {
      fail("picture {} of a sheet has {} × {} × {} numbers, the first {} × {} × {}", n, p.channels,
           p.height, p.width, first.channels, first.height, first.width);
    }
    const int top = static_cast<int>(n / columns * step_y) + s.gap;
    const int left = static_cast<int>(n % columns * step_x) + s.gap;
    for (int c = 0; c < p.channels; ++c) {
      for (int y = 0; y < p.height * zoom; ++y) {
        for (int x = 0; x < p.width * zoom; ++x) {
          sheet.at(c, top + y, left + x) = p.at(c, y / zoom, x / zoom);
        }
      }
    }
  }
  return sheet;
}

}  // namespace qkv
