#include "app/picture.h"

#include <algorithm>
#include <cstdlib>

#include "app/console.h"
#include <fmt/format.h>
#include <unistd.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/view/graph_picture.h"
#include "qkv/view/html.h"
#include "qkv/view/json.h"
#include "qkv/view/label.h"
#include "qkv/view/png.h"
#include "qkv/view/svg.h"
#include "qkv/view/terminal.h"

namespace qkv::app {
namespace {

TerminalColour terminal_colour() {
  if (::isatty(STDOUT_FILENO) != 1 || std::getenv("NO_COLOR")) return TerminalColour::none;
  const char* depth = std::getenv("COLORTERM");
  return depth && std::string_view(depth) == "truecolor" ? TerminalColour::truecolour
                                                         : TerminalColour::palette;
}

TerminalOptions terminal_options() {
  return {.width = std::clamp(Console::width(), 40, 160), .colour = terminal_colour()};
}

[[noreturn]] void refuse_name(const std::filesystem::path& path) {
  fail("--output {}: the name must end in .svg, .png, .json or .html", path.string());
}

}  // namespace

std::string terminal_picture(const HeatMap& map) {
  return terminal_heat_map(map, terminal_options());
}

std::string terminal_picture(const AttentionMaps& maps, const PictureOptions& s) {
  std::string picture = terminal_picture(heat_map(maps, s.kind, s.layer, s.head));
  if (maps.received.empty()) return picture;
  picture += "\nreceived in all:";
  for (std::size_t i = 0; i < maps.received.size(); ++i) {
    picture += fmt::format("{} {} {:.2f}", i == 0 ? "" : ",", clean_label(maps.source[i]),
                           maps.received[i]);
  }
  return picture + "\n";
}

void write_picture(const AttentionMaps& maps, const PictureOptions& s,
                   const std::filesystem::path& path) {
  const std::string ending = path.extension().string();
  const auto map = [&] { return heat_map(maps, s.kind, s.layer, s.head); };
  if (ending == ".svg") {
    write_file(path, svg_heat_map(map()));
  } else if (ending == ".png") {
    write_file(path, png_heat_map(map()));
  } else if (ending == ".json") {
    write_file(path, attention_json(maps));
  } else if (ending == ".html") {
    write_file(path, html_page(maps));
  } else {
    refuse_name(path);
  }
}

void write_graph(const AttentionMaps& maps, const PictureOptions& s,
                 const std::filesystem::path& path) {
  const std::string ending = path.extension().string();
  const auto picture = [&] { return graph_picture(maps, s.layer, s.head); };
  if (ending == ".svg") {
    write_file(path, svg_graph(picture()));
  } else if (ending == ".png") {
    write_file(path, png_graph(picture()));
  } else if (ending == ".json") {
    write_file(path, attention_json(maps));
  } else if (ending == ".html") {
    write_file(path, html_graph(maps));
  } else {
    refuse_name(path);
  }
}

std::string terminal_picture(const PictureAttention& seen, const PictureLook& look) {
  return terminal_picture_attention(seen, look, terminal_options());
}

void write_picture(const PictureAttention& seen, const PictureLook& look,
                   const std::filesystem::path& path) {
  const std::string ending = path.extension().string();
  if (ending == ".svg") {
    write_file(path, svg_picture_attention(seen, look));
  } else if (ending == ".png") {
    write_file(path, png_picture_attention(seen, look));
  } else if (ending == ".json") {
    write_file(path, attention_json(seen.maps));
  } else if (ending == ".html") {
    write_file(path, html_picture_attention(seen, look));
  } else {
    refuse_name(path);
  }
}

}  // namespace qkv::app
