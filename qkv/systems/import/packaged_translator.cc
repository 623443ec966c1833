#include "qkv/systems/import/packaged_translator.h"

#include "qkv/base/error.h"
#include "qkv/systems/import/argos_package.h"
#include "qkv/systems/import/ct2_translator.h"
#include "qkv/systems/import/marian_npz.h"

namespace qkv {

std::optional<TranslationModel> read_packaged_translator(const ModelFiles& files) {
  if (is_ct2_translator(files)) return read_ct2_translator(files);
  if (is_argos_package(files)) return read_argos_translator(files);
  if (is_marian_npz(files)) return read_marian_npz(files);
  if (files.path().ends_with(".npz")) {
    fail<FileError>("{}: is a file; name the model directory that holds it", files.path());
  }
  if (files.packed()) {
    throw DataError(files.path(), 0,
                    "is an archive, but none of a translator of Argos, CTranslate2 or Marian; "
                    "unpack it and name the directory");
  }
  return {};
}

std::optional<TokenPipeline> read_packaged_tokeniser(const ModelFiles& files, TextSide side) {
  const auto model = read_packaged_translator(files);
  if (!model) return {};
  return *(side == TextSide::target ? model->target : model->source).pipeline();
}

}  // namespace qkv
