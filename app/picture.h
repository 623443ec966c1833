// Attention as a picture: in the terminal, or as a file.
#pragma once

#include <filesystem>
#include <string>

#include "qkv/view/attention_maps.h"
#include "qkv/view/heat_map.h"
#include "qkv/view/picture_attention.h"

namespace qkv::app {

struct PictureOptions {
  AttentionMap::Kind kind = AttentionMap::Kind::cross;
  int layer = -1;  // negative: from the last
  int head = kMeanHead;
};

std::string terminal_picture(const AttentionMaps& maps, const PictureOptions& options);
/// As wide and as colourful as the terminal.
std::string terminal_picture(const HeatMap& map);
/// By the name's ending: .svg, .png, .json or .html; throws Error otherwise.
void write_picture(const AttentionMaps& maps, const PictureOptions& options,
                   const std::filesystem::path& path);
/// The same for the nodes of a graph: drawn on the graph, around the first.
void write_graph(const AttentionMaps& maps, const PictureOptions& options,
                 const std::filesystem::path& path);

/// The same for the patches of a picture, laid over it.
std::string terminal_picture(const PictureAttention& seen, const PictureLook& look);
void write_picture(const PictureAttention& seen, const PictureLook& look,
                   const std::filesystem::path& path);

}  // namespace qkv::app
