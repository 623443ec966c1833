// What the patches of a picture attend to, laid over the picture: for the terminal, as SVG, as PNG,
// and as a page where a patch that is clicked shows what it looks at.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "qkv/base/grid.h"
#include "qkv/media/picture.h"
#include "qkv/view/attention_maps.h"
#include "qkv/view/terminal.h"

namespace qkv {

struct PictureAttention {
  Picture picture;          // as it was given
  Grid patches;             // that it was cut into, whatever its sides are
  std::int64_t tokens = 0;  // rows before those of the patches: a class row
  AttentionMaps maps;       // "encoder": tokens + patches, row by row, both as rows and columns
};

/// A patch, counted from 0: "2,5".
struct PatchPlace {
  std::int64_t row = 0, col = 0;
};
/// Throws UsageError for a text that is no such place.
PatchPlace patch_place(std::string_view text);

/// Which of the maps is shown, and of which row.
struct PictureLook {
  int layer = -1;                     // negative: from the last
  int head = kMeanHead;               // or the mean of all
  std::optional<PatchPlace> patch{};  // who looks; default: the class row, or the middle patch
};

/// The weights that the row gives to the patches, row by row (those of the tokens left aside), and
/// what it is called: "layer 3, mean of 4 heads, class row". Throws Error for a layer, head or
/// patch that is not there.
struct PatchWeights {
  std::vector<double> weights;        // [patches.count()]
  std::optional<std::int64_t> query;  // the patch that looks, if it is one
  std::string name;
};
PatchWeights patch_weights(const PictureAttention& seen, const PictureLook& look = {});

/// The picture with the weights over it, in colour, at least 256 pixels high or wide; the patch
/// that looks has a frame. The brightest colour is the largest weight.
Picture overlay(const PictureAttention& seen, const PatchWeights& weights);

/// In colour two pixels a character; without, the weights as a heat map of the patches.
std::string terminal_picture_attention(const PictureAttention& seen, const PictureLook& look,
                                       const TerminalOptions& options = {});
std::string svg_picture_attention(const PictureAttention& seen, const PictureLook& look);
std::string png_picture_attention(const PictureAttention& seen, const PictureLook& look);
/// One page that needs nothing else (see html.h), with a chooser of layer and head. Starts with
/// `look`.
std::string html_picture_attention(const PictureAttention& seen, const PictureLook& look);

}  // namespace qkv
