#include "qkv/systems/translation_model.h"

#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "qkv/base/error.h"
#include "qkv/base/progress.h"
#include "qkv/io/directory.h"
#include "qkv/io/json.h"
#include "qkv/systems/config_fields.h"
#include "qkv/systems/import/hf_translator.h"
#include "qkv/systems/import/packaged_translator.h"
#include "qkv/systems/load_whole.h"
#include "qkv/systems/translation_tokens.h"
#include "qkv/systems/weights_file.h"

namespace qkv {

namespace {

const char* stem(bool joint, const char* side) { return joint ? "joint" : side; }

}  // namespace

CrossEntropyResult TranslationModel::loss(const TranslationBatch& batch,
                                          const CrossEntropyOptions& options) const {
  return std::visit([&](const auto& n) { return n.loss(batch, options); }, network);
}

TranslationTokens TranslationModel::tokens() const {
  if (special) return *special;
  return {.start = target.bos(),
          .end = target.eos(),
          .source_end = source.eos(),
          .source_begin = {},
          .target_begin = {},
          .never = {target.pad(), target.bos(), target.unk()},
          .language = {}};
}

std::int64_t TranslationModel::max_length() const {
  return std::visit([](const auto& n) { return n.config.max_length; }, network);
}

namespace {

TokeniserOptions side_options(const TranslationDesign& d, TokeniserOptions::Kind kind) {
  TokeniserOptions o{.kind = kind, .min_count = d.min_count};
  o.vocabulary_size = d.vocabulary.value_or(is_subword(kind) ? d.subwords : 0);
  o.normalise.lower = d.lower;
  o.normalise.nfkc = d.nfkc;
  return o;
}

Transformer network_of(Transformer::Config c, bool joint, std::uint64_t seed) {
  if (!joint) c.share_embeddings = false;
  if (c.norm == NormPlacement::pre) c.final_norm = true;
  return Transformer::make(seed, c);
}
RnnTranslator network_of(const RnnTranslator::Config& c, bool, std::uint64_t seed) {
  return RnnTranslator::make(seed, c);
}

}  // namespace

void TranslationDesign::check() const {
  std::visit(
      [&](auto sizes) {  // what can be checked before the text is read
        sizes.source_vocabulary = sizes.target_vocabulary = 1;
        sizes.check();
      },
      network);
}

TranslationModel make_translator(const TranslationDesign& d, const TextPairs& text,
                                 std::uint64_t seed,
                                 const std::function<void(const std::string&)>& say) {
  TranslationModel model;
  model.preset = d.preset;
  model.joint = d.joint();
  const TokeniserOptions source = side_options(d, d.tokeniser);
  if (model.joint) {
    std::vector<std::string> both = text.source;
    both.insert(both.end(), text.target.begin(), text.target.end());
    model.source = model.target = Tokeniser::train(source, both);
    say(fmt::format("vocabulary: {} tokens ({}, joint)", grouped(model.source.size()),
                    name_of(source.kind)));
  } else {
    const TokeniserOptions target = side_options(d, d.target_tokeniser.value_or(d.tokeniser));
    model.source = Tokeniser::train(source, text.source);
    model.target = Tokeniser::train(target, text.target);
    say(fmt::format("vocabulary: {} source tokens ({}), {} target tokens ({})",
                    grouped(model.source.size()), name_of(source.kind),
                    grouped(model.target.size()), name_of(target.kind)));
  }
  say(fmt::format("unknown: {:.2f} % of the source tokens, {:.2f} % of the target tokens",
                  100 * model.source.unknown_report(text.source).rate(),
                  100 * model.target.unknown_report(text.target).rate()));
  std::visit(
      [&](auto config) {
        config.source_vocabulary = model.source.size();
        config.target_vocabulary = model.target.size();
        model.network = network_of(config, model.joint, seed);
      },
      d.network);
  return model;
}

TranslationBatch pack(const TokenPairs& pairs, std::span<const std::int64_t> index,
                      const TranslationTokens& tokens) {
  TranslationBatch batch;
  std::vector<std::int64_t> source_lengths, target_lengths;
  for (std::int64_t i : index) {
    const auto& source = pairs.source[static_cast<std::size_t>(i)];
    const auto& target = pairs.target[static_cast<std::size_t>(i)];
    batch.source.insert(batch.source.end(), source.begin(), source.end());
    if (tokens.source_end >= 0) batch.source.push_back(tokens.source_end);
    batch.target_in.push_back(tokens.start);
    batch.target_in.insert(batch.target_in.end(), target.begin(), target.end());
    batch.target_out.insert(batch.target_out.end(), target.begin(), target.end());
    batch.target_out.push_back(tokens.end);
    source_lengths.push_back(static_cast<std::int64_t>(source.size()) +
                             (tokens.source_end >= 0 ? 1 : 0));
    target_lengths.push_back(static_cast<std::int64_t>(target.size()) + 1);
  }
  batch.source_segments = Segments(source_lengths);
  batch.target_segments = Segments(target_lengths);
  return batch;
}

namespace {

void save_change(const TranslationModel& model, const std::filesystem::path& directory) {
  DirectoryWriter writer(directory);
  Json config = {{"task", "translate"}, {"preset", model.preset}};
  if (model.special) config["translate"] = config_json(model.defaults);
  save_adapter(*model.adapter, lora_entries(model), writer.folder(), config);
  writer.commit(std::move(config));
}

TranslationModel read_change(const ModelDirectory& directory, FieldReader& reader,
                             Adapters adapters) {
  const AdapterBase base = read_adapter(directory, reader.object(kAdapterField));
  TranslationModel model = load_translation_model(base.directory);
  model.preset = reader.text("preset", "");
  if (model.special) model.defaults = translate_options_from(reader.object("translate"));
  reader.finish();
  take_adapter(model, base, directory, adapters);
  return model;
}

}  // namespace

void save_translation_model(const TranslationModel& model, const std::filesystem::path& directory) {
  if (model.adapter) return save_change(model, directory);
  DirectoryWriter writer(directory);
  model.source.save(writer.folder(), stem(model.joint, "source"));
  if (!model.joint) model.target.save(writer.folder(), "target");
  save_weights(named_parameters(model), writer.folder());
  Json config = {
      {"task", "translate"},
      {"architecture", name_of(model.architecture())},
      {"preset", model.preset},
      {"joint_vocabulary", model.joint},
      {"model", std::visit([](const auto& n) { return config_json(n.config); }, model.network)}};
  if (model.special) {
    config["tokens"] = tokens_json(*model.special);
    config["translate"] = config_json(model.defaults);
  }
  if (!model.from_code.empty()) config["from_code"] = model.from_code;
  if (!model.to_code.empty()) config["to_code"] = model.to_code;
  writer.commit(std::move(config));
}

namespace {

TranslationModel read_translation_model(const ModelDirectory& directory, Adapters adapters) {
  const Json& config = directory.config();
  const std::string config_path = directory.config_path();
  FieldReader reader(config, config_path);
  reader.has("format");
  const std::string task = reader.text("task");
  if (task != "translate") {
    throw DataError(config_path, 0, fmt::format("is no translator (task '{}')", task));
  }
  if (reader.has(kAdapterField)) return read_change(directory, reader, adapters);
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
  if (reader.has("tokens")) {
    model.special = tokens_from(config["tokens"], reader.object("tokens"));
    model.defaults = translate_options_from(reader.object("translate"));
  }
  model.from_code = reader.text("from_code", "");
  model.to_code = reader.text("to_code", "");
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

  if (model.special) check_tokens(*model.special, model, config_path);
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

TranslationModel load_translation_model(const std::filesystem::path& directory, Adapters adapters) {
  if (auto model = read_packaged_translator(ModelFiles(directory))) return std::move(*model);
  return load_whole(directory, [adapters](const ModelDirectory& d) {
    return is_hf_translator(d.foreign_config()) ? read_hf_translator(d)
                                                : read_translation_model(d, adapters);
  });
}

}  // namespace qkv
