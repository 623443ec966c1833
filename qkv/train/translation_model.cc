#include "qkv/train/translation_model.h"

#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/io/json.h"
#include "qkv/io/safetensors.h"
#include "qkv/nn/module.h"
#include "qkv/train/config_fields.h"

namespace qkv {

template <>
std::span<const std::string_view> names_of<Sinusoid>() {
  static constexpr std::string_view names[] = {"interleaved", "blocks", "legacy"};
  return names;
}
template <>
std::span<const std::string_view> names_of<Architecture>() {
  static constexpr std::string_view names[] = {"transformer", "rnn"};
  return names;
}
template <>
std::span<const std::string_view> names_of<RnnContext>() {
  static constexpr std::string_view names[] = {"fixed", "before", "after"};
  return names;
}
template <>
std::span<const std::string_view> names_of<RnnScore>() {
  static constexpr std::string_view names[] = {"additive", "dot", "general"};
  return names;
}

namespace {

constexpr std::int64_t kLongestTable = 1 << 20;  // positions; a table of them is not in the file

const char* stem(bool joint, const char* side) { return joint ? "joint" : side; }

/// Whether a model of these sizes could lie in so many numbers and tensors: a hostile configuration
/// must not take memory that the weights do not fill.
bool plausible(const Transformer::Config& c, std::int64_t stored, std::int64_t tensors) {
  return c.source_vocabulary * c.width <= stored && c.width * c.feed_forward <= stored &&
         c.target_vocabulary * c.width <= stored && c.encoder_layers <= tensors &&
         c.decoder_layers <= tensors && c.max_length <= kLongestTable;
}
bool plausible(const RnnTranslator::Config& c, std::int64_t stored, std::int64_t tensors) {
  return c.source_vocabulary * c.embedding <= stored && c.target_vocabulary * c.width <= stored &&
         c.target_vocabulary * c.embedding <= stored && c.width * c.width <= stored &&
         c.width * c.embedding <= stored && c.width * c.attention_width <= stored &&
         c.layers <= tensors;
}

/// An unset network of the sizes that the configuration states.
template <class Network>
Network blank_network(const typename Network::Config& sizes, const SafetensorsFile& weights,
                      const std::string& weights_path, const std::string& config_path) {
  std::int64_t stored = 0;
  for (const std::string& name : weights.names()) stored += weights.shape(name).count();
  const auto tensors = static_cast<std::int64_t>(weights.names().size());
  if (!plausible(sizes, stored, tensors)) {
    throw DataError(weights_path, 0,
                    fmt::format("holds {} numbers in {} tensors, not the model of {}", stored,
                                tensors, config_path));
  }
  return Network::make(sizes, Initialiser::blank());
}

}  // namespace

std::string_view name_of(Architecture architecture) {
  return names_of<Architecture>()[static_cast<std::size_t>(architecture)];
}

CrossEntropyResult TranslationModel::loss(const TranslationBatch& batch,
                                          const CrossEntropyOptions& options) const {
  return architecture == Architecture::rnn ? rnn.loss(batch, options)
                                           : transformer.loss(batch, options);
}

std::int64_t TranslationModel::max_length() const {
  return architecture == Architecture::rnn ? rnn.config.max_length : transformer.config.max_length;
}

void save_translation_model(const TranslationModel& model, const std::filesystem::path& directory) {
  std::filesystem::create_directories(directory);
  std::vector<NamedTensor> tensors;
  for_each_parameter(model, [&](std::string_view path, const Tensor& p) {
    tensors.push_back({std::string(path), p});
  });
  model.source.save(directory, stem(model.joint, "source"));
  if (!model.joint) model.target.save(directory, "target");
  save_safetensors(directory / kWeightsFile, tensors, {{"format", "qkv"}, {"layout", "in,out"}});
  write_json(directory / kConfigFile, {{"format", kModelFormat},
                                       {"task", "translate"},
                                       {"architecture", name_of(model.architecture)},
                                       {"preset", model.preset},
                                       {"joint_vocabulary", model.joint},
                                       {"model", model.architecture == Architecture::rnn
                                                     ? config_json(model.rnn.config)
                                                     : config_json(model.transformer.config)}});
}

TranslationModel load_translation_model(const std::filesystem::path& directory) {
  const Json config = require_model_directory(directory);
  const std::string config_path = (directory / kConfigFile).string();
  FieldReader reader(config, config_path);
  reader.has("format");
  const std::string task = reader.text("task");
  if (task != "translate") {
    throw DataError(config_path, 0, fmt::format("is no translator (task '{}')", task));
  }
  TranslationModel model;
  model.architecture =
      static_cast<Architecture>(reader.choice("architecture", names_of<Architecture>()));
  const bool rnn = model.architecture == Architecture::rnn;
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
  model.source = Tokeniser::load(directory, stem(model.joint, "source"));
  model.target = model.joint ? model.source : Tokeniser::load(directory, "target");
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

  const std::filesystem::path weights_path = directory / kWeightsFile;
  const SafetensorsFile weights(weights_path);
  weights.verify();
  weights.check_finite();
  if (rnn) {
    model.rnn =
        blank_network<RnnTranslator>(rnn_sizes, weights, weights_path.string(), config_path);
  } else {
    model.transformer =
        blank_network<Transformer>(sizes, weights, weights_path.string(), config_path);
  }
  std::size_t used = 0;
  for_each_parameter(model, [&](std::string_view path, Tensor& p) {
    const std::string name(path);
    if (!weights.contains(name)) {
      throw DataError(weights_path.string(), 0, fmt::format("has no tensor '{}'", name));
    }
    if (weights.shape(name) != p.shape()) {
      throw DataError(
          weights_path.string(), 0,
          fmt::format("tensor '{}' is {}, the model of {} expects {}", name,
                      to_string(weights.shape(name)), config_path, to_string(p.shape())));
    }
    p = parameter(weights.tensor(name));
    ++used;
  });
  if (used != weights.names().size()) {
    throw DataError(
        weights_path.string(), 0,
        fmt::format("holds {} tensors, the model has {}", weights.names().size(), used));
  }
  return model;
}

}  // namespace qkv
