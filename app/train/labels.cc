// qkv train tag, classify, intent: labelled text in, a model directory out.
#include "app/train/labels.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "app/command.h"
#include "app/output.h"
#include <fmt/core.h>
#include <fmt/ranges.h>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/train/run_directory.h"

namespace qkv::app {
namespace {

void set_network(const TrainLabels& s, Labeller::Config& m) {
  set(s.embedding, m.embedding);
  set(s.width, m.width);
  set(s.layers, m.layers);
  set(s.kernel, m.kernel);
  set(s.heads, m.heads);
  set(s.feed_forward, m.feed_forward);
  set_cell(s.cell, m.cell);
  set_choice("--pooling", s.pooling,
             {std::pair{"mean", Pooling::mean}, std::pair{"max", Pooling::max},
              std::pair{"token", Pooling::token}, std::pair{"attention", Pooling::attention}},
             m.pooling);
  set_choice("--prior", s.prior,
             {std::pair{"none", PriorMask::none}, std::pair{"soft", PriorMask::soft},
              std::pair{"hard", PriorMask::hard}},
             m.prior);
  set_choice("--prior-way", s.prior_way,
             {std::pair{"to_tags", PriorWay::to_tags}, std::pair{"to_class", PriorWay::to_class},
              std::pair{"both", PriorWay::both}},
             m.prior_way);
  set_choice("--crf", s.crf, {std::pair{"yes", true}, std::pair{"no", false}}, m.crf);
  if (!s.interaction.empty()) {
    int ways = 0;
    set_choice("--interaction", s.interaction,
               {std::pair{"none", 0}, std::pair{"class_to_tags", 1}, std::pair{"tags_to_class", 2},
                std::pair{"both", 3}},
               ways);
    m.class_to_tags = (ways & 1) != 0;
    m.tags_to_class = (ways & 2) != 0;
  }
  set(s.character_filters, m.character_filters);
  if (s.character_filters) m.characters = *s.character_filters > 0 ? 1 : 0;
  set(s.shape_embedding, m.shape_embedding);
  if (s.shape_embedding) m.shapes = *s.shape_embedding > 0 ? 1 : 0;
  set(s.dropout, m.dropout);
  set(s.embedding_dropout, m.embedding_dropout);
  set(s.attention_dropout, m.attention_dropout);
  set(s.word_dropout, m.word_dropout);
}

/// What a BERT brings along cannot be chosen, and it has no use for the rest.
void check_init(const TrainLabels& s) {
  if (s.init.empty()) {
    if (s.fresh) fail("--fresh is for --init");
    return;
  }
  const bool sizes = s.embedding || s.width || s.layers || s.kernel || s.heads || s.feed_forward ||
                     s.character_filters || s.shape_embedding || s.min_count;
  if (sizes || !s.encoder.empty() || !s.cell.empty() || s.embedding_dropout ||
      s.attention_dropout || s.word_dropout || s.lower || s.cased || s.zero_digits) {
    fail(
        "--init brings the encoder and how words are read: leave out --encoder, sizes, --lower, "
        "--cased, --zero-digits, --min-count and dropout but --dropout");
  }
}

LabellingPreset with_settings(const TrainLabels& s) {
  check_init(s);
  LabelEncoder encoder = s.task == LabelTask::classify ? LabelEncoder::cnn : LabelEncoder::rnn;
  set_choice("--encoder", s.encoder,
             {std::pair{"fc", LabelEncoder::fc}, std::pair{"cnn", LabelEncoder::cnn},
              std::pair{"rnn", LabelEncoder::rnn}, std::pair{"attention", LabelEncoder::attention},
              std::pair{"linear", LabelEncoder::linear}},
             encoder);
  if (!s.init.empty()) encoder = LabelEncoder::bert;
  LabellingPreset p = labelling_preset(s.preset, s.task, encoder);
  set_network(s, p.model);
  set_run(s, p.train);
  set(s.batch_tokens, p.batch_tokens);
  set(s.smoothing, p.smoothing);
  set(s.class_weight, p.class_weight);
  set(s.min_count, p.min_count);
  if (s.lower) p.words.lowercase = true;
  if (s.cased) p.words.lowercase = false;
  if (s.zero_digits) p.words.zero_digits = true;
  set_choice("--words", s.words,
             {std::pair{"space", WordCut::space}, std::pair{"word", WordCut::word},
              std::pair{"character", WordCut::character}},
             p.words.cut);
  if (!s.scheme.empty()) p.scheme = scheme_of(s.scheme);
  if (p.batch_tokens < 1) fail("--batch-tokens must be positive");
  return p;
}

void say_scheme(const LabelledText& text, TagScheme learnt, Console& console) {
  const auto detected = detect_scheme(text.tags);
  if (!detected) return;
  console.line(fmt::format(
      "tags: {}{}, learnt as {}", name_of(detected->scheme),
      detected->irregular > 0 ? fmt::format(" ({} out of place)", detected->irregular) : "",
      name_of(learnt)));
}

void train_labels(const TrainLabels& s, Program& program) {
  apply_threads(program);
  Console& console = program.console;
  const std::filesystem::path directory = s.directory;
  (void)begin_of(directory, s.resume, s.overwrite);
  LabellingPreset preset = with_settings(s);
  BertModel begin;
  if (!s.init.empty()) {
    begin = load_bert_model(s.init);
    for (const std::string& note : begin.notes) console.line("qkv: " + note);
    preset.model.bert = begin.network.bert.config;
    preset.pieces = begin.pieces;
  }
  const TagScheme scheme = preset.scheme;
  LabelledText train = read_labelled(s.train, s.files, s.task);
  LabelledText valid = s.valid.empty() ? hold_out(train) : read_labelled(s.valid, s.files, s.task);
  LabelledText test = s.test.empty() ? LabelledText{} : read_labelled(s.test, s.files, s.task);

  LabellerModel model;
  if (s.resume) {
    model = load_labeller_model(directory / kStateFolder);
    if (model.task() != name_of(s.task)) {
      fail("{}: holds a model for '{}'; resume with qkv train {}", s.directory, model.task(),
           model.task());
    }
  }
  const WordCut cut = s.resume ? model.word_options.cut : preset.words.cut;
  for (LabelledText* text : {&train, &valid, &test}) cut_texts(*text, cut);
  console.line("train: " + train.report.summary());
  console.line("valid: " + valid.report.summary());
  if (!s.resume) {
    PriorOptions prior;
    if (preset.model.prior == PriorMask::hard) prior.least = 1;
    set(s.prior_least, prior.least);
    model = make_labeller(preset, train, scheme, s.seed, prior);
    if (!s.init.empty() && !s.fresh) take_weights(model, begin);
  }
  say_scheme(train, scheme, console);
  const std::int64_t limit = longest_sentence(model);
  for (LabelledText* text : {&train, &valid}) {
    const std::int64_t cuts = cut_long(*text, limit);
    if (cuts > 0) console.line(fmt::format("cut to {} words: {} sentences", limit, cuts));
  }
  const LabelledSet train_set = encode_labelled(model, train, scheme);
  const LabelledSet valid_set = encode_labelled(model, valid, scheme);
  const bool by_pieces = model.network.config.encoder == LabelEncoder::bert;
  console.line(fmt::format(
      "vocabulary: {} {}, {} characters, {} tags, {} classes; model: {} parameters ({})",
      grouped(by_pieces ? model.pieces.size() : model.words.size()), by_pieces ? "pieces" : "words",
      grouped(model.network.config.characters), model.network.config.tags,
      model.network.config.classes, grouped(parameter_count(model)), model.preset));

  LabellingTraining training{.train = train_set, .valid = valid_set, .valid_text = valid};
  training.batches = {.max_tokens = preset.batch_tokens, .seed = s.seed, .bucket = preset.bucket};
  training.class_weight = preset.class_weight;
  training.smoothing = preset.smoothing;
  Optimiser optimiser(model, preset.train.optimiser);
  const TrainTask task = labelling_task(model, training, directory);
  run_training(task, optimiser, preset.train, directory, s.resume, {"score", "score"}, console);
  if (s.test.empty()) return;
  const LabellerModel best = load_labeller_model(directory);
  const LabelScores scores = score_labelled(test, label_sentences(best, test.words));
  console.line("test: " + test.report.summary());
  print_output("{}", program.json ? scores.json() + "\n" : scores.text());
}

void add_model_options(CLI::App* c, TrainLabels& s) {
  const char* model = "Model";
  const bool tags = s.task != LabelTask::classify, classes = s.task != LabelTask::tag;
  c->add_option("--preset", s.preset, "tiny or small")->group(model)->capture_default_str();
  c->add_option(
       "--encoder", s.encoder,
       fmt::format("fc (each position by itself), cnn, rnn, attention or linear (attention); "
                   "default: {}",
                   classes && !tags ? "cnn" : "rnn"))
      ->group(model);
  c->add_option("--init", s.init,
                "A BERT as encoder (qkv train mlm, or of Hugging Face): its sizes, pieces and "
                "weights")
      ->group(model);
  c->add_flag("--fresh", s.fresh, "With --init: its sizes and pieces, but fresh weights")
      ->group(model);
  c->add_option("--embedding", s.embedding, "Width of the word embeddings")->group(model);
  c->add_option("--character-filters", s.character_filters,
                "Columns of the character features (0: none)")
      ->group(model);
  c->add_option("--shape-embedding", s.shape_embedding,
                "Width of the word-shape embeddings: capitals, digits (0: none)")
      ->group(model);
  c->add_option("--width", s.width, "Width of the encoder")->group(model);
  c->add_option("--layers", s.layers, "Encoder layers")->group(model);
  c->add_option("--kernel", s.kernel, "cnn: positions that one sees")->group(model);
  c->add_option("--cell", s.cell, "rnn: gru, gru_reset_before or lstm")->group(model);
  c->add_option("--heads", s.heads, "attention, linear: heads")->group(model);
  c->add_option("--feed-forward", s.feed_forward, "attention, linear: width inside")->group(model);
  if (tags) {
    c->add_option("--crf", s.crf, "yes: tags of a sentence are judged together; no: each by itself")
        ->group(model);
  }
  if (classes) {
    c->add_option("--pooling", s.pooling,
                  "How a sentence becomes one vector: mean, max, token or attention")
        ->group(model);
  }
  if (tags && classes) {
    c->add_option("--interaction", s.interaction,
                  "What informs what: none, class_to_tags, tags_to_class or both")
        ->group(model);
    c->add_option("--prior", s.prior,
                  "Which tags go with which class, from the training text: none, soft or hard")
        ->group(model);
    c->add_option("--prior-way", s.prior_way, "Whom it binds: to_tags, to_class or both")
        ->group(model);
    c->add_option("--prior-least", s.prior_least,
                  "hard: a pair must have been seen so often (default 1)")
        ->group(model);
  }
  c->add_option("--dropout", s.dropout, "Between layers and before the heads")->group(model);
  c->add_option("--embedding-dropout", s.embedding_dropout, "Of the features")->group(model);
  c->add_option("--attention-dropout", s.attention_dropout, "Of attention weights")->group(model);
  c->add_option("--word-dropout", s.word_dropout, "Words that training reads as unknown")
      ->group(model);
}

void add_noun(CLI::App& train, Program& program, LabelTask task, const char* about) {
  auto settings = std::make_shared<TrainLabels>();
  TrainLabels& s = *settings;
  s.task = task;
  CLI::App* c = train.add_subcommand(std::string(name_of(task)), about);
  c->footer(
      "Files may be gzipped. Every option can also stand in a file: --config F.toml with lines\n"
      "`option = value`. Ctrl-C saves the state; the same command with --resume goes on to the "
      "same bits.");
  const char* data = "Data";
  const int most = task == LabelTask::intent ? 3 : 1;
  c->add_option("--train", s.train, "Labelled text")->required()->expected(1, most)->group(data);
  c->add_option("--valid", s.valid,
                "The same for validation; default: every 10th training sentence, at most 1000")
      ->expected(1, most)
      ->group(data);
  c->add_option("--test", s.test, "The same to score the best model on in the end")
      ->expected(1, most)
      ->group(data);
  c->add_option("--model", s.directory, "Model directory to write")->required()->group(data);
  add_label_files(*c, s.files, task, data);
  const char* text = "Text";
  if (task != LabelTask::classify) {
    c->add_option("--scheme", s.scheme,
                  fmt::format("How tags of spans are learnt: iob1, iob2 or iobes; default: {}",
                              task == LabelTask::tag ? "iobes" : "iob2"))
        ->group(text);
  } else {
    c->add_option("--words", s.words,
                  "How text is cut: space, word (punctuation and CJK characters apart) or "
                  "character")
        ->group(text);
  }
  c->add_flag("--lower", s.lower, "Look words up in lower case")->group(text);
  c->add_flag("--cased", s.cased, "Look words up as they are")->group(text);
  c->add_flag("--zero-digits", s.zero_digits, "Look words up with every digit as 0")->group(text);
  c->add_option("--min-count", s.min_count, "Rarer words are unknown")->group(text);
  add_model_options(c, s);
  const char* run = "Training";
  add_run_options(*c, s, run);
  c->add_option("--batch-tokens", s.batch_tokens, "Words of a batch")->group(run);
  c->add_option("--smoothing", s.smoothing, "Label smoothing (not in a CRF)")->group(run);
  if (task == LabelTask::intent) {
    c->add_option("--class-weight", s.class_weight, "Of the intent's loss beside the tags'")
        ->group(run);
  }
  c->add_flag("--json", program.json, "With --test: print the scores as JSON");
  add_threads(*c, program);
  c->add_option("--config", "Options from a TOML file");  // replaced before parsing
  c->callback([settings, &program] { train_labels(*settings, program); });
}

}  // namespace

void add_label_files(CLI::App& command, LabelFiles& files, LabelTask task, const char* group) {
  if (task == LabelTask::intent) return;  // there is one form
  command
      .add_option_function<std::string>(
          "--format",
          [&files](const std::string& word) {
            files.format = static_cast<LabelFormat>(
                detail::choice_of(word, names_of<LabelFormat>(), {}, "--format"));
          },
          task == LabelTask::tag
              ? "columns (CoNLL), conllu or slots (a folder with seq.in, seq.out, label); "
                "default: by name"
              : "table (label TAB text) or slots (a folder with seq.in, seq.out, label)")
      ->group(group);
  if (task != LabelTask::tag) return;
  command
      .add_option("--column", files.column, "columns: that of the tags, from 1 (default: the last)")
      ->check(CLI::PositiveNumber)
      ->group(group);
  command
      .add_option("--word-column", files.word_column,
                  "columns: that of the words, from 1 (default: the first, or the one behind a "
                  "column that counts them)")
      ->check(CLI::PositiveNumber)
      ->group(group);
  command.add_option("--field", files.field, "conllu: upos, xpos, lemma, feats or deprel")
      ->group(group)
      ->capture_default_str();
}

void add_train_labels(CLI::App& train, Program& program) {
  add_noun(train, program, LabelTask::tag, "Train a tagger: a label for every word");
  add_noun(train, program, LabelTask::classify, "Train a classifier: a label for every text");
  add_noun(train, program, LabelTask::intent,
           "Train intents and slots together: a label for every sentence and every word");
}

}  // namespace qkv::app
