#include "qkv/models/action.h"

#include <cmath>
#include <string>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/embedding.h"
#include "qkv/ops/pieces.h"
#include "qkv/ops/sequence.h"
#include "qkv/ops/shape.h"
#include "qkv/ops/softmax.h"

namespace qkv {
namespace {

constexpr double kNormEps = 1e-6;        // of the published model
constexpr double kPositionLimit = 0.05;  // Keras's uniform embeddings

LayerConfig layer_config(const ActionNetwork::Config& c) {
  LayerConfig layer;
  layer.attention = {.width = c.width, .heads = c.heads};
  layer.feed_forward = 4 * c.width;
  layer.activation = Activation::gelu;
  layer.dropout = c.dropout;
  layer.norm_eps = kNormEps;
  return layer;
}

/// Rows of the batch with one more, number T, before each clip; and where those went.
struct WithToken {
  Segments segments;
  std::vector<std::int64_t> from, tokens;
  std::vector<std::int32_t> positions;

  explicit WithToken(const Segments& s) {
    std::vector<std::int64_t> lengths;
    for (std::int64_t b = 0; b < s.count(); ++b) {
      lengths.push_back(s.length(b) + 1);
      tokens.push_back(static_cast<std::int64_t>(from.size()));
      from.push_back(s.total());
      for (std::int64_t t = s.begin(b); t < s.end(b); ++t) from.push_back(t);
      for (std::int64_t p = 0; p <= s.length(b); ++p) {
        positions.push_back(static_cast<std::int32_t>(p));
      }
    }
    segments = Segments(lengths);
  }
};

/// Clips of any length as [B frames·F], zeros where a clip has ended.
Tensor side_by_side(const ActionBatch& batch, std::int64_t frames) {
  const std::int64_t width = batch.features.dim(1), count = batch.segments.count();
  const Tensor both[] = {batch.features, Tensor::zeros({1, width}, batch.features.dtype())};
  std::vector<std::int64_t> rows;
  for (std::int64_t b = 0; b < count; ++b) {
    for (std::int64_t t = 0; t < frames; ++t) {
      rows.push_back(t < batch.segments.length(b) ? batch.segments.begin(b) + t
                                                  : batch.segments.total());
    }
  }
  return reshape(select_rows(stack_rows(both), rows), {count, frames * width});
}

void check_batch(const ActionNetwork::Config& c, const ActionBatch& batch) {
  if (batch.features.shape() != Shape{batch.segments.total(), c.features}) {
    fail<ShapeError>("action: features {} for {} frames, the model reads {} a frame",
                     to_string(batch.features.shape()), batch.segments.total(), c.features);
  }
  for (std::int64_t b = 0; b < batch.segments.count(); ++b) {
    const std::int64_t length = batch.segments.length(b);
    if (length < 1 || length > c.frames) {
      fail<ShapeError>("action: a clip of {} frames, the model reads 1 to {}", length, c.frames);
    }
  }
}

}  // namespace

void ActionNetwork::Config::check() const {
  for (const auto& [name, value] :
       {std::pair{"features", features}, std::pair{"frames", frames}, std::pair{"width", width},
        std::pair{"layers", layers}, std::pair{"heads", heads}, std::pair{"head", head},
        std::pair{"kernel", kernel}}) {
    if (value <= 0) fail("action: {} is {}, must be positive", name, value);
  }
  if (classes < 2) fail("action: classes is {}, must be at least 2", classes);
  if (architecture == ActionArchitecture::act && width % heads != 0) {
    fail("action: width {} is no multiple of {} heads", width, heads);
  }
  if (architecture == ActionArchitecture::conv && kernel % 2 == 0) {
    fail("action: kernel is {}, must be odd", kernel);
  }
  if (!(dropout >= 0.0 && dropout < 1.0)) fail("action: dropout {} is not in [0, 1)", dropout);
}

std::int64_t ActionNetwork::Config::parameters() const {
  const std::int64_t c = width, out = (width + 1) * classes;
  switch (architecture) {
    case ActionArchitecture::act:
      return (features + 1) * c + c + (frames + 1) * c + layers * (12 * c * c + 13 * c) +
             (c + 1) * head + (head + 1) * classes;
    case ActionArchitecture::mlp:
      return (frames * features + 1) * c + (layers - 1) * (c + 1) * c + out;
    case ActionArchitecture::conv:
      return (kernel * features + 1) * c + (layers - 1) * (kernel * c + 1) * c + out;
    case ActionArchitecture::lstm:
      return 4 * c * (features + c + 2) + (layers - 1) * 4 * c * (2 * c + 2) + out;
  }
  return 0;
}

ActionNetwork ActionNetwork::make(Initialiser init, const Config& c) {
  c.check();
  ActionNetwork m;
  m.config = c;
  std::int64_t last = c.width;
  switch (c.architecture) {
    case ActionArchitecture::act: {
      m.input = Linear::make(init, c.features, c.width);
      // He's deviation for a fan of 1, as Keras counts a [1, 1, C] weight.
      m.class_token = init.normal({1, c.width}, std::sqrt(2.0));
      m.positions = init.uniform({c.frames + 1, c.width}, kPositionLimit);
      for (std::int64_t l = 0; l < c.layers; ++l) {
        m.blocks.push_back(EncoderLayer::make(init, layer_config(c)));
      }
      m.head = Linear::make(init, c.width, c.head);
      last = c.head;
      break;
    }
    case ActionArchitecture::mlp:
    case ActionArchitecture::conv: {
      const bool mlp = c.architecture == ActionArchitecture::mlp;
      for (std::int64_t l = 0; l < c.layers; ++l) {
        const std::int64_t in = l == 0 ? c.features : c.width;
        m.layers.push_back(
            Linear::make(init, mlp ? (l == 0 ? c.frames * in : in) : c.kernel * in, c.width));
      }
      break;
    }
    case ActionArchitecture::lstm:
      m.recurrent = Recurrent::make(init, {.cell = Cell::lstm,
                                           .input = c.features,
                                           .width = c.width,
                                           .layers = c.layers,
                                           .dropout = c.dropout});
      break;
  }
  m.output = Linear::make(init, last, c.classes);
  return m;
}

Tensor ActionNetwork::transformed(const ActionBatch& batch) const {
  const WithToken to(batch.segments);
  const Tensor both[] = {input(batch.features), class_token};
  const Tensor x = add(select_rows(stack_rows(both), to.from), embed(to.positions, positions));
  ResidualStream stream(x, NormPlacement::post, config.dropout);
  const Mask mask = qkv::segments(to.segments, to.segments);
  const ModuleScope at("encoder");
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const ModuleScope in("layers", static_cast<std::int64_t>(i));
    blocks[i](stream, mask);
  }
  return head(select_rows(stream.finish({}), to.tokens));
}

Tensor ActionNetwork::pooled(const ActionBatch& batch) const {
  switch (config.architecture) {
    case ActionArchitecture::act:
      return transformed(batch);
    case ActionArchitecture::lstm:
      return dropout(recurrent(batch.features, batch.segments).last.back().h, config.dropout);
    case ActionArchitecture::mlp: {
      Tensor h = side_by_side(batch, config.frames);
      for (const Linear& layer : layers) h = layer(h, Activation::relu, config.dropout);
      return h;
    }
    case ActionArchitecture::conv: {
      const std::int64_t side = config.kernel / 2;
      Tensor h = batch.features;
      for (std::size_t l = 0; l < layers.size(); ++l) {
        const Tensor y =
            layers[l](windows(h, batch.segments, side, side), Activation::relu, config.dropout);
        h = l == 0 ? y : add(h, y);
      }
      return segment_mean(h, batch.segments);
    }
  }
  return {};
}

Tensor ActionNetwork::logits(const ActionBatch& batch) const {
  check_batch(config, batch);
  return output(pooled(batch));
}

ActionLoss ActionNetwork::loss(const ActionBatch& batch, const ActionLossOptions& options) const {
  const auto count = static_cast<std::int64_t>(batch.classes.size());
  if (count != batch.segments.count()) {
    fail<ShapeError>("action: {} classes for {} clips", count, batch.segments.count());
  }
  CrossEntropyResult r = cross_entropy(logits(batch), batch.classes,
                                       {.smoothing = options.smoothing, .scale = options.scale});
  return {.loss = std::move(r.loss),
          .loss_sum = r.loss_sum,
          .nll_sum = r.nll_sum,
          .clips = r.tokens,
          .correct = r.correct};
}

Tensor ActionNetwork::probabilities(const ActionBatch& batch) const {
  const NoRecording off;
  return softmax(logits(batch));
}

ActionNetwork::Config action_sizes(std::string_view name) {
  ActionNetwork::Config c;
  if (name == "micro") {
    return c;
  }
  if (name == "small") {
    c.heads = 2;
    c.layers = 5;
  } else if (name == "medium") {
    c.heads = 3;
    c.layers = 6;
  } else if (name == "large") {
    c.heads = 4;
    c.layers = 6;
    c.head = 512;
    c.dropout = 0.4;
  } else {
    fail("action model '{}' is not one of micro, small, medium, large", name);
  }
  c.width = 64 * c.heads;
  return c;
}

ActionNetwork::Config of_equal_size(const ActionNetwork::Config& act,
                                    ActionArchitecture architecture) {
  if (architecture == ActionArchitecture::act) return act;
  ActionNetwork::Config c = act;
  c.architecture = architecture;
  c.heads = c.head = 1;
  c.layers = architecture == ActionArchitecture::conv ? 5 : 2;
  const std::int64_t wanted = act.parameters();
  for (c.width = 1; c.parameters() < wanted;) ++c.width;
  const std::int64_t above = c.parameters() - wanted;
  --c.width;
  if (c.width == 0 || wanted - c.parameters() >= above) ++c.width;
  return c;
}

}  // namespace qkv
