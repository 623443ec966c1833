#include "qkv/view/picture_attention.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/media/png.h"
#include "qkv/media/resize.h"
#include "qkv/view/colour.h"
#include "qkv/view/heat_map.h"
#include "qkv/view/html.h"
#include "qkv/view/json.h"
#include "qkv/view/label.h"
#include "qkv/view/page.h"

namespace qkv {
namespace {

using Kind = AttentionMap::Kind;

constexpr int kSmallest = 256, kLargest = 1024;  // pixels of the longer side that is shown
constexpr double kLeast = 0.25, kMost = 0.8;     // of a colour over the picture

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

double largest(const std::vector<double>& weights) {
  const double most = weights.empty() ? 0 : *std::ranges::max_element(weights);
  return most > 0 ? most : 1;
}

/// RGB, of a size that can be looked at; small ones keep their pixels.
Picture shown(const Picture& picture) {
  const Picture p = rgb_of(picture);
  const int longer = std::max(p.height, p.width);
  if (longer > kLargest) {
    const auto scaled = [&](int side) { return std::max(1, side * kLargest / longer); };
    return resize_bicubic(p, scaled(p.height), scaled(p.width));
  }
  const int times = (kSmallest + longer - 1) / longer;
  if (times == 1) return p;
  Picture big(3, p.height * times, p.width * times);
  for (int c = 0; c < 3; ++c) {
    for (int y = 0; y < big.height; ++y) {
      for (int x = 0; x < big.width; ++x) big.at(c, y, x) = p.at(c, y / times, x / times);
    }
  }
  return big;
}

/// Where patch `i` of `n` begins on a side of `pixels`.
int edge(std::int64_t i, std::int64_t n, int pixels) {
  return static_cast<int>(i * pixels / std::max<std::int64_t>(n, 1));
}

std::int64_t number_of(std::string_view text, std::string_view whole) {
  std::int64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || stop != text.data() + text.size() || number < 0) {
    throw UsageError(
        fmt::format("patch '{}' is no ROW,COL, counted from 0 from the top left", whole));
  }
  return number;
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t three = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      three = three << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      text += i + k > bytes.size() ? '=' : kDigits[three >> (18 - 6 * k) & 63U];
    }
  }
  return text;
}

std::string title_of(const PictureAttention& seen, const PatchWeights& w) {
  return clean_label(seen.maps.title + ": " + w.name);
}

void frame(Picture& p, int top, int left, int bottom, int right, Colour colour) {
  const std::array<std::uint8_t, 3> parts = {colour.red, colour.green, colour.blue};
  for (int y = top; y < bottom; ++y) {
    for (int x = left; x < right; ++x) {
      if (y > top + 1 && y < bottom - 2 && x > left + 1 && x < right - 2) continue;
      for (int c = 0; c < 3; ++c) p.at(c, y, x) = parts[static_cast<std::size_t>(c)];
    }
  }
}

Colour pixel(const Picture& p, int y, int x) {
  return {p.at(0, y, x), p.at(1, y, x), p.at(2, y, x)};
}

std::string painted(const TerminalOptions& options, Colour upper, Colour lower) {
  if (options.colour == TerminalColour::palette) {
    return fmt::format("\x1b[38;5;{};48;5;{}m▀", palette_index(upper), palette_index(lower));
  }
  return fmt::format("\x1b[38;2;{};{};{};48;2;{};{};{}m▀", upper.red, upper.green, upper.blue,
                     lower.red, lower.green, lower.blue);
}

HeatMap grid_map(const PictureAttention& seen, const PatchWeights& w) {
  HeatMap map;
  map.title = title_of(seen, w);
  for (std::int64_t r = 0; r < seen.patches.rows; ++r) map.rows.push_back(std::to_string(r));
  for (std::int64_t c = 0; c < seen.patches.cols; ++c) map.columns.push_back(std::to_string(c));
  map.row_name = "rows of patches";
  map.column_name = "columns of patches";
  std::vector<float> numbers(w.weights.begin(), w.weights.end());
  map.values = Tensor::of(numbers, {seen.patches.rows, seen.patches.cols});
  return map;
}

}  // namespace

PatchPlace patch_place(std::string_view text) {
  const std::size_t comma = std::min(text.find(','), text.size());
  const std::string_view rest = comma < text.size() ? text.substr(comma + 1) : std::string_view();
  return {number_of(text.substr(0, comma), text), number_of(rest, text)};
}

PatchWeights patch_weights(const PictureAttention& seen, const PictureLook& look) {
  const Grid& grid = seen.patches;
  const AttentionMap map = select(seen.maps, Kind::encoder_self, look.layer, look.head);
  const std::int64_t columns = seen.tokens + grid.count();
  if (map.weights.dim(1) != columns) {
    fail<ShapeError>("a picture of {} × {} patches, weights {}", grid.rows, grid.cols,
                     to_string(map.weights.shape()));
  }
  PatchWeights w;
  std::int64_t row = 0;
  std::string who = "class row";
  if (look.patch || seen.tokens == 0) {
    const PatchPlace place = look.patch.value_or(PatchPlace{grid.rows / 2, grid.cols / 2});
    if (place.row >= grid.rows || place.col >= grid.cols) {
      fail("patch {},{} is not among the {} × {} patches of the picture", place.row, place.col,
           grid.rows, grid.cols);
    }
    w.query = place.row * grid.cols + place.col;
    row = seen.tokens + *w.query;
    who = fmt::format("patch {},{}", place.row, place.col);
  }
  const auto all = map.weights.values().subspan(at(row * columns + seen.tokens), at(grid.count()));
  w.weights.assign(all.begin(), all.end());
  const auto heads = heads_of(seen.maps, Kind::encoder_self, map.layer).size();
  w.name = fmt::format("layer {}, {}, {}", map.layer,
                       map.head == kMeanHead ? fmt::format("mean of {} heads", heads)
                                             : fmt::format("head {}", map.head),
                       who);
  return w;
}

Picture overlay(const PictureAttention& seen, const PatchWeights& w) {
  Picture p = shown(seen.picture);
  const Grid& grid = seen.patches;
  const double scale = largest(w.weights);
  for (std::int64_t i = 0; i < grid.count(); ++i) {
    const std::int64_t r = i / grid.cols, c = i % grid.cols;
    const double t = w.weights[at(i)] / scale, over = kLeast + (kMost - kLeast) * t;
    const Colour colour = ramp_colour(Ramp::night, t);
    const std::array<std::uint8_t, 3> parts = {colour.red, colour.green, colour.blue};
    for (int y = edge(r, grid.rows, p.height); y < edge(r + 1, grid.rows, p.height); ++y) {
      for (int x = edge(c, grid.cols, p.width); x < edge(c + 1, grid.cols, p.width); ++x) {
        for (int k = 0; k < 3; ++k) {
          const double mixed =
              (1 - over) * p.at(k, y, x) + over * parts[static_cast<std::size_t>(k)];
          p.at(k, y, x) = static_cast<std::uint8_t>(std::lround(mixed));
        }
      }
    }
  }
  if (w.query) {
    const std::int64_t r = *w.query / grid.cols, c = *w.query % grid.cols;
    frame(p, edge(r, grid.rows, p.height), edge(c, grid.cols, p.width),
          edge(r + 1, grid.rows, p.height), edge(c + 1, grid.cols, p.width), {80, 220, 255});
  }
  return p;
}

std::string terminal_picture_attention(const PictureAttention& seen, const PictureLook& look,
                                       const TerminalOptions& options) {
  const PatchWeights w = patch_weights(seen, look);
  if (options.colour == TerminalColour::none) return terminal_heat_map(grid_map(seen, w), options);
  const Picture p = overlay(seen, w);
  const int width = std::min({options.width, p.width, 64});
  const int height = std::max(2, 2 * ((p.height * width / p.width + 1) / 2));
  std::string text = fit_label(title_of(seen, w), options.width) + "\n";
  const auto from = [](int i, int of, int pixels) { return (2 * i + 1) * pixels / (2 * of); };
  for (int y = 0; y < height; y += 2) {
    for (int x = 0; x < width; ++x) {
      const int column = from(x, width, p.width);
      text += painted(options, pixel(p, from(y, height, p.height), column),
                      pixel(p, from(y + 1, height, p.height), column));
    }
    text += "\x1b[0m\n";
  }
  return text + fmt::format("brightest: {:.3g}\n", largest(w.weights));
}

std::string png_picture_attention(const PictureAttention& seen, const PictureLook& look) {
  const PatchWeights w = patch_weights(seen, look);
  const Picture p = overlay(seen, w);
  const std::vector<PngText> texts = {{"Title", title_of(seen, w)}};
  return encode_png(interleaved(p), 3, p.height, p.width, texts);
}

std::string svg_picture_attention(const PictureAttention& seen, const PictureLook& look) {
  const PatchWeights w = patch_weights(seen, look);
  const Grid& grid = seen.patches;
  const Picture p = shown(seen.picture);
  constexpr int kMargin = 14, kTitle = 26, kFoot = 24;
  const double cell_x = static_cast<double>(p.width) / static_cast<double>(grid.cols),
               cell_y = static_cast<double>(p.height) / static_cast<double>(grid.rows);
  const std::string title = title_of(seen, w);
  const double width =
      2 * kMargin + std::max(static_cast<double>(p.width), display_width(title) * 7.8);
  const int height = 2 * kMargin + kTitle + p.height + kFoot, top = kMargin + kTitle;
  const double scale = largest(w.weights);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1}\" viewBox=\"0 0 "
      "{0:.0f} {1}\" font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"#222\">\n"
      "<rect width=\"{0:.0f}\" height=\"{1}\" fill=\"#fff\"/>\n"
      "<text x=\"{2}\" y=\"{3}\" font-size=\"14\" font-weight=\"600\">{4}</text>\n"
      "<image x=\"{2}\" y=\"{5}\" width=\"{6}\" height=\"{7}\" "
      "href=\"data:image/png;base64,{8}\"/>\n<g shape-rendering=\"crispEdges\">\n",
      width, height, kMargin, kMargin + 15, escape_xml(title), top, p.width, p.height,
      base64(encode_png(p)));
  for (std::int64_t i = 0; i < grid.count(); ++i) {
    const double t = w.weights[at(i)] / scale;
    const std::int64_t r = i / grid.cols, c = i % grid.cols;
    svg += fmt::format(
        "<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" fill=\"{}\" "
        "fill-opacity=\"{:.3f}\"><title>{},{}: {:.4g}</title></rect>\n",
        kMargin + cell_x * static_cast<double>(c), top + cell_y * static_cast<double>(r), cell_x,
        cell_y, hex(ramp_colour(Ramp::night, t)), kLeast + (kMost - kLeast) * t, r, c,
        w.weights[at(i)]);
  }
  svg += "</g>\n";
  if (w.query) {
    const std::int64_t r = *w.query / grid.cols, c = *w.query % grid.cols;
    svg += fmt::format(
        "<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" fill=\"none\" "
        "stroke=\"#50dcff\" stroke-width=\"2\"/>\n",
        kMargin + cell_x * static_cast<double>(c), top + cell_y * static_cast<double>(r), cell_x,
        cell_y);
  }
  svg += fmt::format("<text x=\"{}\" y=\"{}\" fill=\"#777\">brightest: {:.3g}</text>\n</svg>\n",
                     kMargin, top + p.height + 17, scale);
  return svg;
}

std::string html_picture_attention(const PictureAttention& seen, const PictureLook& look) {
  const PatchWeights w = patch_weights(seen, look);
  const AttentionMap first = select(seen.maps, Kind::encoder_self, look.layer, look.head);
  AttentionMaps clean = seen.maps;
  clean.title = clean_label(clean.title);
  const std::string data = fmt::format(
      "{{\"rows\": {}, \"cols\": {}, \"tokens\": {}, \"layer\": {}, \"head\": {}, \"row\": {}, "
      "\"attention\": {}}}",
      seen.patches.rows, seen.patches.cols, seen.tokens, first.layer, first.head,
      w.query ? seen.tokens + *w.query : 0, attention_json(clean, 4));
  const std::string image = "data:image/png;base64," + base64(encode_png(shown(seen.picture)));
  return fill_page(kPicturePageHtml, {{"title", escape_xml(clean.title)},
                                      {"style", kPageStyle},
                                      {"image", image},
                                      {"script", kPicturePageScript},
                                      {"data", script_safe_json(data)}});
}

}  // namespace qkv
