#include "qkv/systems/generator.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/decode/sample.h"
#include "qkv/decode/search.h"
#include "qkv/systems/attention.h"
#include "qkv/systems/describe.h"
#include "qkv/systems/language_model.h"
#include "qkv/systems/score_text.h"
#include "qkv/text/stop_texts.h"
#include "qkv/text/streaming.h"

namespace qkv {
namespace {

/// Tokens that no text of the model holds.
std::vector<std::int32_t> never_drawn(const LanguageModel& model) {
  const Tokeniser& t = model.tokeniser;
  if (const TokenPipeline* pipeline = t.pipeline()) {  // its program draws all that have a name
    std::vector<std::int32_t> nameless;
    for (std::int32_t id = 0; id < model.vocabulary(); ++id) {
      if (!pipeline->has(id)) nameless.push_back(id);
    }
    std::erase_if(nameless, [&](auto id) { return std::ranges::count(model.ends, id) > 0; });
    return nameless;
  }
  std::vector<std::int32_t> ids = {t.pad(), t.unk(), t.bos()};
  if (model.format().line_end != t.eos()) ids.push_back(t.eos());
  return ids;
}

/// What ends a text.
std::vector<std::int32_t> ends_of(const LanguageModel& model, const GeneratorOptions& o) {
  std::vector<std::int32_t> ends = model.ends;
  if (o.chat != ChatForm::none) {
    const std::int32_t end = model.tokeniser.pipeline()->id(chat_end(o.chat));
    if (std::ranges::count(ends, end) == 0) ends.push_back(end);
  }
  if (model.by_line || o.line) ends.push_back(model.format().line_end);
  return ends;
}

/// The text of a generation as it grows: what is not told yet waits for its next token.
class Telling {
 public:
  Telling(const LanguageModel& model, std::span<const std::int32_t> prompt,
          const GeneratorOptions& options)
      : model_(model),
        stops_(options.stop),
        streaming_(model.tokeniser, model.tokeniser.pipeline() ? -1 : model.format().line_end) {
    // The pieces of the prompt are told already; of what follows each token adds its own. Before
    // them stands the start, but of an imported model only what its program puts there.
    for (std::size_t i = model.tokeniser.pipeline() ? 0 : 1; i < prompt.size(); ++i) {
      (void)streaming_.add(prompt[i]);
    }
  }
  std::string add(std::int32_t id) {
    text_.tokens.push_back(model_.tokeniser.piece(id));
    return told(stops_.add(streaming_.add(id)));
  }
  /// A stop text is there: nothing more is told.
  bool stopped() const { return stops_.stopped(); }
  std::string finish() {
    std::string rest = stops_.add(streaming_.finish());
    return told(rest + stops_.finish());
  }
  GeneratedText take() { return std::move(text_); }

 private:
  std::string told(std::string piece) {
    text_.text += piece;
    return piece;
  }

  const LanguageModel& model_;
  StopTexts stops_;
  StreamingText streaming_;
  GeneratedText text_;
};

std::vector<GeneratedText> searched(const LanguageModel& model, const StepModel& decoder,
                                    std::span<const std::vector<std::int32_t>> prompts,
                                    const GeneratorOptions& o) {
  SearchOptions s;
  s.beam = o.beam;
  s.penalty.alpha = o.length_penalty;
  s.max_length = o.tokens;
  s.suppressed = never_drawn(model);
  s.bans.no_repeat_ngram_size = o.no_repeat_ngram_size;
  s.bos = std::max(0, model.format().start);
  const std::vector<std::int32_t> ends = ends_of(model, o);
  s.eos = ends.empty() ? -1 : ends.front();
  if (!ends.empty()) s.more_eos.assign(ends.begin() + 1, ends.end());
  if (model.tokeniser.pipeline()) {  // as its program searches
    s.stop = Stop::worst;
    s.at_limit = AtLimit::cut;
  }
  std::vector<GeneratedText> texts(prompts.size());
  const auto batch = static_cast<std::size_t>(o.batch);
  for (std::size_t begin = 0; begin < prompts.size() && o.tokens > 0; begin += batch) {
    std::vector<Prompt> some;
    for (const auto& prompt : prompts.subspan(begin, std::min(batch, prompts.size() - begin))) {
      some.push_back({.tokens = prompt});
    }
    const auto found = search(decoder, some, s);
    for (std::size_t i = 0; i < found.size(); ++i) {
      Telling telling(model, some[i].tokens, o);
      for (const std::int32_t id : found[i].front().tokens) {
        if (!telling.stopped()) (void)telling.add(id);
      }
      (void)telling.finish();
      texts[begin + i] = telling.take();
    }
  }
  return texts;
}

/// What would be passed over is refused.
void check(const LanguageModel& model, const GeneratorOptions& o) {
  check_ranges(o);
  const GeneratorOptions plain;
  const bool draws = o.greedy || o.temperature != plain.temperature || o.top_k != plain.top_k ||
                     o.top_p != plain.top_p || o.repetition_penalty != plain.repetition_penalty ||
                     o.repetition_window != plain.repetition_window;
  if (o.beam > 0 && draws) {
    throw UsageError(
        "a beam does not draw: leave out temperature, greedy, top_k, top_p and the repetition "
        "penalty");
  }
  if (o.chat == ChatForm::none && !o.system.empty()) {
    throw UsageError("system: a prompt alone is told nothing before; name the form with chat");
  }
  const TokenPipeline* pipeline = model.tokeniser.pipeline();
  if (o.chat != ChatForm::none && (!pipeline || pipeline->id(chat_end(o.chat)) < 0)) {
    throw UsageError(fmt::format(
        "chat: {} ends answers with '{}', which this model's vocabulary has not; it was not taught "
        "this form",
        name_of(o.chat), chat_end(o.chat)));
  }
  const bool softmax = model.mpt() != nullptr && !model.mpt()->config.attn_config.linear;
  if (o.context > 0 && !softmax) {
    throw UsageError("context: this model keeps a state of constant size; leave it out");
  }
}

}  // namespace

Generator::Generator(LanguageModel model, const LoadOptions& options)
    : model_(std::make_shared<const LanguageModel>(std::move(model))), options_(options) {}

Generator Generator::load(const std::filesystem::path& directory, const LoadOptions& options) {
  return Generator(load_language_model(directory), options);
}

void Generator::save(const std::filesystem::path& directory) const {
  save_language_model(*model_, directory);
}

namespace {

/// A conversation as tokens: all that stands around it is in the form.
std::vector<std::int32_t> chat_ids(const LanguageModel& model, ChatForm form,
                                   std::span<const ChatMessage> conversation) {
  return model.tokeniser.pipeline()->ids(chat_prompt(form, conversation), false);
}

}  // namespace

std::vector<GeneratedText> Generator::generate(std::span<const std::string> prompts,
                                               const GeneratorOptions& o,
                                               const TextSink& sink) const {
  const ThreadScope threads(options_.threads);
  check(*model_, o);
  std::vector<std::vector<std::int32_t>> ids;
  ids.reserve(prompts.size());
  for (const std::string& prompt : prompts) {
    if (o.chat == ChatForm::none) {
      ids.push_back(model_->prompt(prompt));
      continue;
    }
    std::vector<ChatMessage> said;
    if (!o.system.empty()) said.push_back({ChatMessage::Role::system, o.system});
    said.push_back({ChatMessage::Role::user, prompt});
    ids.push_back(chat_ids(*model_, o.chat, said));
  }
  return written(ids, o, sink);
}

GeneratedText Generator::chat(std::span<const ChatMessage> conversation,
                              const GeneratorOptions& o) const {
  const ThreadScope threads(options_.threads);
  check(*model_, o);
  if (!o.system.empty()) throw UsageError("system: give it as the conversation's first message");
  const std::vector<std::int32_t> ids = chat_ids(*model_, o.chat, conversation);
  return std::move(written(std::span(&ids, 1), o, {}).front());
}

std::vector<GeneratedText> Generator::written(std::span<const std::vector<std::int32_t>> ids,
                                              const GeneratorOptions& o,
                                              const TextSink& sink) const {
  const LanguageModel& m = *model_;
  const std::unique_ptr<StepModel> decoder =
      m.decoder({.context = o.context, .cache = {.type = o.cache, .window = o.window}});
  if (o.beam > 0) return searched(m, *decoder, ids, o);

  GenerateOptions g;
  g.max_tokens = o.tokens;
  g.batch = o.batch;
  g.sample = {.temperature = o.greedy ? 0.0 : o.temperature,
              .top_k = o.top_k,
              .top_p = o.top_p,
              .repetition_penalty = o.repetition_penalty,
              .repetition_window = o.repetition_window,
              .suppressed = never_drawn(m),
              .bans = {.no_repeat_ngram_size = o.no_repeat_ngram_size}};
  g.sample.check();
  if (const std::vector<std::int32_t> ends = ends_of(m, o); !ends.empty()) {
    g.stop = ends.front();
    g.more_stops.assign(ends.begin() + 1, ends.end());
  }
  std::vector<Draw> draws;
  std::vector<Telling> telling;
  for (std::size_t n = 0; n < ids.size(); ++n) {
    draws.push_back({.prompt = {.tokens = ids[n]}, .seed = o.seed + n});
    telling.emplace_back(m, ids[n], o);
  }
  (void)qkv::generate(*decoder, draws, g, [&](const DrawnToken& t) {
    if (t.ends) return false;
    Telling& text = telling[static_cast<std::size_t>(t.text)];
    const std::string piece = text.add(t.token);
    const bool on = !sink || piece.empty() || sink(t.text, piece);
    return on && !text.stopped();
  });
  std::vector<GeneratedText> texts;
  for (std::size_t n = 0; n < telling.size(); ++n) {
    const std::string rest = telling[n].finish();
    if (sink && !rest.empty()) (void)sink(static_cast<std::int64_t>(n), rest);
    texts.push_back(telling[n].take());
  }
  return texts;
}

std::vector<GeneratedText> Generator::generate(std::span<const std::string> prompts,
                                               const GeneratorOptions& options) const {
  return generate(prompts, options, TextSink{});
}

GeneratedText Generator::generate(std::string_view prompt, const GeneratorOptions& options) const {
  const std::string one(prompt);
  return std::move(generate(std::span(&one, 1), options).front());
}

TextScore Generator::score(std::span<const std::string> lines, const ScoreOptions& options,
                           const TokenSink& sink, std::string* about) const {
  const ThreadScope threads(options_.threads);
  const LanguageModel& m = *model_;
  if (m.format().start < 0 || m.format().line_end < 0) {
    fail("score: this model's tokeniser has no token to begin a text or to end a line with");
  }
  const TextStream stream = make_stream(lines, m.encoder(), m.format());
  if (about != nullptr) *about = stream.summary();
  if (!sink) return score_text(m, stream, options);
  return score_tokens(m, stream, options, [&](std::int64_t at, float log_probability) {
    sink(m.tokeniser.piece(stream.ids[static_cast<std::size_t>(at)]), log_probability);
  });
}

AttentionMaps Generator::attention(std::string_view text) const {
  const ThreadScope threads(options_.threads);
  return attention_of(*model_, text);
}

const GeneratorOptions& Generator::defaults() const { return model_->defaults; }

namespace {

/// The options that are not qkv's own defaults: "temperature 0.6, top_p 0.9"; empty: none.
std::string wishes_of(const GeneratorOptions& options) {
  GeneratorOptions asked = options, plain;
  const std::vector<OptionField> fields = fields_of(asked), usual = fields_of(plain);
  std::string text;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].get() == usual[i].get()) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", fields[i].about.name, fields[i].get());
  }
  return text;
}

std::string summary_of(const Mpt::Config& c) {
  const Mpt::AttnConfig& a = c.attn_config;
  return fmt::format("MPT, {}{}{}{}", a.linear ? "linear attention" : "softmax attention",
                     a.alibi ? ", ALiBi" : "", a.rope ? ", rotary" : "",
                     c.learned_pos_emb ? ", learned positions" : "");
}
std::string summary_of(const RnnLanguage::Config& c) {
  return fmt::format("{}{}", name_of(c.cell), c.tie_output ? ", tied" : "");
}
std::string sizes_of(const Mpt::Config& c) {
  return fmt::format("width {}, {} heads, feed-forward {}, {} layers", c.d_model, c.n_heads,
                     c.expansion_ratio * c.d_model, c.n_layers);
}
std::string sizes_of(const RnnLanguage::Config& c) {
  return fmt::format("embedding {}, width {}, {} layers", c.embedding_width(), c.width, c.layers);
}

}  // namespace

Info Generator::info() const {
  const LanguageModel& m = *model_;
  Info info = std::visit(
      [&](const auto& network) {
        Info i = describe("lm", m.preset, summary_of(network.config), m);
        i.facts.emplace_back("sizes",
                             fmt::format("{}, context {}", sizes_of(network.config), m.context));
        tell_options(network.config, i);
        return i;
      },
      m.network);
  info.notes = m.notes;
  info.facts.emplace_back(
      "vocabulary", fmt::format("{} ({}), {}", grouped(m.vocabulary()), name_of(m.tokeniser.kind()),
                                m.by_line ? "every line a text" : "text end to end"));
  if (const std::string wishes = wishes_of(m.defaults); !wishes.empty()) {
    info.facts.emplace_back("generates with", wishes);
  }
  return info;
}

}  // namespace qkv
