#include "qkv/systems/export/export.h"

#include <utility>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/io/new_folder.h"
#include "qkv/io/safetensors.h"
#include "qkv/systems/export/parts.h"

namespace qkv {
namespace {

struct Writer {
  const std::filesystem::path& folder;
  const ExportOptions& options;

  Exported operator()(const BertSystem& s) const { return export_bert(s.model(), folder); }
  Exported operator()(const LabelSystem& s) const {
    return export_labeller(s.model(), folder, options);
  }
  Exported operator()(const Generator& s) const { return export_decoder(s.model(), folder); }
  Exported operator()(const Translator& s) const { return export_translator(s.model(), folder); }
  Exported operator()(const WordVectors&) const {
    fail("export: a table of word vectors is no network of transformers");
  }
  Exported operator()(const ActionRecogniser&) const {
    fail("export: no class of transformers recognises what skeletons do");
  }
  Exported operator()(const NodeClassifier&) const {
    fail("export: no class of transformers reads graphs");
  }
  Exported operator()(const SoundSystem&) const {
    fail("export: no class of transformers has this network of sounds");
  }
};

}  // namespace

Exported export_huggingface(const System& system, const std::filesystem::path& target,
                            const ExportOptions& options) {
  NewFolder folder(target);
  Exported done = std::visit(Writer{folder.folder(), options}, system);
  folder.commit();
  return done;
}

void save_foreign_weights(const StateDict& state, const std::filesystem::path& folder) {
  std::vector<NamedTensor> tensors;
  for (const auto& [name, tensor] : state) tensors.push_back({name, tensor});
  save_safetensors(folder / kWeightsFile, tensors, {{"format", "pt"}});
}

void set_class(Json& config, const std::string& name) {
  config["architectures"] = {name};
  config["torch_dtype"] = "float32";
  config["dtype"] = "float32";
}

}  // namespace qkv
