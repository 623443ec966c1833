// qkv info: what a model directory holds.

#include "app/command.h"
#include "app/output.h"
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "qkv/io/directory.h"
#include "qkv/io/safetensors.h"
#include "qkv/systems/action_model.h"
#include "qkv/systems/bert_model.h"
#include "qkv/systems/labeller_model.h"
#include "qkv/systems/language_model.h"
#include "qkv/systems/translation_model.h"
#include "qkv/train/vectors.h"

namespace qkv::app {
namespace {

void print_sizes(const TranslationModel& model, const Transformer::Config& c) {
  print_output("  task        translate ({} Transformer{})\n",
               model.preset.empty() ? "own" : model.preset,
               c.norm == NormPlacement::pre ? ", pre-norm" : "");
  print_output("  sizes       width {}, {} heads, feed-forward {}, {} + {} layers\n", c.width,
               c.heads, c.feed_forward, c.encoder_layers, c.decoder_layers);
}

void print_sizes(const TranslationModel& model, const RnnTranslator::Config& c) {
  const char* cells[] = {"GRU", "GRU (reset before)", "LSTM"};
  const char* contexts[] = {"one fixed vector", "attention before the cell",
                            "attention after the cell"};
  const char* scores[] = {"additive", "dot", "general"};
  print_output("  task        translate ({} {}, {}{})\n",
               model.preset.empty() ? "own" : model.preset, cells[static_cast<int>(c.cell)],
               contexts[static_cast<int>(c.context)],
               c.attends() ? fmt::format(", {}", scores[static_cast<int>(c.score)]) : "");
  print_output("  sizes       embedding {}, width {}, {} + {} layers{}{}\n", c.embedding, c.width,
               c.layers, c.layers, c.bidirectional ? ", bidirectional encoder" : "",
               c.input_feeding ? ", input feeding" : "");
}

template <class Model>
void print_tensors(const Model& model) {
  for_each_parameter(model, [&](std::string_view path, const Tensor& p) {
    print_output("    {:<44} {}\n", path, to_string(p.shape()));
  });
}

template <class Model>
void print_json(Json out, const Model& model, bool tensors) {
  out["parameters"] = parameter_count(model);
  if (tensors) {
    out["tensors"] = Json::object();
    for_each_parameter(model, [&](std::string_view path, const Tensor& p) {
      Json shape = Json::array();
      for (std::int64_t size : p.shape()) shape.push_back(size);
      out["tensors"][std::string(path)] = shape;
    });
  }
  print_output("{}\n", out.dump(2));
}

void info_labeller(const std::string& directory, const Json& config, bool tensors, bool json) {
  const LabellerModel model = load_labeller_model(directory);
  if (json) return print_json(config, model, tensors);
  const Labeller::Config& c = model.network.config;
  const char* encoders[] = {"each position by itself", "CNN", "RNN", "self-attention",
                            "linear attention",        "BERT"};
  print_output("{}\n", directory);
  print_output("  task        {} ({} {}{}{})\n", model.task(),
               model.preset.empty() ? "own" : model.preset, encoders[static_cast<int>(c.encoder)],
               c.tags > 0 && c.crf ? ", CRF" : "", c.prior == PriorMask::none ? "" : ", prior");
  const char* small = model.word_options.lowercase ? " (lower case)" : "";
  if (c.encoder == LabelEncoder::bert) {
    print_output("  sizes       width {}, {} layers, {} positions\n", c.width,
                 c.bert.num_hidden_layers, c.bert.max_position_embeddings);
    print_output("  vocabulary  {} pieces{}\n", grouped(model.pieces.size()), small);
  } else {
    print_output("  sizes       embedding {}, width {}, {} layer{}\n", c.embedding, c.width,
                 c.layers, c.layers == 1 ? "" : "s");
    print_output("  vocabulary  {} words{}, {} characters\n", grouped(model.words.size()), small,
                 grouped(c.characters));
  }
  if (c.tags > 0) print_output("  tags        {}\n", c.tags);
  if (c.classes > 0) print_output("  labels      {}\n", c.classes);
  print_output("  parameters  {}\n", grouped(parameter_count(model)));
  if (tensors) print_tensors(model);
}

void print_sizes(const LanguageModel& model, const Mpt::Config& c) {
  const Mpt::AttnConfig& a = c.attn_config;
  print_output("  task        language model ({} MPT, {}{}{}{})\n",
               model.preset.empty() ? "own" : model.preset,
               a.linear ? "linear attention" : "softmax attention", a.alibi ? ", ALiBi" : "",
               a.rope ? ", rotary" : "", c.learned_pos_emb ? ", learned positions" : "");
  print_output("  sizes       width {}, {} heads, feed-forward {}, {} layers, context {}\n",
               c.d_model, c.n_heads, c.expansion_ratio * c.d_model, c.n_layers, model.context);
}

void print_sizes(const LanguageModel& model, const RnnLanguage::Config& c) {
  const char* cells[] = {"GRU", "GRU (reset before)", "LSTM"};
  print_output("  task        language model ({} {}{})\n",
               model.preset.empty() ? "own" : model.preset, cells[static_cast<int>(c.cell)],
               c.tie_output ? ", tied" : "");
  print_output("  sizes       embedding {}, width {}, {} layers, context {}\n", c.embedding_width(),
               c.width, c.layers, model.context);
}

void info_language(const std::string& directory, const Json& config, bool tensors, bool json) {
  const LanguageModel model = load_language_model(directory);
  if (json) return print_json(config, model, tensors);
  print_output("{}\n", directory);
  if (model.architecture == LanguageArchitecture::rnn) {
    print_sizes(model, model.rnn.config);
  } else {
    print_sizes(model, model.mpt.config);
  }
  print_output("  vocabulary  {} ({}), {}\n", grouped(model.vocabulary()),
               name_of(model.tokeniser.kind()),
               model.by_line ? "every line a text" : "text end to end");
  print_output("  parameters  {}\n", grouped(parameter_count(model)));
  if (tensors) print_tensors(model);
}

void info_vectors(const std::string& directory, const Json& config, bool tensors, bool json) {
  const VectorModel model = load_vector_model(directory);
  if (json) return print_json(config, model, tensors);
  const VectorNetwork::Config& c = model.vectors.config;
  const bool cbow = c.task == VectorTask::cbow;
  print_output("{}\n", directory);
  print_output("  task        word vectors ({}{}, {})\n", cbow ? "CBOW" : "skip-gram",
               cbow ? c.context == ContextSum::mean ? " of the mean" : " of the sum" : "",
               c.loss == VectorLoss::negative ? "negative sampling" : "hierarchical softmax");
  print_output("  sizes       width {}\n", c.width);
  print_output("  vocabulary  {} words{}\n", grouped(c.words),
               model.word_options.lowercase ? " (lower case)" : "");
  print_output("  parameters  {}\n", grouped(parameter_count(model)));
  if (tensors) print_tensors(model);
}

void info_action(const std::string& directory, const Json& config, bool tensors, bool json) {
  const ActionModel model = load_action_model(directory);
  if (json) return print_json(config, model, tensors);
  const ActionNetwork::Config& c = model.network.config;
  const char* architectures[] = {"AcT", "MLP", "convolutions over time", "LSTM"};
  const bool act = c.architecture == ActionArchitecture::act;
  print_output("{}\n", directory);
  print_output("  task        action ({} {})\n", model.preset.empty() ? "own" : model.preset,
               architectures[static_cast<int>(c.architecture)]);
  print_output("  sizes       width {}, {} layers{}\n", c.width, c.layers,
               act ? fmt::format(", {} heads, head {}", c.heads, c.head) : "");
  print_output("  poses       {} joints of {} coordinates ({}), {} frames ({})\n",
               model.poses.joints, model.poses.dims, model.poses.skeleton, model.poses.frames,
               model.poses.cut == ClipCut::stretch
                   ? "over the whole clip"
                   : fmt::format("a window every {}", model.poses.stride));
  print_output("  labels      {}\n", model.labels.size());
  print_output("  parameters  {}\n", grouped(parameter_count(model)));
  if (tensors) print_tensors(model);
}

void info_bert(const std::string& directory, const Json& config, bool tensors, bool json) {
  const BertModel model = load_bert_model(directory);
  if (json) return print_json(config, model, tensors);
  const BertConfig& c = model.network.bert.config;
  const Bert::Parts parts = model.network.parts();
  print_output("{}\n", directory);
  print_output("  task        {} ({} BERT{})\n", parts.words ? "hidden words" : "encoder",
               model.preset.empty() ? "own" : model.preset, parts.next ? ", next sentence" : "");
  print_output("  sizes       width {}, {} heads, feed-forward {}, {} layers, {} positions\n",
               c.hidden_size, c.num_attention_heads, c.intermediate_size, c.num_hidden_layers,
               c.max_position_embeddings);
  print_output("  vocabulary  {} pieces ({})\n", grouped(c.vocab_size),
               model.pieces.lower() ? "lower case" : "cased");
  print_output("  parameters  {}\n", grouped(parameter_count(model)));
  for (const std::string& note : model.notes) print_output("  note        {}\n", note);
  if (!config.contains(kManifest)) print_output("  files       no manifest\n");
  if (tensors) print_tensors(model);
}

void info(const std::string& directory, bool tensors, Program& program) {
  const Json config = require_any_model_directory(directory);
  if (is_bert_config(config)) return info_bert(directory, config, tensors, program.json);
  const std::string task = config.contains("task") && config["task"].is_string()
                               ? config["task"].get<std::string>()
                               : std::string();
  if (task == "tag" || task == "classify" || task == "intent") {
    return info_labeller(directory, config, tensors, program.json);
  }
  if (task == "vectors") return info_vectors(directory, config, tensors, program.json);
  if (task == "action") return info_action(directory, config, tensors, program.json);
  if (task == "lm") return info_language(directory, config, tensors, program.json);
  const TranslationModel model = load_translation_model(directory);
  if (program.json) return print_json(config, model, tensors);
  print_output("{}\n", directory);
  if (model.architecture == Architecture::rnn) {
    print_sizes(model, model.rnn.config);
  } else {
    print_sizes(model, model.transformer.config);
  }
  print_output("  vocabulary  {} source ({}), {} target ({}){}\n", grouped(model.source.size()),
               name_of(model.source.kind()), grouped(model.target.size()),
               name_of(model.target.kind()), model.joint ? ", joint" : "");
  print_output("  parameters  {}\n", grouped(parameter_count(model)));
  if (tensors) print_tensors(model);
}

}  // namespace

void add_info(Program& program) {
  struct Settings {
    std::string directory;
    bool tensors = false;
  };
  auto s = std::make_shared<Settings>();
  CLI::App* c = program.cli.add_subcommand("info", "Say what a model directory holds");
  c->add_option("model", s->directory, "Model directory")->required();
  c->add_flag("--tensors", s->tensors, "List the weights");
  c->add_flag("--json", program.json, "Print JSON");
  c->callback([s, &program] { info(s->directory, s->tensors, program); });
}

}  // namespace qkv::app
