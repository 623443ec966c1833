#include "qkv/systems/translation_model.h"

#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/io/json.h"
#include "qkv/systems/config_fields.h"
#include "qkv/systems/weights_file.h"

namespace qkv {

namespace {

const char* stem(bool joint, const char* side) { return joint ? "joint" : side; }

}  // namespace

CrossEntropyResult TranslationModel::loss(const TranslationBatch& batch,
                                          const CrossEntropyOptions& options) const {
  return std::visit([&](const auto& n) { return n.loss(batch, options); }, network);
}

std::int64_t TranslationModel::max_length() const {
  return std::visit([](const auto& n) { return n.config.max_length; }, network);
}

void save_translation_model(const TranslationModel& model, const std::filesystem::path& directory) {
  DirectoryWriter writer(directory);
  model.source.save(writer.folder(), stem(model.joint, "source"));
  if (!model.joint) model.target.save(writer.folder(), "target");
  save_weights(named_parameters(model), writer.folder());
  writer.commit(
      {{"task", "translate"},
       {"architecture", name_of(model.architecture())},
       {"preset", model.preset},
       {"joint_vocabulary", model.joint},
       {"model", std::visit([](const auto& n) { return config_json(n.config); }, model.network)}});
}

namespace {

TranslationModel read_translation_model(const ModelDirectory& directory) {
  const Json& config = directory.config();
  const std::string config_path = directory.config_path();
  FieldReader reader(config, config_path);
  reader.has("format");
  const std::string task = reader.text("task");
  if (task != "translate") {
    throw DataError(config_path, 0, fmt::format("is no translator (task '{}')", task));
  }
  TranslationModel model;
  const auto architecture =
      static_cast<Architecture>(reader.choice("architecture", names_of<Architecture>()));
  const bool rnn = architecture == Architecture::rnn;
  model.joint = reader.boolean("joint_vocabulary");
  model.preset = reader.text("preset", "");
  Transformer::Config sizes;
  RnnTranslator::Config rnn_sizes;
  if (rnn) {
    rnn_sizes = config_from<RnnTranslator::Config>(reader.object("model"), config_path);
  } else {
    sizes = config_from<Transformer::Config>(reader.object("model"), config_path);
  }
  reader.finish();
  model.source = Tokeniser::load(directory.path(), stem(model.joint, "source"));
  model.target = model.joint ? model.source : Tokeniser::load(directory.path(), "target");
  for (const auto& [side, tokeniser, size] :
       {std::tuple{"source", &model.source,
                   rnn ? rnn_sizes.source_vocabulary : sizes.source_vocabulary},
        std::tuple{"target", &model.target,
                   rnn ? rnn_sizes.target_vocabulary : sizes.target_vocabulary}}) {
    if (tokeniser->size() != size) {
      throw DataError(
          config_path, 0,
          fmt::format("the {} vocabulary has {} tokens, the model expects {}; files of two "
                      "models mixed?",
                      side, tokeniser->size(), size));
    }
  }

  WeightsFile weights(directory);
  if (rnn) {
    model.network = weights.network<RnnTranslator>(rnn_sizes);
  } else {
    model.network = weights.network<Transformer>(sizes);
  }
  weights.take_all(model);
  weights.finish();
  return model;
}

}  // namespace

TranslationModel load_translation_model(const std::filesystem::path& directory) {
  return read_whole(directory, read_translation_model);
}

}  // namespace qkv
