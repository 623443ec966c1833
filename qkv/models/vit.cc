#include "qkv/models/vit.h"

#include <algorithm>
#include <string>
#include <utility>

#include "qkv/attention/observer.h"
#include "qkv/models/sizes.h"
#include "qkv/nn/grid_positions.h"
#include "qkv/nn/timm_names.h"
#include "qkv/nn/torch_names.h"
#include "qkv/ops/pieces.h"
#include "qkv/ops/sequence.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

LayerConfig layer_config(const Vit::Config& c) {
  LayerConfig layer;
  layer.attention = {.width = c.width, .heads = c.heads};
  layer.feed_forward = c.feed_forward > 0 ? c.feed_forward : 4 * c.width;
  layer.activation = c.activation;
  layer.dropout = c.dropout;
  layer.activation_dropout = c.dropout;
  layer.norm_eps = c.norm_eps;
  return layer;
}

/// Row `token` of each picture, or all rows behind the tokens.
std::vector<std::int64_t> token_rows(const Segments& s, std::int64_t token) {
  std::vector<std::int64_t> rows;
  for (std::int64_t b = 0; b < s.count(); ++b) rows.push_back(s.begin(b) + token);
  return rows;
}
std::vector<std::int64_t> patch_rows(const Segments& s, std::int64_t tokens) {
  std::vector<std::int64_t> rows;
  for (std::int64_t b = 0; b < s.count(); ++b) {
    for (std::int64_t t = s.begin(b) + tokens; t < s.end(b); ++t) rows.push_back(t);
  }
  return rows;
}

/// Tables of positions below each other, one a size of picture, and where each begins.
struct PositionTables {
  std::vector<Grid> grids;
  std::vector<Tensor> parts;
  std::int64_t rows = 0;

  /// The first row of the table for `grid`, made when it is new.
  std::int64_t find(const Grid& grid, const Tensor& table, const Vit::Config& c) {
    std::int64_t at = 0;
    for (const Grid& known : grids) {
      if (known == grid) return at;
      at += known.count();
    }
    grids.push_back(grid);
    const Tensor own = slice_rows(table, c.tokens(), table.dim(0));
    parts.push_back(resized_positions(own, c.patches(), grid));
    return at;
  }
};

}  // namespace

void Vit::Config::check() const {
  for (const auto& [name, value] :
       {std::pair{"patch", patch}, std::pair{"channels", channels}, std::pair{"width", width},
        std::pair{"layers", layers}, std::pair{"heads", heads}}) {
    if (value <= 0) fail("vit: {} is {}, must be positive", name, value);
  }
  if (classes < 0) fail("vit: classes is {}", classes);
  if (feed_forward < 0) fail("vit: feed_forward is {}", feed_forward);
  if (width % heads != 0) fail("vit: width {} is no multiple of {} heads", width, heads);
  if (image.rows < patch || image.cols < patch || image.rows % patch != 0 ||
      image.cols % patch != 0) {
    fail("vit: an image of {} × {} is not made of patches of {}", image.rows, image.cols, patch);
  }
  if (pooling == VitPooling::token && !class_token) {
    fail("vit: pooling 'token' reads the class token, which is not there");
  }
  if (distilled && (pooling != VitPooling::token || classes == 0)) {
    fail("vit: a distilled model reads its two tokens and has two heads");
  }
  if (!(dropout >= 0.0 && dropout < 1.0)) fail("vit: dropout {} is not in [0, 1)", dropout);
}

Vit Vit::make(Initialiser init, const Config& c) {
  c.check();
  Vit m;
  m.config = c;
  if (c.class_token) m.class_token = init.zeros({1, 1, c.width});
  if (c.distilled) m.distillation_token = init.zeros({1, 1, c.width});
  m.positions = init.normal({1, c.tokens() + c.patches().count(), c.width}, 0.02);
  m.patches = Convolution::make(
      init, {.in = c.channels, .out = c.width, .size = c.patch, .stride = c.patch, .pad = 0});
  for (std::int64_t l = 0; l < c.layers; ++l) {
    m.blocks.push_back(EncoderLayer::make(init, layer_config(c)));
  }
  m.norm = LayerNorm::make(init, c.width, c.norm_eps);
  const auto head_of = [&] {
    Linear linear;
    linear.weight = init.zeros({c.width, c.classes});
    linear.bias = init.zeros({c.classes});
    return linear;
  };
  if (c.classes > 0) m.head = head_of();
  if (c.distilled) m.distilled_head = head_of();
  return m;
}

Vit::Rows Vit::encode(const Tensor& x, const Grids& pictures) const {
  for (const Grid& grid : pictures.all()) {
    if (grid.count() == 0 || grid.rows % config.patch != 0 || grid.cols % config.patch != 0) {
      fail<ShapeError>("vit: a picture of {} × {} is not made of patches of {}; cut or resize it",
                       grid.rows, grid.cols, config.patch);
    }
  }
  const std::int64_t tokens = config.tokens(), width = config.width;
  const Grids grids = patches.over(pictures);
  // The rows of the patches, then those of the tokens, and the order that they are wanted in.
  std::vector<Tensor> parts{patches(x, pictures)};
  for (const Tensor& token : {class_token, distillation_token}) {
    if (token.defined()) parts.push_back(reshape(token, {1, width}));
  }
  const Tensor table = reshape(positions, {positions.dim(1), width});
  PositionTables tables;
  std::vector<std::int64_t> rows, places, lengths;
  for (std::int64_t b = 0; b < grids.count(); ++b) {
    const std::int64_t own = tokens + tables.find(grids[b], table, config);
    for (std::int64_t t = 0; t < tokens; ++t) {
      rows.push_back(grids.total() + t);
      places.push_back(t);
    }
    for (std::int64_t p = 0; p < grids[b].count(); ++p) {
      rows.push_back(grids.begin(b) + p);
      places.push_back(own + p);
    }
    lengths.push_back(tokens + grids[b].count());
  }
  if (tokens > 0) tables.parts.insert(tables.parts.begin(), slice_rows(table, 0, tokens));
  const Segments all(lengths);
  if (all.total() == 0) return {Tensor::empty({0, width}, x.dtype()), all};
  ResidualStream stream(
      add(select_rows(stack_rows(parts), rows), select_rows(stack_rows(tables.parts), places)),
      NormPlacement::pre, config.dropout);
  const Mask mask = qkv::segments(all);
  const ModuleScope at("encoder");
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const ModuleScope in("layers", static_cast<std::int64_t>(i));
    blocks[i](stream, mask);
  }
  const bool later = config.pooling == VitPooling::mean_then_norm;
  return {later ? stream.finish(LayerNorm{}) : stream.finish(norm), all};
}

Tensor Vit::operator()(const Tensor& x, const Grids& pictures) const {
  const Rows rows = encode(x, pictures);
  if (config.pooling == VitPooling::token) {
    const Tensor first = select_rows(rows.x, token_rows(rows.segments, 0));
    if (!head.weight.defined()) return first;
    if (!config.distilled) return head(first);
    const Tensor second = select_rows(rows.x, token_rows(rows.segments, 1));
    const Tensor both[] = {head(first), distilled_head(second)};
    return recording() ? stack_rows(both) : scale(add(both[0], both[1]), 0.5);
  }
  std::vector<std::int64_t> lengths;
  for (std::int64_t b = 0; b < rows.segments.count(); ++b) {
    lengths.push_back(rows.segments.length(b) - config.tokens());
  }
  Tensor mean = segment_mean(select_rows(rows.x, patch_rows(rows.segments, config.tokens())),
                             Segments(lengths));
  if (config.pooling == VitPooling::mean_then_norm) mean = norm(mean);
  return head.weight.defined() ? head(mean) : mean;
}

Vit::Config vit_sizes(std::string_view name) {
  struct Size {
    std::string_view name;
    std::int64_t patch, width, layers, heads;
  };
  constexpr Size kSizes[] = {{"ti/16", 16, 192, 12, 3},  {"s/16", 16, 384, 12, 6},
                             {"b/16", 16, 768, 12, 12},  {"b/32", 32, 768, 12, 12},
                             {"l/16", 16, 1024, 24, 16}, {"h/14", 14, 1280, 32, 16}};
  const Size& s = size_named(kSizes, "vit", name);
  Vit::Config c;
  c.patch = s.patch;
  c.width = s.width;
  c.layers = s.layers;
  c.heads = s.heads;
  return c;
}

StateEntries state_entries(const Vit& m) {
  StateEntries entries;
  entries.push_back({"cls_token", {m.class_token}, StateLayout::same});
  entries.push_back({"dist_token", {m.distillation_token}, StateLayout::same});
  entries.push_back({"pos_embed", {m.positions}, StateLayout::same});
  list_state(m.patches, "patch_embed.proj.", entries);
  for (std::size_t i = 0; i < m.blocks.size(); ++i) {
    list_timm_block(m.blocks[i], "blocks." + std::to_string(i) + ".", entries);
  }
  const bool later = m.config.pooling == VitPooling::mean_then_norm;
  list_state(m.norm, later ? "fc_norm." : "norm.", entries);
  list_state(m.head, "head.", entries);
  list_state(m.distilled_head, "head_dist.", entries);
  return entries;
}

}  // namespace qkv
