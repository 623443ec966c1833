#include "qkv/systems/open.h"

#include <utility>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/systems/bert_model.h"
#include "qkv/systems/import/bert_labels.h"
#include "qkv/systems/import/decoder_config.h"
#include "qkv/systems/import/hf_translator.h"
#include "qkv/systems/import/packaged_translator.h"
#include "qkv/systems/import/swin_ir_files.h"
#include "qkv/systems/sound_model.h"

namespace qkv {
namespace {

struct Kind {
  const char* task;
  System (*load)(const std::filesystem::path&, const LoadOptions&);
};

template <class S>
System load_as(const std::filesystem::path& directory, const LoadOptions& options) {
  return S::load(directory, options);
}

System load_sound(const std::filesystem::path& directory, const LoadOptions& options) {
  SoundModel model = load_sound_model(directory);
  switch (model.network.config.task) {
    case SoundTask::clip:
      return SoundClassifier(std::move(model), options);
    case SoundTask::frame:
      return SoundTagger(std::move(model), options);
    case SoundTask::text:
      break;
  }
  return Transcriber(std::move(model), options);
}

/// One row a system; what config.json calls it.
constexpr Kind kKinds[] = {{"translate", load_as<Translator>},
                           {"lm", load_as<Generator>},
                           {"tag", load_as<Tagger>},
                           {"classify", load_as<Classifier>},
                           {"intent", load_as<IntentModel>},
                           {"vectors", load_as<WordVectors>},
                           {"action", load_as<ActionRecogniser>},
                           {"nodes", load_as<NodeClassifier>},
                           {"gan", load_as<PictureGenerator>},
                           {"upscale", load_as<Upscaler>},
                           {"picture", load_as<PictureClassifier>},
                           {"sound", load_sound}};

System bert_of(const std::filesystem::path& directory, const Json& config,
               const LoadOptions& options) {
  if (const auto head = is_foreign_bert(config) ? label_head(config) : std::nullopt) {
    if (*head == BertHead::tags) return Tagger::load(directory, options);
    return Classifier::load(directory, options);
  }
  BertModel model = load_bert_model(directory);
  if (model.network.parts().words) return MaskedModel(std::move(model), options);
  return Encoder(std::move(model), options);
}

/// config.json of another program's model, or of one of ours, whole.
Json config_of(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / kConfigFile;
  std::error_code code;
  if (std::filesystem::is_regular_file(path, code)) {
    Json config = read_json(path);
    if (is_foreign_bert(config) || is_foreign_decoder(config) || is_hf_translator(config)) {
      return config;
    }
  }
  return require_model_directory(directory);
}

}  // namespace

System open(const std::filesystem::path& directory, const LoadOptions& options) {
  if (is_swin_ir_file(directory)) return Upscaler::load(directory, options);
  if (auto model = read_packaged_translator(ModelFiles(directory))) {
    return Translator(std::move(*model), options);
  }
  const Json config = config_of(directory);
  if (is_hf_translator(config)) return Translator::load(directory, options);
  if (is_bert_config(config)) return bert_of(directory, config, options);
  if (is_foreign_decoder(config)) return Generator::load(directory, options);
  const std::string task = config.contains("task") && config["task"].is_string()
                               ? config["task"].get<std::string>()
                               : std::string();
  std::string known = "mlm";
  for (const Kind& kind : kKinds) {
    if (task == kind.task) return kind.load(directory, options);
    known += fmt::format(", {}", kind.task);
  }
  throw DataError((directory / kConfigFile).string(), 0,
                  fmt::format("field 'task': '{}' is not one of {}; of a newer qkv?", task, known));
}

std::string task_of(const std::filesystem::path& directory) {
  try {
    const Json config = read_json(directory / kConfigFile);
    if (config.contains("task") && config["task"].is_string()) {
      return config["task"].get<std::string>();
    }
  } catch (const Error&) {  // whoever loads it says what is wrong
  }
  return "";
}

Info info_of(const System& system) {
  return std::visit([](const auto& s) { return s.info(); }, system);
}

std::string_view verb_of(const System& system) {
  constexpr std::string_view verbs[] = {"translate",
                                        "generate",
                                        "tag",
                                        "classify",
                                        "intent",
                                        "fill",
                                        "embed",
                                        "similar",
                                        "action",
                                        "classify --nodes",
                                        "generate --pictures",
                                        "upscale",
                                        "classify",
                                        "classify --sounds",
                                        "tag --sounds",
                                        "transcribe"};
  static_assert(std::size(verbs) == std::variant_size_v<System>);
  return verbs[system.index()];
}

}  // namespace qkv
