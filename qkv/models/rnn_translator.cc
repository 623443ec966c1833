#include "qkv/models/rnn_translator.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/ops/elementwise.h"
#include "qkv/ops/embedding.h"
#include "qkv/ops/pieces.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

Tensor joined(const Tensor& a, const Tensor& b) {
  const Tensor parts[] = {a, b};
  return join_columns(parts);
}

/// What the context contributes to the decoder's first cell: the first rows of its input matrix.
Tensor context_weight(const RnnTranslator& m) {
  return slice_rows(m.decoder.forward[0].weights.input, 0, m.config.context_width());
}

std::vector<std::int64_t> sequence_of_rows(const Segments& segments) {
  std::vector<std::int64_t> sequence;
  sequence.reserve(at(segments.total()));
  for (std::int64_t b = 0; b < segments.count(); ++b) {
    sequence.insert(sequence.end(), at(segments.length(b)), b);
  }
  return sequence;
}

/// The segments in the order given, and where their rows were.
struct Reordered {
  Segments segments;
  std::vector<std::int64_t> rows;

  Reordered(const Segments& from, std::span<const std::int64_t> order) {
    std::vector<std::int64_t> lengths;
    rows.reserve(at(from.total()));
    for (const std::int64_t b : order) {
      lengths.push_back(from.length(b));
      for (std::int64_t t = from.begin(b); t < from.end(b); ++t) rows.push_back(t);
    }
    segments = Segments(lengths);
  }
};

std::vector<std::int32_t> taken(std::span<const std::int32_t> ids,
                                std::span<const std::int64_t> rows) {
  std::vector<std::int32_t> out;
  out.reserve(rows.size());
  for (const std::int64_t row : rows) out.push_back(ids[at(row)]);
  return out;
}

RnnMemory reordered(const RnnMemory& memory, std::span<const std::int64_t> order) {
  if (std::ranges::is_sorted(order)) return memory;
  const Reordered to(memory.segments, order);
  RnnMemory out{
      select_rows(memory.rows, to.rows), to.segments, select_rows(memory.summary, order), {}};
  for (const RecurrentState& s : memory.states) {
    out.states.push_back(
        {select_rows(s.h, order), s.c.defined() ? select_rows(s.c, order) : Tensor()});
  }
  return out;
}

/// All steps of a batch whose memory is sorted as the plan is -> hidden states in its order.
Tensor run_steps(const RnnTranslator& m, std::span<const std::int32_t> ids,
                 const RecurrentPlan& plan, const RnnMemory& memory) {
  const Tensor products = m.target_products(taken(ids, plan.row));
  RnnLoop loop(m, memory, plan.rows());
  std::vector<std::int64_t> source(at(plan.sequences()));
  std::iota(source.begin(), source.end(), std::int64_t{0});
  std::vector<Tensor> hidden;
  for (std::int64_t t = 0; t < plan.steps(); ++t) {
    hidden.push_back(loop(slice_rows(products, plan.begin(t), plan.begin(t + 1)),
                          std::span(source).first(at(plan.alive(t)))));
  }
  if (hidden.empty()) return Tensor::zeros({0, m.config.width}, products.dtype());
  return stack_rows(hidden);
}

/// The decoder without feedback, all rows at once.
Tensor run_whole(const RnnTranslator& m, std::span<const std::int32_t> ids,
                 const Segments& segments, const RnnMemory& memory) {
  Tensor products = m.target_products(ids);
  if (!m.config.attends()) {
    products = add(products, select_rows(linear(memory.summary, context_weight(m)),
                                         sequence_of_rows(segments)));
  }
  const Tensor h = m.decoder.from_products(products, segments, memory.states).out;
  if (!m.config.attends()) return h;
  RnnAttention look(m, memory, segments.total());
  return m.combine(joined(look(h, segments), h), Activation::tanh);
}

void check_batch(const RnnTranslator::Config& c, const Segments& source, const Segments& target) {
  if (source.count() != target.count()) {
    fail<ShapeError>("rnn translator: {} target sequences but {} source sequences", target.count(),
                     source.count());
  }
  const std::int64_t longest = std::max(source.longest(), target.longest());
  if (longest > c.max_length) {
    fail<ShapeError>("rnn translator: a sequence of {} tokens, max_length is {}", longest,
                     c.max_length);
  }
}

}  // namespace

std::int64_t RnnTranslator::Config::context_width() const {
  if (context != RnnContext::after) return memory_width();
  return input_feeding ? width : 0;
}

void RnnTranslator::Config::check() const {
  const auto positive = [](const char* name, std::int64_t value) {
    if (value <= 0) fail("rnn translator: {} is {}, must be positive", name, value);
  };
  positive("source_vocabulary", source_vocabulary);
  positive("target_vocabulary", target_vocabulary);
  positive("embedding", embedding);
  positive("width", width);
  positive("layers", layers);
  positive("max_length", max_length);
  if (attention_width < 0) fail("rnn translator: attention_width is {}", attention_width);
  if (input_feeding && context != RnnContext::after) {
    fail("rnn translator: input_feeding needs attention after the cell (context: after)");
  }
  if (attends() && score == RnnScore::dot && bidirectional) {
    fail(
        "rnn translator: the dot score needs a memory as wide as the decoder; take general for a "
        "bidirectional encoder");
  }
  if (local != RnnLocal::none) {
    if (!attends()) fail("rnn translator: local needs attention (context: before or after)");
    positive("local_width", local_width);
  }
  for (double p : {dropout, embedding_dropout, attention_dropout}) {
    if (!(p >= 0.0 && p < 1.0)) fail("rnn translator: dropout {} is not in [0, 1)", p);
  }
}

RnnTranslator RnnTranslator::make(Initialiser init, const Config& c) {
  c.check();
  RnnTranslator m;
  m.config = c;
  const std::int64_t memory = c.memory_width();
  m.source_embedding = init.normal({c.source_vocabulary, c.embedding}, 1.0);
  m.target_embedding = init.normal({c.target_vocabulary, c.embedding}, 1.0);
  m.encoder = Recurrent::make(init, {.cell = c.cell,
                                     .input = c.embedding,
                                     .width = c.width,
                                     .layers = c.layers,
                                     .bidirectional = c.bidirectional,
                                     .dropout = c.dropout});
  m.decoder = Recurrent::make(init, {.cell = c.cell,
                                     .input = c.context_width() + c.embedding,
                                     .width = c.width,
                                     .layers = c.layers,
                                     .dropout = c.dropout});
  for (std::int64_t l = 0; c.bidirectional && l < c.layers; ++l) {
    m.bridge_h.push_back(Linear::make(init, memory, c.width));
    if (c.cell == Cell::lstm) m.bridge_c.push_back(Linear::make(init, memory, c.width));
  }
  if (c.attends() && c.score == RnnScore::additive) {
    const std::int64_t wide = c.attention_width == 0 ? c.width : c.attention_width;
    m.query = Linear::make(init, c.width, wide, false);
    m.key = Linear::make(init, memory, wide, false);
    m.score = init.xavier({wide}, 1.0, wide + 1);
  } else if (c.attends() && c.score == RnnScore::general) {
    m.key = Linear::make(init, memory, c.width, false);
  }
  if (c.local == RnnLocal::predictive) {
    m.local_hidden = Linear::make(init, c.width, c.width, false);
    m.local_place = Linear::make(init, c.width, 1, false);
  }
  if (c.context == RnnContext::after) {
    m.combine = Linear::make(init, memory + c.width, c.width, false);
  }
  m.output = Linear::make(init, c.width, c.target_vocabulary);
  return m;
}

RnnMemory RnnTranslator::encode(std::span<const std::int32_t> ids, const Segments& segments) const {
  const Tensor x = embed(ids, source_embedding, {.dropout = config.embedding_dropout});
  Recurrent::Result y = encoder(x, segments);
  RnnMemory memory{y.out, segments, y.last.back().h, {}};
  if (!config.bidirectional) {
    memory.states = std::move(y.last);
    return memory;
  }
  for (std::size_t l = 0; l < bridge_h.size(); ++l) {
    const RecurrentState &there = y.last[2 * l], &back = y.last[2 * l + 1];
    RecurrentState state{bridge_h[l](joined(there.h, back.h), Activation::tanh), {}};
    if (!bridge_c.empty()) state.c = bridge_c[l](joined(there.c, back.c));
    memory.states.push_back(std::move(state));
  }
  memory.summary = joined(y.last[y.last.size() - 2].h, y.last.back().h);
  return memory;
}

Tensor RnnTranslator::target_products(std::span<const std::int32_t> ids) const {
  const RecurrentWeights& first = decoder.forward[0].weights;
  const std::int64_t context = config.context_width();
  const Tensor x = embed(ids, target_embedding, {.dropout = config.embedding_dropout});
  return linear(x, slice_rows(first.input, context, context + config.embedding), first.input_bias);
}

Tensor RnnTranslator::decode(std::span<const std::int32_t> ids, const Segments& segments,
                             const RnnMemory& memory) const {
  check_batch(config, memory.segments, segments);
  if (!config.feedback()) return run_whole(*this, ids, segments, memory);
  const RecurrentPlan plan = recurrent_plan(segments.offsets(), false);
  const Tensor hidden = run_steps(*this, ids, plan, reordered(memory, plan.sequence));
  std::vector<std::int64_t> back(plan.row.size());
  for (std::size_t s = 0; s < back.size(); ++s)
    back[at(plan.row[s])] = static_cast<std::int64_t>(s);
  return select_rows(hidden, back);
}

CrossEntropyResult RnnTranslator::loss(const TranslationBatch& batch,
                                       const CrossEntropyOptions& options) const {
  check_batch(config, batch.source_segments, batch.target_segments);
  if (!config.feedback()) {
    const RnnMemory memory = encode(batch.source, batch.source_segments);
    return cross_entropy(run_whole(*this, batch.target_in, batch.target_segments, memory),
                         output.weight, VocabularyMatrix::projection, output.bias, batch.target_out,
                         options);
  }
  // Token numbers are put in the order of the steps, so that no row of numbers has to move.
  const RecurrentPlan plan = recurrent_plan(batch.target_segments.offsets(), false);
  const Reordered source(batch.source_segments, plan.sequence);
  const RnnMemory memory = encode(taken(batch.source, source.rows), source.segments);
  return cross_entropy(run_steps(*this, batch.target_in, plan, memory), output.weight,
                       VocabularyMatrix::projection, output.bias, taken(batch.target_out, plan.row),
                       options);
}

RnnLoop::RnnLoop(const RnnTranslator& model, const RnnMemory& memory, std::int64_t rows)
    : model_(model), memory_(memory), cells_(model.decoder, memory.states, rows) {
  const RnnTranslator::Config& c = model.config;
  if (c.context == RnnContext::fixed) {
    fixed_ = linear(memory.summary, context_weight(model));
    return;
  }
  look_.emplace_back(model, memory, rows);
  if (c.feedback()) context_.emplace_back(context_weight(model), Tensor(), rows);
  if (c.context == RnnContext::after) {
    combine_.emplace_back(model.combine.weight, Tensor(), rows);
  }
}

Tensor RnnLoop::operator()(const Tensor& products, std::span<const std::int64_t> source) {
  const std::int64_t n = products.dim(0);
  Tensor x = products;
  switch (model_.config.context) {
    case RnnContext::fixed:
      return cells_(add(x, select_rows(fixed_, source)));
    case RnnContext::before: {
      const Tensor state = slice_rows(cells_.states().back().h, 0, n);
      return cells_(add(x, context_[0](attention(state, source))));
    }
    case RnnContext::after:
      break;
  }
  if (fed_.defined() && !context_.empty()) x = add(x, context_[0](slice_rows(fed_, 0, n)));
  const Tensor h = cells_(x);
  fed_ = activate(combine_[0](joined(attention(h, source), h)), Activation::tanh);
  return fed_;
}

Tensor RnnLoop::attention(const Tensor& state, std::span<const std::int64_t> source) {
  std::vector<std::int64_t> lengths(at(memory_.segments.count()), 0);
  for (const std::int64_t s : source) ++lengths[at(s)];
  RnnAttention& look = look_.front();
  const std::int64_t step = step_++;
  if (std::ranges::is_sorted(source)) {
    const Tensor context = look(state, Segments(lengths), step);
    weights_ = look.weights();
    return context;
  }
  // The rows of a sentence must stand together, in the order of the sentences.
  std::vector<std::int64_t> order(source.size()), back(source.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::ranges::stable_sort(order, {}, [&](std::int64_t r) { return source[at(r)]; });
  for (std::size_t i = 0; i < order.size(); ++i) back[at(order[i])] = static_cast<std::int64_t>(i);
  const Tensor context = look(select_rows(state, order), Segments(lengths), step);
  if (look.weights().defined()) weights_ = select_rows(look.weights(), back);
  return select_rows(context, back);
}

void RnnLoop::reorder(std::span<const std::int64_t> parents) {
  RecurrentStates states;
  for (const RecurrentState& s : cells_.states()) {
    states.push_back(
        {select_rows(s.h, parents), s.c.defined() ? select_rows(s.c, parents) : Tensor()});
  }
  cells_.set_states(std::move(states));
  if (fed_.defined()) fed_ = select_rows(fed_, parents);
}

RnnTranslator::Config rnn_translator_sizes(std::string_view preset) {
  RnnTranslator::Config c;
  if (preset == "tiny") {
    c.embedding = 128;
    c.width = 256;
    c.layers = 1;
    c.bidirectional = true;
    c.dropout = c.embedding_dropout = 0.3;
  } else if (preset == "small") {
    c.embedding = 256;
    c.width = 512;
    c.bidirectional = true;
    c.dropout = c.embedding_dropout = 0.2;
  } else if (preset == "base") {
    // The sizes of Bahdanau et al. 2015, without maxout.
    c.embedding = 620;
    c.width = c.attention_width = 1000;
    c.layers = 1;
    c.cell = Cell::gru_reset_before;
    c.bidirectional = true;
    c.embedding_dropout = 0.1;
  } else if (preset == "page") {
    c.max_length = 10;  // else the text book's (Dive into Deep Learning): width 32, two layers
  } else {
    fail<UsageError>("--preset '{}' is not one of tiny, small, base, page", preset);
  }
  return c;
}

std::int64_t kept_per_token(const RnnTranslator::Config& c) {
  // A layer in one direction: products and gates (G each), inner, hidden and out (3); in the
  // decoder also what the steps hand on (3). Its loop keeps queries, contexts and their products
  // (G + 4). The backward pass holds one layer's products and states.
  const std::int64_t gates = gates_of(c.cell), directions = c.bidirectional ? 2 : 1;
  const std::int64_t encoder = c.layers * directions * (2 * gates + 4) * c.width;
  const std::int64_t decoder = c.layers * (2 * gates + 6) * c.width;
  return encoder + decoder + (2 * gates + 8) * c.width + 4 * c.embedding;
}

}  // namespace qkv
