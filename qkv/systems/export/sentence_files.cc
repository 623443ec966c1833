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
  return !model.network.parts().words || s.pooling != TextVector::mean || s.normalise ||
         s.longest > 0 || !s.prompt.empty() || !s.refused.empty();
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

Json module(int index, const char* type, const char* path) {
  return {{"idx", index},
          {"name", std::to_string(index)},
          {"path", path},
          {"type", std::string("sentence_transformers.models.") + type}};
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
  Json modules = {module(0, "Transformer", ""), module(1, "Pooling", "1_Pooling")};
  if (s.normalise) modules.push_back(module(2, "Normalize", "2_Normalize"));
  write_json(folder / "modules.json", modules);
  make_folder(folder / "1_Pooling");
  write_json(folder / "1_Pooling" / "config.json",
             pooling_json(s, model.network.bert.config.hidden_size));
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
