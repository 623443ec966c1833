// The files of sentence-transformers around a BERT, in the form that its versions 2 to 6 read.
#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/systems/export/parts.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;

/// Whether the directory says how texts become vectors, or has no other use.
bool is_for_sentences(const BertModel& model) {
  const SentenceSettings& s = model.sentence;
  return !model.network.parts().words || s.pooling != TextVector::mean || !s.dense.empty() ||
         s.normalise || s.longest > 0 || !s.prompt.empty() || !s.refused.empty();
}

Json pooling_json(const SentenceSettings& s, std::int64_t width) {
  Json json = {{"word_embedding_dimension", width}, {"include_prompt", s.prompt_counts}};
  for (const char* mode : {"cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens",
                           "weightedmean_tokens", "lasttoken"}) {
    json[std::string("pooling_mode_") + mode] = false;
  }
  json[s.pooling == TextVector::cls ? "pooling_mode_cls_token" : "pooling_mode_mean_tokens"] = true;
  return json;
}

/// modules.json, and a folder for each module but the first.
class Modules {
 public:
  explicit Modules(const fs::path& folder) : folder_(folder) { add("Transformer", ""); }
  /// The folder of the next one.
  fs::path add(const std::string& type) {
    const std::string name = fmt::format("{}_{}", list_.size(), type);
    add(type, name);
    make_folder(folder_ / name);
    return folder_ / name;
  }
  void save() const { write_json(folder_ / "modules.json", list_); }

 private:
  void add(const std::string& type, const std::string& path) {
    list_.push_back({{"idx", list_.size()},
                     {"name", std::to_string(list_.size())},
                     {"path", path},
                     {"type", "sentence_transformers.models." + type}});
  }

  fs::path folder_;
  Json list_ = Json::array();
};

/// Fields that have their defaults are left out: versions before 6 do not know them.
void save_dense(const SentenceDense& dense, const fs::path& folder) {
  save_foreign_weights(read_state(dense_entries(dense)), folder);
  Json config = {{"in_features", dense.in()},
                 {"out_features", dense.out()},
                 {"bias", dense.linear.bias.defined()},
                 {"activation_function", torch_activation(dense.activation)}};
  if (dense.adds_residual) config["use_residual"] = true;
  write_json(folder / "config.json", config);
}

}  // namespace

void save_sentence_files(const BertModel& model, const fs::path& folder,
                         std::vector<std::string>& notes) {
  if (!is_for_sentences(model)) return;
  const SentenceSettings& s = model.sentence;
  if (!s.refused.empty() || s.pooling == TextVector::pooled) {
    notes.push_back(fmt::format("how texts become vectors is not written: {}",
                                s.refused.empty() ? "by the pooler" : s.refused));
    return;
  }
  Modules modules(folder);
  write_json(modules.add("Pooling") / "config.json",
             pooling_json(s, model.network.bert.config.hidden_size));
  for (const SentenceDense& dense : s.dense) {
    if (dense.length_one) modules.add("Normalize");
    save_dense(dense, modules.add("Dense"));
  }
  if (s.normalise) modules.add("Normalize");
  modules.save();
  write_json(
      folder / "sentence_bert_config.json",
      {{"max_seq_length", s.longest > 0 ? s.longest : model.room()}, {"do_lower_case", false}});
  Json settings = {{"prompts", Json::object()}, {"default_prompt_name", nullptr}};
  if (!s.prompt.empty()) {
    settings["prompts"]["default"] = s.prompt;
    settings["default_prompt_name"] = "default";
  }
  write_json(folder / "config_sentence_transformers.json", settings);
}

}  // namespace qkv
