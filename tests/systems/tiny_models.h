// Every kind of model directory, made tiny, and what each answers, in numbers that differ when a
// bit of the answer does.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "systems/tiny_media.h"
#include <fmt/format.h>

#include "qkv/base/file.h"
#include "qkv/base/random.h"
#include "qkv/io/directory.h"
#include "qkv/io/manifest.h"
#include "qkv/io/safetensors.h"
#include "qkv/io/safetensors_header.h"
#include "qkv/systems/action_model.h"
#include "qkv/systems/bert_model.h"
#include "qkv/systems/label_sentences.h"
#include "qkv/systems/labeller_model.h"
#include "qkv/systems/language_model.h"
#include "qkv/systems/node_classifier.h"
#include "qkv/systems/node_model.h"
#include "qkv/systems/predict_clips.h"
#include "qkv/systems/score_text.h"
#include "qkv/systems/translation_decoding.h"
#include "qkv/systems/translation_model.h"
#include "qkv/train/labelling.h"
#include "qkv/train/vectors.h"

namespace qkv::tiny {

namespace fs = std::filesystem;

inline const std::vector<std::string> kLines = {"the red boat waits", "a dog runs to the mill .",
                                                "the red dog , a boat"};

inline Vocabulary vocabulary(std::initializer_list<const char*> tokens) {
  TokenCounts counts;
  std::int64_t times = 100;
  for (const char* token : tokens) count_token(counts, token, times--);
  return Vocabulary(counts);
}

inline void make_translator(const fs::path& to, bool recurrent) {
  TranslationModel m;
  m.joint = recurrent;
  m.source = Tokeniser::train({.kind = recurrent ? Tokeniser::Kind::bpe : Tokeniser::Kind::word,
                               .vocabulary_size = recurrent ? 40 : 0},
                              kLines);
  m.target = recurrent ? m.source : Tokeniser::train({.kind = Tokeniser::Kind::character}, kLines);
  if (recurrent) {
    m.network = RnnTranslator::make(3, {.source_vocabulary = m.source.size(),
                                        .target_vocabulary = m.target.size(),
                                        .embedding = 4,
                                        .width = 6,
                                        .max_length = 32});
  } else {
    m.network = Transformer::make(3, {.source_vocabulary = m.source.size(),
                                      .target_vocabulary = m.target.size(),
                                      .width = 8,
                                      .heads = 2,
                                      .feed_forward = 8,
                                      .encoder_layers = 1,
                                      .decoder_layers = 1,
                                      .max_length = 32,
                                      .share_embeddings = false});
  }
  save_translation_model(m, to);
}

inline std::string ask_translator(const fs::path& from) {
  const TranslationModel m = load_translation_model(from);
  std::vector<Tokens> sources;
  for (const std::string& line : kLines) sources.push_back(m.source.encode(line));
  SearchOptions search{.beam = 2, .max_length = 6};
  std::string answer;
  for (const std::string& line : translate_tokens(m, sources, {.search = search})) {
    answer += line + "\n";
  }
  TranslationBatch batch;
  std::vector<std::int64_t> lengths;
  for (Tokens& source : sources) {
    if (source.size() > 8) source.resize(8);
    source.push_back(m.source.eos());
    lengths.push_back(static_cast<std::int64_t>(source.size()));
    batch.source.insert(batch.source.end(), source.begin(), source.end());
    for (std::size_t i = 0; i < source.size(); ++i) {
      batch.target_in.push_back(m.target.bos());
      batch.target_out.push_back(m.target.eos());
    }
  }
  batch.source_segments = batch.target_segments = Segments(lengths);
  const double loss = m.loss(batch, {}).nll_sum;
  if (!std::isfinite(loss)) fail<NumericError>("the loss is {}", loss);  // as training says it
  return answer + bits(loss);
}

inline void make_language(const fs::path& to, bool recurrent) {
  LanguageModel m;
  m.tokeniser = train_language_tokeniser(
      {.kind = recurrent ? Tokeniser::Kind::space : Tokeniser::Kind::character}, kLines);
  m.context = 8;
  m.by_line = recurrent;
  if (recurrent) {
    m.network =
        RnnLanguage::make(1, {.vocab_size = m.tokeniser.size(), .embedding = 6, .width = 8});
  } else {
    m.network = Mpt::make(1, {.d_model = 8,
                              .n_heads = 2,
                              .n_layers = 1,
                              .max_seq_len = 16,
                              .vocab_size = m.tokeniser.size()});
  }
  save_language_model(m, to);
}

inline std::string ask_language(const fs::path& from) {
  const LanguageModel m = load_language_model(from);
  const TextStream stream = make_stream(kLines, m.encoder(), m.format());
  std::string answer;
  const TextScore score = score_tokens(m, stream, {}, [&](std::int64_t at, float log_p) {
    answer +=
        m.tokeniser.piece(stream.ids[static_cast<std::size_t>(at)]) + " " + bits(log_p) + "\n";
  });
  return answer + bits(score.perplexity());
}

inline BertModel bert() {
  BertConfig c;
  c.vocab_size = 14;
  c.hidden_size = 8;
  c.num_hidden_layers = 1;
  c.num_attention_heads = 2;
  c.intermediate_size = 8;
  c.max_position_embeddings = 12;
  BertModel m;
  m.network = Bert::make(7, c, {.pooler = true, .words = true, .next = false});
  m.pieces = WordPiece::from_text(
      "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\nthe\nred\nboat\ndog\nwaits\n.\nto\n",
      "vocab.txt", true);
  return m;
}

inline void make_foreign(const fs::path& to) {
  save_bert_model(bert(), to);
  Json config = read_json(to / kConfigFile);
  for (const char* ours : {"format", "task", "preset", "manifest", "do_lower_case"}) {
    config.erase(ours);
  }
  write_json(to / kConfigFile, config);
  write_json(to / "tokenizer_config.json", {{"do_lower_case", true}, {"model_max_length", 10}});
  write_json(to / "modules.json",
             {{{"idx", 0}, {"path", ""}, {"type", "sentence_transformers.models.Transformer"}},
              {{"idx", 1}, {"path", ""}, {"type", "sentence_transformers.models.Pooling"}}});
}

/// A directory of ours with a Dense module behind it.
inline void make_dense_bert(const fs::path& to) {
  BertModel m = bert();
  Initialiser init(7);
  SentenceDense dense;
  dense.linear = Linear::make(init, m.network.bert.config.hidden_size, 4);
  dense.length_one = true;
  m.sentence.dense.push_back(std::move(dense));
  save_bert_model(m, to);
}

inline std::string ask_bert(const fs::path& from) {
  const BertModel m = load_bert_model(from);
  std::string answer = bits(embed_texts(m, kLines).values());
  const std::vector<std::string> masked = {"the [MASK] boat"};
  for (const auto& mask : fill_masks(m, rows_of(m, masked, true), 3)) {
    for (const BertCandidate& c : mask) {
      answer += m.pieces.piece(c.id) + " " + bits(c.probability) + " ";
    }
  }
  return answer;
}

inline void make_labeller(const fs::path& to, bool with_bert) {
  LabellerModel m;
  m.tags = vocabulary({"O", "B-city", "I-city"});
  m.classes = vocabulary({"flight", "fare"});
  Labeller::Config c{.tags = label_count(m.tags), .classes = label_count(m.classes), .width = 8};
  if (with_bert) {
    const BertModel b = bert();
    m.pieces = b.pieces;
    m.word_options.lowercase = true;
    c.encoder = LabelEncoder::bert;
    c.bert = b.network.bert.config;
  } else {
    m.words = vocabulary({"the", "red", "boat", "a", "dog"});
    m.characters = vocabulary({"a", "b", "o", "t"});
    c.words = m.words.size();
    c.characters = m.characters.size();
    c.shapes = kWordShapes;
    c.embedding = 6;
    c.character_embedding = 3;
    c.character_filters = 4;
    c.shape_embedding = 2;
    c.prior = PriorMask::soft;
  }
  m.network = Labeller::make(3, c);
  if (!with_bert) {
    m.network.set_prior(tag_prior(std::vector<std::int64_t>{5, 2, 1, 4, 0, 0}, 2, 3));
    m.network.set_rules(
        {.transition = {1, 1, 0, 1, 1, 1, 1, 1, 1}, .start = {1, 1, 0}, .end = {1, 1, 1}});
  }
  save_labeller_model(m, to);
}

inline std::string ask_labeller(const fs::path& from) {
  const LabellerModel m = load_labeller_model(from);
  std::vector<std::vector<std::string>> sentences;
  for (const std::string& line : kLines) sentences.push_back(cut_words(line, m.word_options.cut));
  std::string answer;
  for (const Labelled& l : label_sentences(m, sentences)) {
    answer += fmt::format("{} {} {}", l.label, fmt::join(l.tags, " "), bits(l.tag_score));
    for (const double p : l.class_probabilities) answer += " " + bits(p);
    answer += "\n";
  }
  return answer;
}

inline void make_vectors(const fs::path& to) {
  VectorModel m;
  const VectorCorpus corpus = make_vector_corpus(kLines, {}, 1, m);
  VectorNetwork::Config c;
  c.words = static_cast<std::int64_t>(corpus.counts.size());
  c.width = 4;
  m.vectors = VectorNetwork::make(1, c);
  save_vector_model(m, to);
}

inline std::string ask_vectors(const fs::path& from) {
  const VectorModel m = load_vector_model(from);
  std::string answer;
  for (const auto& [row, cosine] :
       nearest_rows(m.vectors.input, unit_row(m.vectors.input, 0), 20, {})) {
    answer += m.word(row) + " " + bits(cosine) + "\n";
  }
  return answer + fmt::format("{}", m.row("boat"));
}

inline std::vector<Clip> clips() {
  std::vector<Clip> all;
  Philox random(key_of(5));
  for (std::int64_t label = 0; label < 2; ++label) {
    Clip clip{.id = std::to_string(label),
              .label = label,
              .name = "motion" + std::to_string(label),
              .fields = {},
              .frames = 6,
              .joints = 3,
              .values = 2,
              .numbers = {}};
    for (int i = 0; i < 36; ++i) clip.numbers.push_back(static_cast<float>(random.normal()));
    all.push_back(std::move(clip));
  }
  return all;
}

inline void make_action(const fs::path& to, ActionArchitecture architecture) {
  const std::vector<Clip> all = clips();
  ActionModel m;
  m.labels = {"motion0", "motion1"};
  m.poses = pose_options(all.front());
  m.poses.frames = 5;
  m.network = ActionNetwork::make(1, {.architecture = architecture,
                                      .features = m.poses.features(),
                                      .frames = 5,
                                      .classes = 2,
                                      .width = 4,
                                      .layers = 1,
                                      .head = 6,
                                      .kernel = 3});
  save_action_model(m, to);
}

inline std::string ask_action(const fs::path& from) {
  const ActionModel m = load_action_model(from);
  const ActionModel* models[] = {&m};
  std::string answer;
  for (const auto& p : predict_clips(models, clips())) {
    answer += m.labels[likeliest(p)];
    for (const double x : p) answer += " " + bits(x);
  }
  return answer;
}

/// Five nodes, each with its own feature; the last has no edge.
inline NodeGraph graph_of_nodes() {
  auto features = std::make_shared<SparseRows>();
  features->columns = 5;
  for (std::int32_t n = 0; n < 5; ++n) {
    features->column.push_back(n);
    features->value.push_back(1);
    features->offsets.push_back(n + 1);
  }
  NodeGraph g;
  g.ids = {"a", "b", "c", "d", "e"};
  g.classes = {"x", "y", "x", "y", ""};
  g.parts = {NodePart::train, NodePart::train, NodePart::valid, NodePart::test, NodePart::none};
  g.line_of = {1, 2, 3, 4, 5};
  g.features = features;
  g.neighbours = {{0, 1, 2}, {0, 1, 3}, {0, 2}, {1, 3}, {4}};
  g.graphs = {""};
  g.segments = Segments({5});
  return g;
}

inline void make_nodes(const fs::path& to, NodeKind kind) {
  NodeDesign design;
  design.network = {.kind = kind, .heads = 2, .width = 3};
  save_node_model(make_node_model(design, graph_of_nodes(), 1), to);
}

inline std::string ask_nodes(const fs::path& from) {
  std::string answer;
  for (const ClassifiedNode& n : NodeClassifier::load(from).classify(graph_of_nodes())) {
    answer += n.label;
    for (const double p : n.probabilities) answer += " " + bits(p);
  }
  return answer;
}

struct Kind {
  const char* name;
  std::function<void(const fs::path&)> make;
  std::function<std::string(const fs::path&)> ask;
  bool manifest = true;
};

inline const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = {
      {"transformer", [](const fs::path& p) { make_translator(p, false); }, ask_translator},
      {"rnn translator", [](const fs::path& p) { make_translator(p, true); }, ask_translator},
      {"language", [](const fs::path& p) { make_language(p, false); }, ask_language},
      {"rnn language", [](const fs::path& p) { make_language(p, true); }, ask_language},
      {"labeller", [](const fs::path& p) { make_labeller(p, false); }, ask_labeller},
      {"bert labeller", [](const fs::path& p) { make_labeller(p, true); }, ask_labeller},
      {"bert", [](const fs::path& p) { save_bert_model(bert(), p); }, ask_bert},
      {"foreign bert", make_foreign, ask_bert, false},
      {"dense bert", make_dense_bert, ask_bert},
      {"vectors", make_vectors, ask_vectors},
      {"act", [](const fs::path& p) { make_action(p, ActionArchitecture::act); }, ask_action},
      {"action lstm", [](const fs::path& p) { make_action(p, ActionArchitecture::lstm); },
       ask_action},
      {"nodes", [](const fs::path& p) { make_nodes(p, NodeKind::gat); }, ask_nodes},
      {"nodes gcn", [](const fs::path& p) { make_nodes(p, NodeKind::gcn); }, ask_nodes},
      {"picture vit",
       [](const fs::path& p) { save_picture_model(picture_model(PictureKind::vit), p); },
       ask_pictures},
      {"picture cnn",
       [](const fs::path& p) { save_picture_model(picture_model(PictureKind::cnn), p); },
       ask_pictures},
      {"gan", [](const fs::path& p) { save_gan_model(gan_model(), p); }, ask_generator},
      {"upscale", [](const fs::path& p) { save_upscale_model(upscale_model(), p); }, ask_upscaler},
      {"sound clips", [](const fs::path& p) { save_sound_model(sound_model(SoundTask::clip), p); },
       ask_sound_labels},
      {"sound text",
       [](const fs::path& p) {
         save_sound_model(sound_model(SoundTask::text, SpeechMethod::joint), p);
       },
       ask_transcriber}};
  return all;
}

/// The names of a directory's files, sorted.
inline std::vector<std::string> files_in(const fs::path& directory) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    if (entry.is_regular_file()) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// Bytes of a file without the care (and the time) of write_file().
inline void spill(const fs::path& path, std::string_view bytes) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (!file) throw std::runtime_error("cannot write " + path.string());
  std::fwrite(bytes.data(), 1, bytes.size(), file);
  std::fclose(file);
}

/// A safetensors file whose checksums fit its bytes again, as far as its structure can be read.
inline std::string with_right_checksums(std::string bytes) {
  try {
    const SafetensorsFile file(std::as_bytes(std::span(bytes)), nullptr, "damaged");
    std::uint64_t length = 0;
    std::copy_n(bytes.data(), sizeof length, reinterpret_cast<char*>(&length));
    const std::string_view numbers = std::string_view(bytes).substr(8 + length);
    std::string header = bytes.substr(8, length);
    const std::string key = fmt::format("\"{}\":\"", kNumbersChecksum);
    if (const auto at = header.find(key); at != header.npos) {
      header.replace(at + key.size(), 8, fmt::format("{:08x}", checksum(numbers)));
    }
    if (const auto at = header_digits(header); at != header.npos) {
      header.replace(at, 8, header_checksum(header));
    }
    bytes.replace(8, length, header);
  } catch (const Error&) {
  }
  return bytes;
}

/// Makes all checksums of a directory fit what is there, as far as it can be read.
inline void put_checksums_right(const fs::path& directory) {
  try {
    const fs::path weights = directory / kWeightsFile;
    if (fs::exists(weights)) spill(weights, with_right_checksums(read_file(weights)));
    Json config = read_json(directory / kConfigFile);
    if (!config.is_object() || !config.contains(kManifest)) return;
    const fs::path aside = directory.string() + ".config";
    fs::rename(directory / kConfigFile, aside);
    config[kManifest] = manifest::of(config, directory);
    fs::remove(aside);
    spill(directory / kConfigFile, config.dump(2) + "\n");
  } catch (const Error&) {
  }
}

}  // namespace qkv::tiny
