#include "qkv/models/labeller.h"

#include <algorithm>
#include <cmath>
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

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// The batch with one more row before each sequence.
struct WithToken {
  Segments segments;
  std::vector<std::int64_t> from;   // row of the batch, T for the token
  std::vector<std::int64_t> words;  // where the batch's rows went
  std::vector<std::int64_t> tokens;

  explicit WithToken(const Segments& s) {
    std::vector<std::int64_t> lengths;
    for (std::int64_t b = 0; b < s.count(); ++b) {
      lengths.push_back(s.length(b) + 1);
      tokens.push_back(static_cast<std::int64_t>(from.size()));
      from.push_back(s.total());
      for (std::int64_t t = s.begin(b); t < s.end(b); ++t) {
        words.push_back(static_cast<std::int64_t>(from.size()));
        from.push_back(t);
      }
    }
    segments = Segments(lengths);
  }
};

/// Words that training reads as unknown, by draws of the tape's noise.
std::vector<std::int32_t> with_unknown(std::vector<std::int32_t> words, double probability,
                                       std::int64_t unknown) {
  const Dropout drop = draw_dropout(probability);
  for (std::size_t t = 0; drop.active() && t < words.size(); ++t) {
    if (dropout_factor(drop, t) == 0.0F) words[t] = static_cast<std::int32_t>(unknown);
  }
  return words;
}

Attention pooling_attention(const Segments& segments) {
  const std::vector<std::int64_t> ones(at(segments.count()), 1);
  Attention how;
  how.score = ScaledDot{.scale = 1.0};
  how.mask = qkv::segments(Segments(ones), segments);
  return how;
}

void check_batch(const Labeller::Config& c, const LabelBatch& batch) {
  const std::int64_t rows = batch.segments.total();
  const auto same = [&](const char* name, std::int64_t count) {
    if (count != rows) fail<ShapeError>("labeller: {} words but {} {}", rows, count, name);
  };
  if (c.encoder == LabelEncoder::bert) {
    same("first pieces", static_cast<std::int64_t>(batch.first_piece.size()));
    if (batch.piece_segments.count() != batch.segments.count()) {
      fail<ShapeError>("labeller: {} sequences of words but {} of pieces", batch.segments.count(),
                       batch.piece_segments.count());
    }
    return;
  }
  same("word ids", static_cast<std::int64_t>(batch.words.size()));
  if (c.shapes > 0) same("shapes", static_cast<std::int64_t>(batch.shapes.size()));
  if (c.characters > 0) {
    same("pieces of characters", batch.word_characters.count());
    if (batch.word_characters.total() != static_cast<std::int64_t>(batch.characters.size())) {
      fail<ShapeError>("labeller: {} characters but words of {}", batch.characters.size(),
                       batch.word_characters.total());
    }
  }
  const bool limited = c.transforms() && c.positions != PositionKind::none;
  const std::int64_t longest = batch.segments.longest() + (c.pools(Pooling::token) ? 1 : 0);
  if (limited && longest > c.max_length) {
    fail<ShapeError>("labeller: a sequence of {} tokens, max_length is {}", longest, c.max_length);
  }
}

}  // namespace

std::int64_t Labeller::Config::input_width() const {
  return embedding + (characters > 0 ? character_filters : 0) + (shapes > 0 ? shape_embedding : 0);
}

void Labeller::Config::check() const {
  const auto positive = [](const char* name, std::int64_t value) {
    if (value <= 0) fail("labeller: {} is {}, must be positive", name, value);
  };
  const auto divides = [this](const char* name, std::int64_t parts) {
    if (width % parts != 0) fail("labeller: width {} is no multiple of {} {}", width, name, parts);
  };
  for (const auto& [name, value] :
       {std::pair{"characters", characters}, std::pair{"shapes", shapes}, std::pair{"tags", tags},
        std::pair{"classes", classes}}) {
    if (value < 0) fail("labeller: {} is {}", name, value);
  }
  if (tags == 0 && classes == 0) fail("labeller: neither tags nor classes");
  if (answer != ClassAnswer::label && (tags > 0 || classes == 0)) {
    fail("labeller: the answer '{}' is for texts without tags", name_of(answer));
  }
  if (answer == ClassAnswer::number && classes != 1) {
    fail("labeller: one number is one class, not {}", classes);
  }
  const bool by_pieces = encoder == LabelEncoder::bert;
  if (by_pieces && (words > 0 || characters > 0 || shapes > 0)) {
    fail("labeller: a BERT reads pieces, not words, characters or shapes");
  }
  if (!by_pieces) positive("words", words);
  positive("embedding", embedding);
  positive("width", width);
  positive("layers", layers);
  positive("max_length", max_length);
  positive("heads", heads);
  positive("pooling_heads", pooling_heads);
  if (characters > 0) {
    positive("character_embedding", character_embedding);
    positive("character_filters", character_filters);
    positive("character_kernel", character_kernel);
  }
  if (shapes > 0) positive("shape_embedding", shape_embedding);
  if (encoder == LabelEncoder::cnn && (kernel <= 0 || kernel % 2 == 0)) {
    fail("labeller: kernel is {}, must be odd", kernel);
  }
  if (encoder == LabelEncoder::rnn && bidirectional) divides("directions", 2);
  if (transforms()) {
    divides("heads", heads);
    positive("feed_forward", feed_forward);
  }
  if (pools(Pooling::attention)) divides("pooling_heads", pooling_heads);
  if (pools(Pooling::token) && encoder == LabelEncoder::fc) {
    fail(
        "labeller: the token of the fc encoder sees nothing of its sequence; pool by mean, max or "
        "attention");
  }
  if ((class_to_tags || tags_to_class || prior != PriorMask::none) && (tags == 0 || classes == 0)) {
    fail("labeller: class_to_tags, tags_to_class and prior need both tags and classes");
  }
  for (const double p : {dropout, embedding_dropout, attention_dropout, word_dropout}) {
    if (!(p >= 0.0 && p < 1.0)) fail("labeller: dropout {} is not in [0, 1)", p);
  }
  if (!by_pieces && (unknown < 0 || unknown >= words)) {
    fail("labeller: unknown is {}, there are {} words", unknown, words);
  }
}

Labeller Labeller::make(Initialiser init, const Config& c) {
  c.check();
  Labeller m;
  m.config = c;
  const auto table = [&](std::int64_t rows, std::int64_t width) {
    return init.normal({rows, width}, 1.0 / std::sqrt(static_cast<double>(width)));
  };
  const std::int64_t in = c.input_width();
  if (c.encoder == LabelEncoder::bert) {
    if (c.width != c.bert.hidden_size) {
      fail("labeller: width {} over a BERT of hidden_size {}", c.width, c.bert.hidden_size);
    }
    m.bert = BertEncoder::make(init, c.bert, c.pools(Pooling::token));
    m.make_heads(init);
    return m;
  }
  m.word_embedding = table(c.words, c.embedding);
  if (c.characters > 0) {
    m.character_embedding = table(c.characters, c.character_embedding);
    m.character_filters =
        Linear::make(init, c.character_kernel * c.character_embedding, c.character_filters);
  }
  if (c.shapes > 0) m.shape_embedding = table(c.shapes, c.shape_embedding);
  if (c.pools(Pooling::token)) m.class_token = table(1, in);

  if (c.encoder == LabelEncoder::rnn) {
    m.recurrent = Recurrent::make(init, {.cell = c.cell,
                                         .input = in,
                                         .width = c.bidirectional ? c.width / 2 : c.width,
                                         .layers = c.layers,
                                         .bidirectional = c.bidirectional,
                                         .dropout = c.dropout});
  } else if (c.transforms()) {
    if (in != c.width) m.input = Linear::make(init, in, c.width);
    if (c.positions == PositionKind::learned) m.positions = table(c.max_length, c.width);
    if (c.positions == PositionKind::sinusoidal) {
      init.require_table(c.max_length, c.width);
      m.sinusoids_ = sinusoid(c.max_length, c.width, Sinusoid::interleaved, 0, init.type());
    }
    LayerConfig layer;
    layer.attention = {.width = c.width, .heads = c.heads};
    if (c.encoder == LabelEncoder::linear) {
      layer.attention.score = FeatureProduct{};  // has no weights that dropout could act on
    } else {
      layer.attention.dropout = c.attention_dropout;
    }
    layer.feed_forward = c.feed_forward;
    layer.activation = c.activation;
    layer.dropout = c.dropout;
    for (std::int64_t l = 0; l < c.layers; ++l) m.blocks.push_back(EncoderLayer::make(init, layer));
    if (c.norm == NormPlacement::pre) m.norm = LayerNorm::make(init, c.width, layer.norm_eps);
  } else {
    const std::int64_t kernel = c.encoder == LabelEncoder::cnn ? c.kernel : 1;
    for (std::int64_t l = 0; l < c.layers; ++l) {
      m.layers.push_back(Linear::make(init, kernel * (l == 0 ? in : c.width), c.width));
    }
  }

  m.make_heads(init);
  return m;
}

void Labeller::make_heads(Initialiser& init) {
  const Config& c = config;
  if (c.tags > 0) {
    tag_output = Linear::make(init, c.width, c.tags);
    if (c.crf) {
      crf = {init.zeros({c.tags, c.tags}), init.zeros({c.tags}), init.zeros({c.tags})};
    }
  }
  if (c.pools(Pooling::attention)) {
    pooling = Linear::make(init, c.width, c.width);
    pooling_query = init.xavier({c.pooling_heads, c.width / c.pooling_heads});
  }
  if (c.classes > 0) class_output = Linear::make(init, c.width, c.classes);
  if (c.class_to_tags) class_to_tags = init.zeros({c.classes, c.tags});
  if (c.tags_to_class) tags_to_class = init.zeros({c.tags, c.classes});
}

void Labeller::set_prior(const Tensor& table) {
  if (config.prior == PriorMask::none) fail("labeller: config.prior asks for no table");
  const Shape wanted{config.classes, config.tags};
  if (table.shape() != wanted) {
    fail<ShapeError>("labeller: a prior of {}, classes and tags ask for {}",
                     to_string(table.shape()), to_string(wanted));
  }
  const Tensor as_double = table.to(DType::f64);
  for (const double p : as_double.values<double>()) {
    if (!(p >= 0.0 && p <= 1.0)) fail("labeller: a prior of {} is not in [0, 1]", p);
  }
  prior = table.to(tag_output.weight.dtype());
}

void Labeller::set_rules(const TagRules& allowed) {
  const auto check = [&](const char* name, std::size_t count, std::int64_t wanted) {
    if (count != 0 && static_cast<std::int64_t>(count) != wanted) {
      fail<ShapeError>("labeller: {} rules for {}, {} tags ask for {}", count, name, config.tags,
                       wanted);
    }
  };
  check("transitions", allowed.transition.size(), config.tags * config.tags);
  check("start", allowed.start.size(), config.tags);
  check("end", allowed.end.size(), config.tags);
  rules = allowed;
}

Tensor Labeller::features(const LabelBatch& batch) const {
  const Config& c = config;
  std::vector<Tensor> parts{
      embed(with_unknown(batch.words, c.word_dropout, c.unknown), word_embedding)};
  if (c.characters > 0) {
    const std::int64_t before = (c.character_kernel - 1) / 2;
    const Tensor near = windows(embed(batch.characters, character_embedding), batch.word_characters,
                                before, c.character_kernel - 1 - before);
    parts.push_back(segment_max(character_filters(near, Activation::relu), batch.word_characters));
  }
  if (c.shapes > 0) parts.push_back(embed(batch.shapes, shape_embedding));
  return dropout(join_columns(parts), c.embedding_dropout);
}

Tensor Labeller::transformed(const Tensor& x, const Segments& segments) const {
  // Tables begin with rows of length 1; positions stand beside columns of size 1.
  Tensor h = scale(x, std::sqrt(static_cast<double>(x.dim(1))));
  if (input.weight.defined()) h = input(h);
  if (config.positions != PositionKind::none) {
    h = add(h, embed(positions_of(segments, config.max_length),
                     positions.defined() ? positions : sinusoids_));
  }
  ResidualStream stream(h, config.norm, config.dropout);
  const Mask mask = qkv::segments(segments, segments);
  const ModuleScope at("encoder");
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const ModuleScope in("layers", static_cast<std::int64_t>(i));
    blocks[i](stream, mask);
  }
  return stream.finish(norm);
}

Tensor Labeller::encoded(const Tensor& x, const Segments& segments) const {
  if (config.encoder == LabelEncoder::rnn) return recurrent(x, segments).out;
  if (config.transforms()) return transformed(x, segments);
  const std::int64_t side = config.encoder == LabelEncoder::cnn ? config.kernel / 2 : 0;
  Tensor h = x;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const Tensor in = l == 0 ? h : dropout(h, config.dropout);
    const Tensor y = layers[l](windows(in, segments, side, side), Activation::relu);
    h = l == 0 ? y : add(h, y);
  }
  return h;
}

Tensor Labeller::pooling_keys(const Tensor& h) const {
  return reshape(pooling(h, Activation::tanh),
                 {h.dim(0), config.pooling_heads, h.dim(1) / config.pooling_heads});
}

Tensor Labeller::pool(const Tensor& h, const Segments& segments) const {
  if (config.pooling == Pooling::mean) return segment_mean(h, segments);
  if (config.pooling == Pooling::max) return segment_max(h, segments);
  const std::int64_t heads = config.pooling_heads, width = h.dim(1), dim = width / heads;
  const std::vector<std::int64_t> same(at(segments.count()), 0);
  const Tensor q = reshape(select_rows(reshape(pooling_query, {1, width}), same),
                           {segments.count(), heads, dim});
  const Tensor k = pooling_keys(h);
  const Attention how = pooling_attention(segments);
  const ModuleScope outer("encoder"), at("pooling");
  return reshape(attend(q, k, reshape(h, {h.dim(0), heads, dim}), how), {segments.count(), width});
}

Labeller::States Labeller::bert_states(const LabelBatch& batch) const {
  const Segments& rows = batch.piece_segments;
  const Tensor h = bert({batch.pieces, batch.piece_types, rows});
  std::vector<std::int64_t> first;
  for (std::int64_t b = 0; b < rows.count(); ++b) {
    for (std::int64_t t = batch.segments.begin(b); t < batch.segments.end(b); ++t) {
      const std::int32_t place = batch.first_piece[at(t)];
      if (place < 0 || place >= rows.length(b)) {
        fail<ShapeError>("labeller: word {} begins at piece {} of {}", t, place, rows.length(b));
      }
      first.push_back(rows.begin(b) + place);
    }
  }
  States s{dropout(select_rows(h, first), config.dropout), {}};
  if (config.classes == 0) return s;
  const bool token = config.pooling == Pooling::token;
  s.pooled = dropout(token ? bert.pooled(h, rows) : pool(h, rows), config.dropout);
  return s;
}

Labeller::States Labeller::encode(const LabelBatch& batch) const {
  check_batch(config, batch);
  if (config.encoder == LabelEncoder::bert) return bert_states(batch);
  const Tensor x = features(batch);
  if (config.pools(Pooling::token)) {
    const WithToken to(batch.segments);
    const Tensor both[] = {x, class_token};
    const Tensor h =
        dropout(encoded(select_rows(stack_rows(both), to.from), to.segments), config.dropout);
    return {select_rows(h, to.words), select_rows(h, to.tokens)};
  }
  const Tensor h = dropout(encoded(x, batch.segments), config.dropout);
  return {h, config.classes > 0 ? pool(h, batch.segments) : Tensor()};
}

Labeller::Config labeller_sizes(std::string_view preset) {
  Labeller::Config c;
  if (preset == "tiny") {
    c.embedding = 32;
    c.character_embedding = 16;
    c.character_filters = 16;
    c.width = 64;
    c.feed_forward = 128;
    c.dropout = c.embedding_dropout = 0.2;
  } else if (preset == "small") {
    c.embedding = 100;
    c.character_embedding = 30;
    c.character_filters = 50;
    c.width = 256;
    c.feed_forward = 512;
    c.dropout = c.embedding_dropout = 0.5;
  } else {
    fail<UsageError>("--preset '{}' is not one of tiny, small", preset);
  }
  return c;
}

}  // namespace qkv
