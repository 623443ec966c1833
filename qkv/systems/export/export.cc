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
  Exported operator()(const PictureGenerator&) const {
    fail("export: no class of transformers is a generator as SAGAN has it");
  }
  Exported operator()(const Upscaler&) const {
    fail("export: no class of transformers is SwinIR; --format swinir has its own names");
  }
  Exported operator()(const PictureClassifier&) const {
    fail("export: models of pictures are not written in another format yet");
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

Exported export_system(const System& system, const std::filesystem::path& target,
                       ExportFormat format, const ExportOptions& options) {
  if (format == ExportFormat::huggingface) return export_huggingface(system, target, options);
  const auto* upscaler = std::get_if<Upscaler>(&system);
  if (!upscaler) {
    fail("export: --format swinir is for models of pictures (qkv train upscale), not for qkv {}",
         verb_of(system));
  }
  NewFolder folder(target);
  Exported done = export_swin_ir(upscaler->model(), folder.folder());
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
