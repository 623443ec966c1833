// qkv look: what a model attends to, in the terminal or as a picture, a page or JSON.
#include "app/look.h"

#include <algorithm>
#include <cstdlib>

#include "app/command.h"
#include "app/output.h"
#include <fmt/core.h>
#include <unistd.h>

#include "qkv/attention/observer.h"
#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/decode/search.h"
#include "qkv/io/directory.h"
#include "qkv/train/labelling.h"
#include "qkv/train/translation.h"
#include "qkv/view/html.h"
#include "qkv/view/json.h"
#include "qkv/view/label.h"
#include "qkv/view/png.h"
#include "qkv/view/svg.h"
#include "qkv/view/terminal.h"

namespace qkv::app {
namespace {

std::vector<std::string> labels(const Tokeniser& t, const Tokens& ids) {
  std::vector<std::string> text;
  for (std::int32_t id : ids) text.push_back(t.piece(id));
  return text;
}

/// Groups of tokens that make a word; special tokens are words of their own.
Groups words_of(const Tokeniser& t, const Tokens& ids) {
  return {.of_token = t.words(ids), .labels = t.word_texts(ids)};
}

TerminalColour terminal_colour() {
  if (::isatty(STDOUT_FILENO) != 1 || std::getenv("NO_COLOR")) return TerminalColour::none;
  const char* depth = std::getenv("COLORTERM");
  return depth && std::string_view(depth) == "truecolor" ? TerminalColour::truecolour
                                                         : TerminalColour::palette;
}

/// What a translator attends to when it reads the source and is given the target.
std::vector<SeenAttention> attention_to(const TranslationModel& model, const Tokens& source,
                                        const Tokens& target_in) {
  const Segments from = Segments::one(static_cast<std::int64_t>(source.size()));
  const Segments to = Segments::one(static_cast<std::int64_t>(target_in.size()));
  return attention_seen([&] {
    if (model.architecture == Architecture::rnn) {
      (void)model.rnn.decode(target_in, to, model.rnn.encode(source, from));
    } else {
      (void)model.transformer.decode(target_in, to, model.transformer.encode(source, from), from);
    }
  });
}

AttentionMaps attention_in(const std::string& directory, const LookSettings& s) {
  const Json config = require_any_model_directory(directory);
  const bool bert = is_bert_config(config);
  const std::string task =
      config.value("task", Json("")).is_string() ? config.value("task", "") : "";
  if (task == "action") return attention_of(load_action_model(directory), s);
  if (!s.clips.empty() || !s.clip.empty()) {
    fail("look: --clips and --clip are for models of actions");
  }
  if (s.source.empty()) fail("look: give a sentence, --source");
  if (bert) return attention_of(load_bert_model(directory), s);
  if (task == "tag" || task == "classify" || task == "intent") {
    return attention_of(load_labeller_model(directory), s);
  }
  if (task == "lm") return attention_of(load_language_model(directory), s);
  return attention_of(load_translation_model(directory), s);
}

}  // namespace

AttentionMaps attention_of(const LabellerModel& model, const LookSettings& s) {
  if (!s.target.empty()) fail("look: --target is for translators");
  const std::vector<std::vector<std::string>> sentence = {
      model.cut(s.source, model.word_options.cut)};
  if (sentence.front().empty()) fail("look: the source is empty");
  const Labelled result = label_sentences(model, sentence).front();
  AttentionMaps maps;
  maps.source_text = s.source;
  maps.translation = result.label;
  for (const std::string& tag : result.tags) {
    maps.translation += (maps.translation.empty() ? "" : " ") + tag;
  }
  maps.title = maps.source_text + " → " + maps.translation;
  maps.source = sentence.front();
  if (model.network.config.pools(Pooling::token)) {  // a BERT replaces it below
    maps.source.insert(maps.source.begin(), "<class>");
  }
  maps.target = maps.target_in = {result.label.empty() ? "label" : result.label};
  const LabelBatch batch = model.batch(sentence);
  Groups words;  // of the pieces of a BERT
  if (model.network.config.encoder == LabelEncoder::bert) {
    maps.source.clear();
    words.labels = sentence.front();
    words.labels.insert(words.labels.begin(), model.pieces.piece(model.pieces.cls()));
    words.labels.push_back(model.pieces.piece(model.pieces.sep()));
    for (std::size_t t = 0; t < batch.pieces.size(); ++t) {
      maps.source.push_back(model.pieces.piece(batch.pieces[t]));
      const auto begun = std::upper_bound(batch.first_piece.begin(), batch.first_piece.end(),
                                          static_cast<std::int32_t>(t));
      const bool last = t + 1 == batch.pieces.size();
      words.of_token.push_back(static_cast<std::int32_t>(begun - batch.first_piece.begin()) + last);
    }
  }
  add_maps(maps, attention_seen([&] { (void)model.network.encode(batch); }));
  if (maps.maps.empty()) {
    fail(
        "look: this model attends to nothing; train with --encoder attention or --pooling "
        "attention");
  }
  if (words.labels.empty() || s.tokens) return maps;
  const Groups label{.of_token = {0}, .labels = maps.target};
  return merge_tokens(maps, words, label, label);
}

AttentionMaps attention_of(const LanguageModel& model, const LookSettings& s) {
  if (!s.target.empty()) fail("look: --target is for translators");
  if (model.architecture == LanguageArchitecture::rnn) {
    fail("look: this model keeps a state in place of weights; look at one of --arch transformer");
  }
  const Tokens ids = model.prompt(s.source);
  const auto count = static_cast<std::int64_t>(ids.size());
  const NoRecording off;
  LanguageBatch batch{.ids = ids, .targets = {}, .segments = Segments::one(count), .prefix = {}};
  batch.prefix.assign(ids.size(), 1);  // what is given to a prefix model
  AttentionMaps maps;
  Tensor hidden;
  add_maps(maps, attention_seen([&] { hidden = model.mpt(model.mpt_batch(batch)); }));
  const Tensor logits = model.mpt.logits(hidden.rows(count - 1, count));
  const auto best = std::max_element(logits.values().begin(), logits.values().end());
  Tokens next(ids.begin() + 1, ids.end());
  next.push_back(static_cast<std::int32_t>(best - logits.values().begin()));
  maps.source_text = s.source;
  maps.translation = model.tokeniser.piece(next.back());
  maps.title = maps.source_text + " → " + maps.translation;
  maps.target = labels(model.tokeniser, next);
  maps.target_in = labels(model.tokeniser, ids);
  return maps;
}

AttentionMaps attention_of(const TranslationModel& model, const LookSettings& s) {
  AttentionMaps maps;
  SearchOptions options;
  set_special_tokens(model, options);
  const auto decoder = decoder_of(model, {.source_eos = model.source.eos()});
  Tokens source = model.source.encode(s.source);
  if (source.empty()) fail("look: the source is empty");
  Tokens target;
  if (s.target.empty()) {
    target = search(*decoder, std::span<const Tokens>(&source, 1), options).front().front().tokens;
  } else {
    target = model.target.encode(s.target);
  }
  maps.source_text = s.source;
  maps.translation = model.target.decode(target);
  maps.title = maps.source_text + " → " + maps.translation;
  source.push_back(model.source.eos());
  Tokens target_in = {model.target.bos()};
  target_in.insert(target_in.end(), target.begin(), target.end());
  target.push_back(model.target.eos());
  maps.source = labels(model.source, source);
  maps.target = labels(model.target, target);
  maps.target_in = labels(model.target, target_in);
  add_maps(maps, attention_to(model, source, target_in));
  if (maps.maps.empty()) fail("look: this model has no attention: it hands on one fixed vector");
  if (attention_kind(s.kind) == AttentionMap::Kind::cross) {
    const AttentionMap shown = select(maps, AttentionMap::Kind::cross, s.layer, s.head);
    maps.received = coverage_of(shown.weights.values(), shown.weights.dim(1));
  }
  if (s.tokens) return maps;
  return merge_tokens(maps, words_of(model.source, source), words_of(model.target, target),
                      words_of(model.target, target_in));
}

AttentionMaps attention_of(const BertModel& model, const LookSettings& s) {
  if (!s.target.empty()) fail("look: --target is for translators");
  const WordPiece& pieces = model.pieces;
  const BertRows rows = rows_of(model, std::span(&s.source, 1), pieces.mask() >= 0);
  if (rows.ids.size() <= 2) fail("look: the source is empty");
  AttentionMaps maps;
  maps.source_text = s.source;
  std::vector<std::int32_t> filled = rows.ids;
  if (model.network.parts().words) {
    std::size_t n = 0;
    const auto candidates = fill_masks(model, rows, 1);
    for (std::int32_t& id : filled) {
      if (id == pieces.mask()) id = candidates[n++].front().id;
    }
  }
  maps.translation = pieces.decode(filled);
  maps.title = maps.source_text + " → " + maps.translation;
  Groups words;
  for (const std::int32_t id : rows.ids) {
    maps.source.push_back(pieces.piece(id));
    if (words.labels.empty() || !pieces.continues(id)) {
      words.labels.push_back(pieces.piece(id));
    } else {
      words.labels.back() += pieces.piece(id).substr(2);
    }
    words.of_token.push_back(static_cast<std::int32_t>(words.labels.size()) - 1);
  }
  maps.target = maps.target_in = {"text"};
  add_maps(maps, attention_seen([&] { (void)model.network.bert(rows); }));
  if (maps.maps.empty()) fail("look: this model has no layers");
  const Groups whole{.of_token = {0}, .labels = {"text"}};
  return s.tokens ? maps : merge_tokens(maps, words, whole, whole);
}

std::string terminal_picture(const AttentionMaps& maps, const LookSettings& s) {
  std::string picture = terminal_heat_map(
      heat_map(maps, attention_kind(s.kind), s.layer, s.head),
      {.width = std::clamp(Console::width(), 40, 160), .colour = terminal_colour()});
  if (maps.received.empty()) return picture;
  picture += "\nreceived in all:";
  for (std::size_t i = 0; i < maps.received.size(); ++i) {
    picture += fmt::format("{} {} {:.2f}", i == 0 ? "" : ",", clean_label(maps.source[i]),
                           maps.received[i]);
  }
  return picture + "\n";
}

void write_picture(const AttentionMaps& maps, const LookSettings& s,
                   const std::filesystem::path& path) {
  const std::string ending = path.extension().string();
  const auto map = [&] { return heat_map(maps, attention_kind(s.kind), s.layer, s.head); };
  if (ending == ".svg") {
    write_file(path, svg_heat_map(map()));
  } else if (ending == ".png") {
    write_file(path, png_heat_map(map()));
  } else if (ending == ".json") {
    write_file(path, attention_json(maps));
  } else if (ending == ".html") {
    write_file(path, html_page(maps));
  } else {
    fail("--output {}: the name must end in .svg, .png, .json or .html", path.string());
  }
}

void add_look(Program& program) {
  struct Settings {
    std::string model, output;
    LookSettings look;
  };
  auto s = std::make_shared<Settings>();
  CLI::App* c = program.cli.add_subcommand("look", "Show what a model attends to");
  c->add_option("--model", s->model, "Model directory")->required();
  c->add_option("--source", s->look.source, "Source sentence");
  c->add_option("--target", s->look.target, "Target sentence; default: what the model translates");
  c->add_option("--clips", s->look.clips, "Of a model of actions: a file of clips");
  c->add_option("--clip", s->look.clip, "The id of the clip to look at; default: the first");
  c->add_option("--kind", s->look.kind, "cross, encoder or decoder")
      ->check(CLI::IsMember({"cross", "encoder", "decoder"}))
      ->capture_default_str();
  c->add_option("--layer", s->look.layer, "From 0; negative: from the last")->capture_default_str();
  c->add_option("--head", s->look.head, "From 0; -1: the mean of all")->capture_default_str();
  c->add_flag("--tokens", s->look.tokens, "Sub-words instead of words");
  c->add_option("--output", s->output,
                "File: .svg, .png, .json (all maps) or .html (all, with a chooser)");
  add_threads(*c, program);
  c->callback([s, &program] {
    apply_threads(program);
    const AttentionMaps maps = attention_in(s->model, s->look);
    if (s->look.kind == "cross" && layers_of(maps, AttentionMap::Kind::cross).empty()) {
      // All there is.
      const bool encodes = !layers_of(maps, AttentionMap::Kind::encoder_self).empty();
      s->look.kind = encodes ? "encoder" : "decoder";
    }
    if (s->output.empty()) {
      print_output("{}\n{}\n", maps.title, terminal_picture(maps, s->look));
    } else {
      write_picture(maps, s->look, s->output);
      program.console.line("wrote " + s->output);
    }
  });
}

}  // namespace qkv::app
