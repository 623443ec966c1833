#include "qkv/systems/import/argos_package.h"

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/systems/import/ct2_translator.h"
#include "qkv/systems/import/fields.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMetadata = "metadata.json";
constexpr const char* kModel = "model";
constexpr const char* kPieces = "sentencepiece.model";

bool there(const fs::path& path) {
  std::error_code code;
  return fs::is_regular_file(path, code);
}

/// The token that every target begins with, if any.
std::string read_metadata(const fs::path& path, TranslationModel& model) {
  const Json json = read_json(path);
  ForeignFields f(json, path.string());
  f.only("type", {"translate"});
  const std::string from = f.text("from_code").value_or("?"), to = f.text("to_code").value_or("?");
  model.preset = fmt::format("Argos {}-{}", from, to);
  f.harmless({"package_version", "argos_version", "from_name", "to_name", "links", "dependencies",
              "source_languages", "name", "description"});
  const std::string prefix = f.text("target_prefix").value_or("");
  f.note_unknown(model.notes);
  return prefix;
}

}  // namespace

bool is_argos_directory(const fs::path& directory) {
  return there(directory / kMetadata) && is_ct2_directory(directory / kModel);
}

TranslationModel read_argos_translator(const fs::path& directory) {
  if (there(directory / "bpe.model") && !there(directory / kPieces)) {
    throw DataError((directory / "bpe.model").string(), 0,
                    "cuts words that Moses has split before, which this program does not do; use a "
                    "package with a sentencepiece.model");
  }
  const fs::path path = directory / kPieces;
  const std::string pieces = read_file(path);
  TranslationModel model = read_ct2_translator(
      directory / kModel, {.source_model = pieces, .target_model = pieces, .path = path.string()});
  const std::string prefix = read_metadata(directory / kMetadata, model);
  if (!prefix.empty()) {
    const std::int32_t id = model.target.pipeline()->id(prefix);
    if (id < 0) {
      throw DataError((directory / kMetadata).string(), 0,
                      fmt::format("field 'target_prefix': the vocabulary has no '{}'", prefix));
    }
    model.special->target_begin = {id};
  }
  TranslateOptions& o = model.defaults;
  o.beam = 4;
  o.length_penalty = 0.2;
  o.replace_unknown = true;
  o.layer = -1;  // its program looks at the first head of the last layer
  o.head = 0;
  return model;
}

}  // namespace qkv
