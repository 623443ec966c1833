#include "qkv/systems/translator.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/decode/batch_translator.h"
#include "qkv/decode/score.h"
#include "qkv/systems/attention.h"
#include "qkv/systems/describe.h"
#include "qkv/systems/sentence_text.h"
#include "qkv/systems/translation_decoding.h"
#include "qkv/systems/translation_model.h"
#include "qkv/systems/translation_tokens.h"
#include "qkv/view/alignment.h"

namespace qkv {
namespace {

SearchOptions search_options(const TranslationModel& model, const TranslateOptions& o) {
  SearchOptions s;
  set_special_tokens(model, s);
  s.beam = o.beam;
  s.n_best = o.n_best;
  s.begin = target_begin(model, o);
  if (!o.prefix.empty()) s.prefix = model.target.encode(o.prefix);
  s.bans.no_repeat_ngram_size = o.no_repeat_ngram_size;
  s.penalty.alpha = o.length_penalty;
  s.penalty.kind =
      o.penalty_form == PenaltyForm::gnmt ? LengthPenalty::Kind::gnmt : LengthPenalty::Kind::power;
  s.coverage = o.coverage_penalty;
  s.stop = o.stop == StopRule::exact    ? Stop::exact
           : o.stop == StopRule::likely ? Stop::likely
           : o.stop == StopRule::worst  ? Stop::worst
                                        : Stop::full;
  s.at_limit = o.at_limit == LimitRule::free  ? AtLimit::free
               : o.at_limit == LimitRule::cut ? AtLimit::cut
                                              : AtLimit::ends;
  s.max_length = o.max_length;
  s.max_factor = o.max_factor;
  s.min_length = o.min_length;
  s.attention = o.attention || o.replace_unknown;
  return s;
}

BatchTranslatorOptions batch_options(const TranslationModel& model, const TranslateOptions& o) {
  BatchTranslatorOptions b{.search = search_options(model, o),
                           .batch_tokens = o.batch_tokens,
                           .batch_sentences = o.batch_sentences};
  if (o.sample) {
    b.sample = SampleOptions{.temperature = o.temperature,
                             .top_k = o.top_k,
                             .top_p = o.top_p,
                             .suppressed = b.search.suppressed,
                             .seed = o.seed};
  }
  return b;
}

std::unique_ptr<StepModel> decoder_with(const TranslationModel& model, const TranslateOptions& o) {
  return decoder_of(model, {.source_eos = model.tokens().source_end,
                            .attention_layer = o.layer,
                            .attention_head = o.head,
                            .cache = {.type = o.cache, .window = o.window}});
}

/// The pieces of a translation, unknown ones by what they look at most in the source.
std::vector<std::string> replaced(const TranslationModel& model, const TranslationCandidate& c,
                                  const Tokens& ids, const std::vector<std::string>& source) {
  std::vector<std::string> pieces = c.tokens;
  for (std::size_t t = 0; t < ids.size(); ++t) {
    if (ids[t] != model.target.unk()) continue;
    const auto row = c.attention.begin() + static_cast<std::ptrdiff_t>(t) * c.sources;
    const auto most = std::max_element(row, row + c.sources) - row;
    if (most < static_cast<std::ptrdiff_t>(source.size())) {
      pieces[t] = source[static_cast<std::size_t>(most)];
    }
  }
  return pieces;
}

/// What a search or a score found, without what every target begins with.
TranslationCandidate candidate_of(const TranslationModel& model, const TranslateOptions& o,
                                  const std::vector<std::string>& source, Hypothesis&& h) {
  const auto begun =
      static_cast<std::ptrdiff_t>(std::min(h.tokens.size(), target_begin(model, o).size()));
  h.tokens.erase(h.tokens.begin(), h.tokens.begin() + begun);
  h.token_scores.erase(h.token_scores.begin(), h.token_scores.begin() + begun);
  if (!h.attention.empty()) {
    h.attention.erase(h.attention.begin(), h.attention.begin() + begun * h.sources);
  }
  TranslationCandidate c{.text = {},
                         .score = h.score,
                         .log_probability = h.log_probability,
                         .tokens = {},
                         .token_scores = std::move(h.token_scores),
                         .attention = std::move(h.attention),
                         .sources = h.sources,
                         .source_ends = model.tokens().source_end >= 0};
  for (const std::int32_t id : h.tokens) c.tokens.push_back(model.target.piece(id));
  if (o.replace_unknown && c.sources > 0) {
    c.text = model.target.join(replaced(model, c, h.tokens, source));
    if (!o.attention) {
      c.attention.clear();
      c.sources = 0;
    }
  } else {
    c.text = model.target.decode(h.tokens);
  }
  return c;
}

Translation translation_of(const TranslationModel& model, const TranslateOptions& o,
                           const std::vector<std::string>& source, Decoded&& decoded) {
  Translation t{.text = {}, .score = 0, .best = {}, .cut = decoded.cut};
  for (Hypothesis& h : decoded.best) {
    t.best.push_back(candidate_of(model, o, source, std::move(h)));
  }
  t.text = t.best.front().text;
  t.score = t.best.front().score;
  return t;
}

/// The pieces of a source that unknown words may be replaced by; none where nobody asks.
std::vector<std::string> pieces_of(const TranslationModel& model, const TranslateOptions& o,
                                   std::string_view text, const Tokens& ids) {
  if (!o.replace_unknown) return {};
  std::vector<std::string> pieces = model.source.pieces(text);
  if (const TokenPipeline* pipeline = model.source.pipeline()) {
    const TokenEncoding encoded = pipeline->encode(text, false);
    for (std::size_t i = 0; i < encoded.ids.size(); ++i) {
      const TextSpan& span = encoded.spans[i];
      if (encoded.ids[i] != model.source.unk() || pieces[i] != pipeline->piece(encoded.ids[i])) {
        continue;  // known, or called by what stands in the text
      }
      pieces[i] = std::string(text.substr(span.begin, span.end - span.begin));
    }
  }
  if (pieces.size() < ids.size()) pieces.insert(pieces.begin(), ids.size() - pieces.size(), "");
  return pieces;
}

/// How each sentence of a text is translated.
TranslateOptions of_one_sentence(const TranslateOptions& options) {
  if (options.attention) {
    fail(
        "attention: it is that of one sentence; leave it out, or translate texts whole (sentences "
        "= no)");
  }
  TranslateOptions one = options;
  one.sentences = false;
  return one;
}

}  // namespace

std::string TranslationCandidate::alignment() const {
  const auto words = static_cast<std::int64_t>(tokens.size());
  const std::int64_t inner = std::max<std::int64_t>(0, sources - (source_ends ? 1 : 0));
  Tensor weights = Tensor::empty({words, inner});
  for (std::int64_t t = 0; t < words && inner > 0; ++t) {
    std::copy_n(attention.begin() + t * sources, inner, weights.values().begin() + t * inner);
  }
  return pharaoh(hard_alignment(weights));
}

std::vector<double> TranslationCandidate::coverage() const {
  return coverage_of(attention, sources);
}

Translator::Translator(TranslationModel model, const LoadOptions& options)
    : model_(std::make_shared<const TranslationModel>(std::move(model))), options_(options) {}

Translator Translator::load(const std::filesystem::path& model, const LoadOptions& options) {
  return Translator(load_translation_model(model), options);
}

void Translator::save(const std::filesystem::path& directory) const {
  save_translation_model(*model_, directory);
}

std::vector<Translation> Translator::translate_tokens(
    std::span<const std::vector<std::int32_t>> sources, const TranslateOptions& options,
    const ProgressSink& progress) const {
  if (options.replace_unknown) fail("replace_unknown: tokens alone do not say what they stand for");
  if (options.sentences) fail("sentences: tokens are no text that could be cut");
  return translate_all(sources, {}, options, progress);
}

std::vector<Translation> Translator::translate_all(
    std::span<const std::vector<std::int32_t>> sources,
    std::span<const std::vector<std::string>> pieces, const TranslateOptions& options,
    const ProgressSink& progress) const {
  const ThreadScope threads(options_.threads);
  const auto decoder = decoder_with(*model_, options);
  std::vector<Translation> translations;
  for (Decoded& d :
       BatchTranslator(*decoder, batch_options(*model_, options)).translate(sources, progress)) {
    const std::size_t i = translations.size();
    translations.push_back(translation_of(
        *model_, options, pieces.empty() ? std::vector<std::string>() : pieces[i], std::move(d)));
  }
  return translations;
}

std::vector<Translation> Translator::translate(std::span<const std::string> texts,
                                               const TranslateOptions& options,
                                               const ProgressSink& progress) const {
  if (options.sentences) {
    const TranslateOptions one = of_one_sentence(options);
    return translate_by_sentences(texts, [&](std::span<const std::string> sentences) {
      return translate(sentences, one, progress);
    });
  }
  std::vector<Tokens> sources;
  std::vector<std::vector<std::string>> pieces;
  sources.reserve(texts.size());
  for (const std::string& text : texts) {
    sources.push_back(encode_source(*model_, text, options));
    if (options.replace_unknown) {
      pieces.push_back(pieces_of(*model_, options, text, sources.back()));
    }
  }
  return translate_all(sources, pieces, options, progress);
}

Translation Translator::translate(std::string_view text, const TranslateOptions& options) const {
  const std::string one(text);
  return std::move(translate(std::span(&one, 1), options).front());
}

void Translator::translate(const LineSource& source, const TranslateOptions& options,
                           const std::function<void(std::int64_t, const Translation&)>& sink,
                           const ProgressSink& progress) const {
  if (options.sentences) {
    return answer_lines(
        source,
        [&](std::span<const std::string> lines) { return translate(lines, options, progress); },
        sink);
  }
  const ThreadScope threads(options_.threads);
  const auto decoder = decoder_with(*model_, options);
  SentenceSource sentences;
  std::deque<std::vector<std::string>> pieces;  // of what was read and is not answered yet
  sentences.next = [&]() -> std::optional<Tokens> {
    const std::optional<std::string> line = source.next();
    if (!line) return std::nullopt;
    Tokens ids = encode_source(*model_, *line, options);
    pieces.push_back(pieces_of(*model_, options, *line, ids));
    return ids;
  };
  sentences.ready = source.ready;
  BatchTranslator(*decoder, batch_options(*model_, options))
      .stream(
          sentences,
          [&](std::int64_t index, const Decoded& d) {
            sink(index, translation_of(*model_, options, pieces.front(), Decoded(d)));
            pieces.pop_front();
          },
          progress);
}

std::vector<TranslationCandidate> Translator::score(std::span<const std::string> sources,
                                                    std::span<const std::string> targets,
                                                    const TranslateOptions& options,
                                                    const ProgressSink& progress) const {
  const ThreadScope threads(options_.threads);
  if (!options.prefix.empty()) {
    throw UsageError("prefix: a translation that is given begins as it does; leave it out");
  }
  TranslateOptions asked = options;
  asked.replace_unknown = false;  // the targets are what they are
  std::vector<Tokens> source_ids, target_ids;
  source_ids.reserve(sources.size());
  target_ids.reserve(targets.size());
  for (const std::string& text : sources)
    source_ids.push_back(encode_source(*model_, text, options));
  for (const std::string& text : targets) target_ids.push_back(model_->target.encode(text));
  const auto decoder = decoder_with(*model_, asked);
  std::vector<TranslationCandidate> scored;
  for (Hypothesis& h : BatchTranslator(*decoder, batch_options(*model_, asked))
                           .score(source_ids, target_ids, progress)) {
    scored.push_back(candidate_of(*model_, asked, {}, std::move(h)));
  }
  return scored;
}

AttentionMaps Translator::attention(std::string_view source, std::string_view target,
                                    const LookOptions& look) const {
  const ThreadScope threads(options_.threads);
  return attention_of(*model_, source, target, look);
}

std::int64_t Translator::max_source() const {
  return model_->max_length() - (model_->tokens().source_end >= 0 ? 1 : 0);
}

const TranslateOptions& Translator::defaults() const { return model_->defaults; }

namespace {

std::string summary_of(const Transformer::Config& c) {
  return c.norm == NormPlacement::pre ? "Transformer, pre-norm" : "Transformer";
}
std::string summary_of(const RnnTranslator::Config& c) {
  return fmt::format("{}, attention {}{}", name_of(c.cell), name_of(c.context),
                     c.attends() ? fmt::format(" ({})", name_of(c.score)) : "");
}
std::string sizes_of(const Transformer::Config& c) {
  return fmt::format("width {}, {} heads, feed-forward {}, {} + {} layers", c.width, c.heads,
                     c.feed_forward, c.encoder_layers, c.decoder_layers);
}
std::string sizes_of(const RnnTranslator::Config& c) {
  return fmt::format("embedding {}, width {}, {} + {} layers{}{}", c.embedding, c.width, c.layers,
                     c.layers, c.bidirectional ? ", bidirectional encoder" : "",
                     c.input_feeding ? ", input feeding" : "");
}

}  // namespace

Info Translator::info() const {
  const TranslationModel& m = *model_;
  Info info = std::visit(
      [&](const auto& network) {
        Info i = describe("translate", m.preset, summary_of(network.config), m);
        i.facts.emplace_back("sizes", sizes_of(network.config));
        tell_options(network.config, i);
        return i;
      },
      m.network);
  if (!m.from_code.empty() || !m.to_code.empty()) {
    info.facts.emplace_back("languages", fmt::format("{} to {}", m.from_code, m.to_code));
  }
  info.facts.emplace_back("vocabulary",
                          fmt::format("{} source ({}), {} target ({}){}", grouped(m.source.size()),
                                      name_of(m.source.kind()), grouped(m.target.size()),
                                      name_of(m.target.kind()), m.joint ? ", joint" : ""));
  info.notes = m.notes;
  return info;
}

}  // namespace qkv
