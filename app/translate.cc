// qkv translate: text in, text out, line by line and in order.
#include <algorithm>
#include <deque>
#include <optional>

#include "app/command.h"
#include "app/output.h"
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/data/lines.h"
#include "qkv/decode/batch_translator.h"
#include "qkv/decode/transformer_decoder.h"
#include "qkv/systems/translation_model.h"
#include "qkv/train/translation.h"
#include "qkv/view/alignment.h"

namespace qkv::app {
namespace {

struct Settings {
  std::string model, input = "-", force, penalty = "power", stop = "full";
  BatchTranslatorOptions options;
  bool scores = false, alignment = false, soft_alignment = false, coverage = false;
  std::int64_t layer = -2, head = -1;
};

/// Links of the words: neither side's <eos>, the last row and column of the attention, has one.
std::string pharaoh_of(const Hypothesis& h) {
  const auto words = static_cast<std::int64_t>(h.tokens.size());
  const std::int64_t sources = std::max<std::int64_t>(0, h.sources - 1);
  Tensor weights = Tensor::empty({words, sources});
  for (std::int64_t t = 0; t < words && sources > 0; ++t) {
    std::copy_n(h.attention.begin() + t * h.sources, sources, weights.data() + t * sources);
  }
  return pharaoh(hard_alignment(weights));
}

class Writer {
 public:
  Writer(const Settings& settings, const TranslationModel& model, bool json)
      : settings_(settings), model_(model), json_(json) {}

  void write(std::int64_t index, const Decoded& t) const {
    const bool many = settings_.options.search.n_best > 1;
    for (const Hypothesis& h : t.best) {
      const std::string text = model_.target.decode(h.tokens);
      if (json_) {
        write_output(json_of(index, h, text).dump() + "\n");
        continue;
      }
      std::string line = many ? fmt::format("{} ||| {}", index, text) : text;
      if (settings_.alignment) line += " ||| " + pharaoh_of(h);
      if (settings_.coverage) {
        const std::vector<double> received = coverage_of(h.attention, h.sources);
        line += fmt::format(" ||| {:.4f}", fmt::join(received, " "));
      }
      if (settings_.scores || many) line += fmt::format(" ||| {:.6f}", h.score);
      write_output(line + "\n");
    }
    flush_output();
  }

 private:
  nlohmann::json json_of(std::int64_t index, const Hypothesis& h, const std::string& text) const {
    nlohmann::json j = {{"line", index + 1},
                        {"text", text},
                        {"score", h.score},
                        {"log_probability", h.log_probability},
                        {"token_scores", h.token_scores}};
    auto& pieces = j["tokens"] = nlohmann::json::array();
    for (std::int32_t id : h.tokens) pieces.push_back(model_.target.piece(id));
    if (settings_.alignment) j["alignment"] = pharaoh_of(h);
    if (settings_.coverage) j["coverage"] = coverage_of(h.attention, h.sources);
    if (settings_.soft_alignment) {
      auto& rows = j["attention"] = nlohmann::json::array();
      for (std::size_t t = 0; t <= h.tokens.size() && h.sources > 0; ++t) {
        const auto row = h.attention.begin() + static_cast<std::ptrdiff_t>(t) * h.sources;
        rows.push_back(std::vector<float>(row, row + h.sources));
      }
    }
    return j;
  }

  const Settings& settings_;
  const TranslationModel& model_;
  bool json_;
};

void translate(const Settings& settings, Program& program) {
  apply_threads(program);
  const TranslationModel model = load_translation_model(settings.model);
  BatchTranslatorOptions options = settings.options;
  set_special_tokens(model, options.search);
  options.search.penalty.kind =
      settings.penalty == "gnmt" ? LengthPenalty::Kind::gnmt : LengthPenalty::Kind::power;
  options.search.stop = settings.stop == "exact"    ? Stop::exact
                        : settings.stop == "likely" ? Stop::likely
                                                    : Stop::full;
  options.search.attention = settings.alignment || settings.soft_alignment || settings.coverage;
  const auto decoder = decoder_of(model, {.source_eos = model.source.eos(),
                                          .attention_layer = settings.layer,
                                          .attention_head = settings.head});
  const BatchTranslator translator(*decoder, options);
  const Writer writer(settings, model, program.json);
  LineReader reader(settings.input);

  if (!settings.force.empty()) {
    LineReader targets(settings.force);
    std::vector<Tokens> source_ids, target_ids;
    std::string source, target;
    while (reader.next(source)) {
      if (!targets.next(target)) break;
      source_ids.push_back(model.source.encode(source));
      target_ids.push_back(model.target.encode(target));
    }
    if (reader.next(source) || targets.next(target)) {
      fail("{} and {} have different numbers of lines", reader.name(), targets.name());
    }
    const auto scored = translator.score(source_ids, target_ids, program.console.progress());
    for (std::size_t i = 0; i < scored.size(); ++i) {
      writer.write(static_cast<std::int64_t>(i), {.best = {scored[i]}});
    }
    return;
  }

  SentenceSource source;
  source.next = [&]() -> std::optional<Tokens> {
    std::string line;
    if (!reader.next(line)) return std::nullopt;
    return model.source.encode(line);
  };
  source.ready = [&] { return reader.ready(); };
  const auto sink = [&](std::int64_t index, const Decoded& t) {
    if (t.cut > 0) {
      program.console.line(
          fmt::format("qkv: {}:{}: {} tokens beyond the model's {} were not translated",
                      reader.name(), index + 1, t.cut, decoder->max_source()));
    }
    writer.write(index, t);
  };
  translator.stream(source, sink, program.console.progress());
}

}  // namespace

void add_translate(Program& program) {
  auto s = std::make_shared<Settings>();
  CLI::App* c =
      program.cli.add_subcommand("translate", "Translate text line by line, stdin to stdout");
  c->footer(
      "Results come in the order of the input; a line does not depend on its neighbours, not even "
      "in the\n"
      "last bit of its score. Several fields of a line are separated by \" ||| \".");
  SearchOptions& search = s->options.search;
  c->add_option("--model", s->model, "Model directory")->required();
  c->add_option("file", s->input, "Text to translate; default: stdin");
  c->add_option("--beam", search.beam, "Width of the beam; 1 is greedy")->capture_default_str();
  c->add_option("--n-best", search.n_best, "Translations a line: \"line ||| text ||| score\"");
  c->add_option("--length-penalty", search.penalty.alpha, "Exponent of the length normalisation")
      ->capture_default_str();
  c->add_option("--penalty-form", s->penalty, "power: |Y|^a; gnmt: ((5 + |Y|) / 6)^a")
      ->check(CLI::IsMember({"power", "gnmt"}))
      ->capture_default_str();
  c->add_option("--coverage-penalty", search.coverage,
                "Weight of the penalty for source words that were not looked at")
      ->capture_default_str();
  c->add_option("--stop", s->stop, "full: after `beam` finished ones; likely; exact")
      ->check(CLI::IsMember({"full", "likely", "exact"}))
      ->capture_default_str();
  c->add_option("--max-length", search.max_length,
                "Most tokens of a translation (0: by the source)");
  c->add_option("--max-factor", search.max_factor, "Most tokens a source token")
      ->capture_default_str();
  c->add_option("--min-length", search.min_length, "Fewest tokens of a translation");
  c->add_flag("--scores", s->scores, "Append the score");
  c->add_flag("--alignment", s->alignment,
              "Append the alignment of tokens as Pharaoh pairs source-target");
  c->add_flag("--attention", s->soft_alignment, "With --json: the attention of every token");
  c->add_flag("--coverage", s->coverage,
              "Append how much each source token (and its end) was looked at in all");
  c->add_option("--layer", s->layer, "Whose cross-attention; negative: from the last")
      ->capture_default_str();
  c->add_option("--head", s->head, "Which head; -1: their mean")->capture_default_str();
  c->add_option("--force", s->force, "Score these targets instead of searching");
  c->add_option("--batch-tokens", s->options.batch_tokens, "Source tokens a batch")
      ->capture_default_str();
  c->add_option("--batch-sentences", s->options.batch_sentences, "Sentences a batch, at most")
      ->capture_default_str();
  c->add_flag("--json", program.json, "One JSON object a translation");
  add_threads(*c, program);
  c->callback([s, &program] { translate(*s, program); });
}

}  // namespace qkv::app
