// The files of sentence-transformers around a BERT.
#include <algorithm>

#include "qkv/base/error.h"
#include "qkv/systems/import/bert_files.h"
#include "qkv/systems/import/fields.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;

/// The names of the ways to pool that are on, in the old form (a flag each) or the new one.
std::vector<std::string> pooling_modes(ForeignFields& f) {
  std::vector<std::string> modes;
  if (const Json& mode = f["pooling_mode"]; mode.is_string()) {
    modes.push_back(mode.get<std::string>());
  } else if (mode.is_array()) {
    for (const Json& m : mode) modes.push_back(m.is_string() ? m.get<std::string>() : m.dump());
  } else if (!mode.is_null()) {
    f.refuse("pooling_mode", "expected a name or a list of names");
  }
  for (const char* name : {"cls_token", "max_tokens", "mean_tokens", "mean_sqrt_len_tokens",
                           "weightedmean_tokens", "lasttoken"}) {
    if (f.boolean(std::string("pooling_mode_") + name).value_or(false)) modes.emplace_back(name);
  }
  return modes;
}

void read_pooling(const fs::path& path, SentenceSettings& s, std::vector<std::string>& notes) {
  if (!is_file(path)) {
    throw DataError(path.string(), 0, "is missing, but modules.json names its folder");
  }
  const Json json = read_json(path);
  ForeignFields f(json, path.string());
  const std::vector<std::string> modes = pooling_modes(f);
  s.prompt_counts = f.boolean("include_prompt").value_or(true);
  f.harmless({"word_embedding_dimension", "embedding_dimension"});
  f.note_unknown(notes);
  if (modes.empty()) {
    s.pooling = TextVector::mean;  // the default there
  } else if (modes.size() > 1) {
    s.refuse(f.file(), fmt::format("vectors of {} joined are not supported", listed(modes)));
  } else if (modes[0] == "cls_token" || modes[0] == "cls") {
    s.pooling = TextVector::cls;
  } else if (modes[0] == "mean_tokens" || modes[0] == "mean") {
    s.pooling = TextVector::mean;
  } else {
    s.refuse(f.file(), fmt::format("pooling by '{}' is not supported", modes[0]));
  }
}

struct Module {
  double index = 0;
  std::string type, path;  // the type's last part
};

std::vector<Module> modules_of(const fs::path& path) {
  const Json json = read_json(path);
  if (!json.is_array()) throw DataError(path.string(), 0, "expected a list of modules");
  std::vector<Module> modules;
  for (const Json& item : json) {
    ForeignFields f(item, path.string());
    Module m;
    m.index = f.number("idx").value_or(static_cast<double>(modules.size()));
    const std::string type = f.text("type").value_or("");
    m.type = type.substr(type.rfind('.') + 1);  // npos + 1 is 0
    m.path = f.text("path").value_or("");
    if (m.path.starts_with('/') || m.path.find("..") != std::string::npos) {
      f.refuse("path", "leads out of the directory");
    }
    modules.push_back(std::move(m));
  }
  std::stable_sort(modules.begin(), modules.end(),
                   [](const Module& a, const Module& b) { return a.index < b.index; });
  return modules;
}

Similarity similarity_of(ForeignFields& f) {
  const std::string name = f.text("similarity_fn_name").value_or("cosine");
  const auto words = names_of<Similarity>();
  const auto found = std::find(words.begin(), words.end(), name);
  if (found == words.end()) {
    f.refuse("similarity_fn_name",
             fmt::format("'{}' is none of cosine, dot, euclidean, manhattan", name));
  }
  return static_cast<Similarity>(found - words.begin());
}

void read_modules(const fs::path& directory, SentenceSettings& s, std::vector<std::string>& notes) {
  const fs::path path = directory / "modules.json";
  bool pooled = false;
  for (const Module& m : modules_of(path)) {
    if (m.type == "Transformer") {
      if (!m.path.empty()) {
        s.refuse(path.string(),
                 fmt::format("its Transformer stands in '{}'; name that folder", m.path));
      }
    } else if (m.type == "Pooling" && !pooled) {
      read_pooling(directory / m.path / "config.json", s, notes);
      pooled = true;
    } else if (m.type == "Normalize" && pooled) {
      read_normalize(directory / m.path, s, notes);
    } else if (m.type == "Dense" && pooled) {
      read_dense(directory / m.path, s, notes);
    } else {
      s.refuse(path.string(), fmt::format("module '{}' is not supported{}", m.type,
                                          pooled ? "" : " before Pooling"));
    }
  }
}

/// Release 6 says which result of the network is the state of a token.
void read_outputs(ForeignFields& f, SentenceSettings& s) {
  const Json states = {
      {"text", {{"method", "forward"}, {"method_output_name", "last_hidden_state"}}}};
  const Json& ways = f["modality_config"];
  const Json& name = f["module_output_name"];
  if (!ways.is_null() && ways != states) {
    s.refuse(f.file(), "field 'modality_config' takes no last states of text");
  } else if (!name.is_null() && name != "token_embeddings") {
    s.refuse(f.file(), "field 'module_output_name' is not 'token_embeddings'");
  }
}

}  // namespace

void SentenceSettings::refuse(const std::string& file, const std::string& what) {
  if (refused.empty()) refused = fmt::format("{}: {}", file, what);
}

void read_sentence_files(const fs::path& directory, bool lower, BertFiles& files) {
  SentenceSettings& s = files.sentence;
  if (is_file(directory / "modules.json")) read_modules(directory, s, files.notes);
  if (!s.refused.empty()) s.dense.clear();  // a way of one's own ends with pooling
  for (const char* name : {"sentence_bert_config.json", "sentence_roberta_config.json",
                           "sentence_distilbert_config.json", "sentence_camembert_config.json",
                           "sentence_albert_config.json", "sentence_xlm-roberta_config.json",
                           "sentence_xlnet_config.json"}) {
    if (!is_file(directory / name)) continue;
    const Json json = read_json(directory / name);
    ForeignFields f(json, (directory / name).string());
    if (const auto longest = f.number("max_seq_length")) {
      if (!(*longest >= 3 && *longest < 1e9)) {
        f.refuse("max_seq_length", "leaves no room for a word between [CLS] and [SEP]");
      }
      s.longest = static_cast<std::int64_t>(*longest);
    }
    if (f.boolean("do_lower_case").value_or(false) && !lower) {
      s.refuse(f.file(), "field 'do_lower_case' is true, but the tokeniser keeps capitals");
    }
    read_outputs(f, s);
    f.harmless({"model_args", "tokenizer_args", "cache_dir", "transformer_task", "model_kwargs",
                "processor_kwargs", "config_kwargs", "tokenizer_kwargs", "config_args"});
    f.note_unknown(files.notes);
    break;  // the first one counts there, too
  }
  if (const fs::path path = directory / "config_sentence_transformers.json"; is_file(path)) {
    const Json json = read_json(path);
    ForeignFields f(json, path.string());
    f.harmless({"__version__", "model_type"});
    s.similarity = similarity_of(f);
    const Json& prompts = f["prompts"];
    if (const auto name = f.text("default_prompt_name")) {
      if (!prompts.is_object() || !prompts.contains(*name) || !prompts[*name].is_string()) {
        f.refuse("default_prompt_name", fmt::format("there is no prompt '{}'", *name));
      }
      s.prompt = prompts[*name].get<std::string>();
      if (!s.prompt.empty() && !s.prompt_counts) {
        s.refuse(f.file(), "a prompt that is left out of the mean is not supported");
      }
    }
    f.note_unknown(files.notes);
  }
}

}  // namespace qkv
