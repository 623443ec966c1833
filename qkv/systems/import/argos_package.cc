#include "qkv/systems/import/argos_package.h"

#include "qkv/base/error.h"
#include "qkv/systems/import/ct2_translator.h"
#include "qkv/systems/import/fields.h"

namespace qkv {
namespace {

constexpr const char* kMetadata = "metadata.json";
constexpr const char* kModel = "model";
constexpr const char* kPieces = "sentencepiece.model";

/// The token that every target begins with, if any.
std::string read_metadata(const ModelFiles& files, TranslationModel& model) {
  const Json json = read_json(files, kMetadata);
  ForeignFields f(json, files.path(kMetadata));
  f.only("type", {"translate"});
  model.from_code = f.text("from_code").value_or("");
  model.to_code = f.text("to_code").value_or("");
  const auto known = [](const std::string& code) { return code.empty() ? "?" : code; };
  model.preset = fmt::format("Argos {}-{}", known(model.from_code), known(model.to_code));
  f.harmless({"package_version", "argos_version", "from_name", "to_name", "links", "dependencies",
              "source_languages", "name", "description"});
  const std::string prefix = f.text("target_prefix").value_or("");
  f.note_unknown(model.notes);
  return prefix;
}

}  // namespace

bool is_argos_package(const ModelFiles& files) {
  return files.has(kMetadata) && is_ct2_translator(files.in(kModel));
}

TranslationModel read_argos_translator(const ModelFiles& files) {
  if (files.has("bpe.model") && !files.has(kPieces)) {
    throw DataError(files.path("bpe.model"), 0,
                    "cuts words that Moses has split before, which this program does not do; use a "
                    "package with a sentencepiece.model");
  }
  const std::string pieces = files.read(kPieces);
  TranslationModel model =
      read_ct2_translator(files.in(kModel), {.source_model = pieces, .target_model = pieces});
  const std::string prefix = read_metadata(files, model);
  if (!prefix.empty()) {
    const std::int32_t id = model.target.pipeline()->id(prefix);
    if (id < 0) {
      throw DataError(files.path(kMetadata), 0,
                      fmt::format("field 'target_prefix': the vocabulary has no '{}'", prefix));
    }
    model.special->target_begin = {id};
  }
  TranslateOptions& o = model.defaults;
  o.sentences = true;
  o.beam = 4;
  o.length_penalty = 0.2;
  o.replace_unknown = true;
  o.layer = -1;  // its program looks at the first head of the last layer
  o.head = 0;
  return model;
}

}  // namespace qkv
