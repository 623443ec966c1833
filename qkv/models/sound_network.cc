#include "qkv/models/sound_network.h"

#include <cmath>

#include "qkv/attention/bias.h"
#include "qkv/base/error.h"
#include "qkv/nn/positions.h"
#include "qkv/ops/ctc.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/embedding.h"
#include "qkv/ops/shape.h"
#include "qkv/ops/softmax.h"

namespace qkv {
namespace {

constexpr std::int64_t kKernel = 3;

LayerConfig layer_config(const SoundNetwork::Config& c, bool encoder) {
  LayerConfig layer;
  layer.attention = {.width = c.width, .heads = c.heads};
  if (encoder && c.positions == SoundPositions::alibi) layer.attention.biases = {Alibi{}};
  layer.feed_forward = c.feed_forward;
  layer.activation = Activation::gelu;
  layer.dropout = layer.activation_dropout = c.dropout;
  return layer;
}

/// Sines of the places of all rows, each sound's from first[b] on.
Tensor place_rows(const Segments& segments, std::span<const std::int32_t> first, std::int64_t width,
                  DType type) {
  std::vector<std::int32_t> at = places(segments);
  std::int32_t most = 0;
  for (std::int64_t b = 0; b < segments.count(); ++b) {
    const std::int32_t from = first.empty() ? 0 : first[static_cast<std::size_t>(b)];
    for (std::int64_t t = segments.begin(b); t < segments.end(b); ++t) {
      at[static_cast<std::size_t>(t)] += from;
      most = std::max(most, at[static_cast<std::size_t>(t)]);
    }
  }
  return embed(at, sinusoid(most + 1, width, Sinusoid::blocks, 0, type));
}

Tensor rectified(const Convolution& convolution, const Tensor& x, Grids& grids) {
  const Tensor y = activate(convolution(x, grids), Activation::gelu);
  grids = convolution.over(grids);
  return y;
}

/// h Σ-weighted by softmax of q·h + b within each sound: [B C].
Tensor pooled(const Linear& pooling, const SoundStates& s) {
  const std::int64_t width = s.rows.dim(1), count = s.segments.count();
  const std::vector<std::int64_t> ones(static_cast<std::size_t>(count), 1), same(ones.size(), 0);
  const Tensor query = select_rows(reshape(pooling.weight, {1, width}), same);
  // A bias that is the same for all keys: softmax does not see it, and its gradient is 0.
  const Tensor heads = reshape(s.rows, {s.segments.total(), 1, width});
  const ModuleScope outer("encoder"), at("pooling");
  return reshape(
      attend(reshape(query, {count, 1, width}), heads, heads,
             {.score = ScaledDot{.scale = 1.0}, .mask = segments(Segments(ones), s.segments)}),
      {count, width});
}

void check_labels(const char* what, std::size_t given, std::int64_t wanted) {
  if (static_cast<std::int64_t>(given) == wanted) return;
  fail<ShapeError>("sound: {} labels for {} {}", given, wanted, what);
}

SoundLoss loss_of(const CrossEntropyResult& r) {
  return {.loss = r.loss, .nll_sum = r.nll_sum, .tokens = r.tokens, .correct = r.correct};
}

}  // namespace

void SoundNetwork::Config::check() const {
  for (const auto& [name, value] :
       {std::pair{"bands", bands}, std::pair{"width", width}, std::pair{"heads", heads},
        std::pair{"feed_forward", feed_forward}}) {
    if (value < 1 || value > 1 << 20) fail("sound: {} is {}, must be in [1, 2^20]", name, value);
  }
  if (symbols < (task == SoundTask::text ? 1 : 2) || symbols > 1 << 20) {
    fail("sound: symbols is {}, must be at least {}", symbols, task == SoundTask::text ? 1 : 2);
  }
  check_ranges(*this);
  if (width % heads != 0) fail("sound: width {} is no multiple of {} heads", width, heads);
  if (positions == SoundPositions::sine && width < 4) {
    fail("sound: width {} is too narrow for sines, must be at least 4", width);
  }
  if (task == SoundTask::frame && stride() != 1) {
    fail("sound: strides {} and {}: labels of frames need a row for each, strides of 1",
         first_stride, second_stride);
  }
}

SoundNetwork SoundNetwork::make(Initialiser init, const Config& c) {
  c.check();
  SoundNetwork m;
  m.config = c;
  const auto convolution = [&](std::int64_t in, std::int64_t stride) {
    return Convolution::make(init, {.in = in,
                                    .out = c.width,
                                    .size = kKernel,
                                    .stride = stride,
                                    .pad = kKernel / 2,
                                    .axes = ConvolutionAxes::time});
  };
  m.first = convolution(c.bands, c.first_stride);
  m.second = convolution(c.width, c.second_stride);
  for (std::int64_t i = 0; i < c.layers; ++i) {
    m.layers.push_back(EncoderLayer::make(init, layer_config(c, true)));
  }
  m.norm = LayerNorm::make(init, c.width, 1e-5);
  if (c.task == SoundTask::clip) m.pooling = Linear::make(init, c.width, 1);
  if (c.task != SoundTask::text) {
    m.head = Linear::make(init, c.width, c.symbols);
  } else if (c.has_ctc()) {
    m.head = Linear::make(init, c.width, c.symbols + 1);
  }
  if (!c.spells()) return m;
  SpellingDecoder& d = m.decoder;
  d.embedding =
      init.normal({c.symbols + 2, c.width}, 1.0 / std::sqrt(static_cast<double>(c.width)));
  for (std::int64_t i = 0; i < c.decoder_layers; ++i) {
    d.layers.push_back(DecoderLayer::make(init, layer_config(c, false)));
  }
  d.norm = LayerNorm::make(init, c.width, 1e-5);
  d.output = Linear::make(init, c.width, c.symbols + 1);
  return m;
}

Tensor SpellingDecoder::embed(std::span<const std::int32_t> ids, std::span<const std::int32_t> at,
                              double dropout) const {
  const std::int64_t width = embedding.dim(1);
  std::int32_t most = 0;
  for (const std::int32_t place : at) most = std::max(most, place);
  return qkv::embed(ids, embedding,
                    {.scale = std::sqrt(static_cast<double>(width)), .dropout = dropout},
                    sinusoid(most + 1, width, Sinusoid::blocks, 0, embedding.dtype()), at);
}

Tensor SpellingDecoder::states(std::span<const std::int32_t> ids, const Segments& texts,
                               const SoundStates& memory, double dropout) const {
  if (texts.count() != memory.segments.count()) {
    fail<ShapeError>("sound: {} texts for {} sounds", texts.count(), memory.segments.count());
  }
  const Mask self = segments(texts) & causal(), cross = segments(texts, memory.segments);
  ResidualStream stream(embed(ids, places(texts), dropout), NormPlacement::pre, dropout);
  const ModuleScope at("decoder");
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const ModuleScope in("layers", static_cast<std::int64_t>(i));
    const DecoderLayer& layer = layers[i];
    layer(
        stream, [&](const Tensor& x) { return layer.self(x, x, self); },
        [&](const Tensor& x) { return layer.cross(x, memory.rows, cross); });
  }
  return stream.finish(norm);
}

std::int64_t SoundNetwork::rows_of(std::int64_t frames) const {
  const Grids grids = Grids::lines(Segments::one(frames));
  return second.over(first.over(grids)).total();
}

SoundStates SoundNetwork::encode(const SoundBatch& batch) const {
  if (batch.rows.shape() != Shape{batch.segments.total(), config.bands}) {
    fail<ShapeError>("sound: rows {} for {} frames, the model hears {} bands",
                     to_string(batch.rows.shape()), batch.segments.total(), config.bands);
  }
  for (std::int64_t b = 0; b < batch.segments.count(); ++b) {
    if (batch.segments.length(b) == 0) fail<ShapeError>("sound: number {} has no frame", b + 1);
  }
  if (!batch.first.empty())
    check_labels("first positions", batch.first.size(), batch.segments.count());
  Grids grids = Grids::lines(batch.segments);
  Tensor x = rectified(first, batch.rows, grids);
  x = rectified(second, x, grids);
  const Segments& rows = grids.segments();
  if (config.positions == SoundPositions::sine) {
    x = add(x, place_rows(rows, batch.first, config.width, x.dtype()));
  }
  Mask mask = segments(rows);
  if (config.window > 0) mask = mask & window(config.window);
  ResidualStream stream(dropout(x, config.dropout), NormPlacement::pre, config.dropout);
  const ModuleScope at("encoder");
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const ModuleScope in("layers", static_cast<std::int64_t>(i));
    layers[i](stream, mask);
  }
  return {stream.finish(norm), rows};
}

Tensor SoundNetwork::logits(const SoundStates& states) const {
  if (config.task == SoundTask::clip) return head(pooled(pooling, states));
  if (!head.weight.defined()) fail("sound: a decoder alone gives no logits of rows");
  return head(states.rows);
}

SoundLoss SoundNetwork::text_loss(const SoundBatch& batch, const SoundLossOptions& options) const {
  const Segments& texts = batch.texts;
  check_labels("symbols of texts", batch.labels.size(), texts.total());
  check_labels("sounds", static_cast<std::size_t>(texts.count()), batch.segments.count());
  const SoundStates states = encode(batch);
  const bool joint = config.method == SpeechMethod::joint;
  const double share = joint ? options.ctc_share : 1.0;
  SoundLoss result{.tokens = texts.total() + texts.count(), .correct = -1};
  if (config.has_ctc()) {
    std::vector<std::int32_t> labels = batch.labels;
    for (std::int32_t& label : labels) ++label;
    const CtcResult ctc =
        ctc_loss(logits(states), states.segments, labels, texts, share * options.scale);
    result.loss = ctc.loss;
    result.nll_sum = share * ctc.nll_sum;
    result.impossible = ctc.impossible;
  }
  if (!config.spells()) return result;
  const auto end = static_cast<std::int32_t>(config.symbols);
  std::vector<std::int32_t> in, out;
  std::vector<std::int64_t> lengths;
  for (std::int64_t b = 0; b < texts.count(); ++b) {
    const auto from = batch.labels.begin() + texts.begin(b),
               to = batch.labels.begin() + texts.end(b);
    in.push_back(end + 1);
    in.insert(in.end(), from, to);
    out.insert(out.end(), from, to);
    out.push_back(end);
    lengths.push_back(texts.length(b) + 1);
  }
  const double rest = joint ? 1.0 - share : 1.0;
  const Tensor hidden = decoder.states(in, Segments(lengths), states, config.dropout);
  const CrossEntropyResult r =
      cross_entropy(decoder.output(hidden), out, {.scale = rest * options.scale});
  result.loss = result.loss.defined() ? add(result.loss, r.loss) : r.loss;
  result.nll_sum += rest * r.nll_sum;
  result.correct = r.correct;
  return result;
}

SoundLoss SoundNetwork::loss(const SoundBatch& batch, const SoundLossOptions& options) const {
  if (config.task == SoundTask::text) return text_loss(batch, options);
  const bool clip = config.task == SoundTask::clip;
  check_labels(clip ? "sounds" : "frames", batch.labels.size(),
               clip ? batch.segments.count() : batch.segments.total());
  return loss_of(cross_entropy(logits(encode(batch)), batch.labels, {.scale = options.scale}));
}

SoundNetwork::Config sound_sizes(SoundTask task) {
  SoundNetwork::Config c;
  c.task = task;
  if (task == SoundTask::clip) return c;
  c.width = 96;
  c.feed_forward = 192;
  const bool frame = task == SoundTask::frame;
  c.layers = frame ? 3 : 4;
  c.first_stride = c.second_stride = frame ? 1 : 2;
  c.window = frame ? 30 : 0;
  return c;
}

}  // namespace qkv
