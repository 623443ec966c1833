#include "qkv/systems/translator.h"

#include <algorithm>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/decode/batch_translator.h"
#include "qkv/decode/score.h"
#include "qkv/systems/attention.h"
#include "qkv/systems/describe.h"
#include "qkv/systems/translation_decoding.h"
#include "qkv/systems/translation_model.h"
#include "qkv/view/alignment.h"

namespace qkv {
namespace {

SearchOptions search_options(const TranslationModel& model, const TranslateOptions& o) {
  SearchOptions s;
  set_special_tokens(model, s);
  s.beam = o.beam;
  s.n_best = o.n_best;
  s.penalty.alpha = o.length_penalty;
  s.penalty.kind =
      o.penalty_form == PenaltyForm::gnmt ? LengthPenalty::Kind::gnmt : LengthPenalty::Kind::power;
  s.coverage = o.coverage_penalty;
  s.stop = o.stop == StopRule::exact    ? Stop::exact
           : o.stop == StopRule::likely ? Stop::likely
                                        : Stop::full;
  s.max_length = o.max_length;
  s.max_factor = o.max_factor;
  s.min_length = o.min_length;
  s.attention = o.attention;
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
  return decoder_of(model, {.source_eos = model.source.eos(),
                            .attention_layer = o.layer,
                            .attention_head = o.head,
                            .cache = {.type = o.cache, .window = o.window}});
}

TranslationCandidate candidate_of(const TranslationModel& model, Hypothesis&& h) {
  TranslationCandidate c{.text = model.target.decode(h.tokens),
                         .score = h.score,
                         .log_probability = h.log_probability,
                         .tokens = {},
                         .token_scores = std::move(h.token_scores),
                         .attention = std::move(h.attention),
                         .sources = h.sources};
  for (const std::int32_t id : h.tokens) c.tokens.push_back(model.target.piece(id));
  return c;
}

Translation translation_of(const TranslationModel& model, Decoded&& decoded) {
  Translation t{.text = {}, .score = 0, .best = {}, .cut = decoded.cut};
  for (Hypothesis& h : decoded.best) t.best.push_back(candidate_of(model, std::move(h)));
  t.text = t.best.front().text;
  t.score = t.best.front().score;
  return t;
}

}  // namespace

std::string TranslationCandidate::alignment() const {
  const auto words = static_cast<std::int64_t>(tokens.size());
  const std::int64_t inner = std::max<std::int64_t>(0, sources - 1);
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

Translator Translator::load(const std::filesystem::path& directory, const LoadOptions& options) {
  return Translator(load_translation_model(directory), options);
}

void Translator::save(const std::filesystem::path& directory) const {
  save_translation_model(*model_, directory);
}

std::vector<Translation> Translator::translate_tokens(
    std::span<const std::vector<std::int32_t>> sources, const TranslateOptions& options,
    const ProgressSink& progress) const {
  const ThreadScope threads(options_.threads);
  const auto decoder = decoder_with(*model_, options);
  std::vector<Translation> translations;
  for (Decoded& d :
       BatchTranslator(*decoder, batch_options(*model_, options)).translate(sources, progress)) {
    translations.push_back(translation_of(*model_, std::move(d)));
  }
  return translations;
}

std::vector<Translation> Translator::translate(std::span<const std::string> texts,
                                               const TranslateOptions& options,
                                               const ProgressSink& progress) const {
  std::vector<Tokens> sources;
  sources.reserve(texts.size());
  for (const std::string& text : texts) sources.push_back(model_->source.encode(text));
  return translate_tokens(sources, options, progress);
}

Translation Translator::translate(std::string_view text, const TranslateOptions& options) const {
  const std::string one(text);
  return std::move(translate(std::span(&one, 1), options).front());
}

void Translator::translate(const LineSource& source, const TranslateOptions& options,
                           const std::function<void(std::int64_t, const Translation&)>& sink,
                           const ProgressSink& progress) const {
  const ThreadScope threads(options_.threads);
  const auto decoder = decoder_with(*model_, options);
  SentenceSource sentences;
  sentences.next = [&]() -> std::optional<Tokens> {
    const std::optional<std::string> line = source.next();
    if (!line) return std::nullopt;
    return model_->source.encode(*line);
  };
  sentences.ready = source.ready;
  BatchTranslator(*decoder, batch_options(*model_, options))
      .stream(
          sentences,
          [&](std::int64_t index, const Decoded& d) {
            sink(index, translation_of(*model_, Decoded(d)));
          },
          progress);
}

std::vector<TranslationCandidate> Translator::score(std::span<const std::string> sources,
                                                    std::span<const std::string> targets,
                                                    const TranslateOptions& options,
                                                    const ProgressSink& progress) const {
  const ThreadScope threads(options_.threads);
  std::vector<Tokens> source_ids, target_ids;
  source_ids.reserve(sources.size());
  target_ids.reserve(targets.size());
  for (const std::string& text : sources) source_ids.push_back(model_->source.encode(text));
  for (const std::string& text : targets) target_ids.push_back(model_->target.encode(text));
  const auto decoder = decoder_with(*model_, options);
  std::vector<TranslationCandidate> scored;
  for (Hypothesis& h : BatchTranslator(*decoder, batch_options(*model_, options))
                           .score(source_ids, target_ids, progress)) {
    scored.push_back(candidate_of(*model_, std::move(h)));
  }
  return scored;
}

AttentionMaps Translator::attention(std::string_view source, std::string_view target,
                                    const LookOptions& look) const {
  const ThreadScope threads(options_.threads);
  return attention_of(*model_, source, target, look);
}

std::int64_t Translator::max_source() const { return model_->max_length() - 1; }

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
  info.facts.emplace_back("vocabulary",
                          fmt::format("{} source ({}), {} target ({}){}", grouped(m.source.size()),
                                      name_of(m.source.kind()), grouped(m.target.size()),
                                      name_of(m.target.kind()), m.joint ? ", joint" : ""));
  return info;
}

}  // namespace qkv
