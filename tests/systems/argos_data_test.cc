// A trained translator in a package of Argos Translate, against what CTranslate2 gives for it.
#include <filesystem>

#include "io/zip_bytes.h"
#include "text/spm_bytes.h"
#include "text/temporary.h"
#include <gtest/gtest.h>

#include "qkv/data/lines.h"
#include "qkv/io/json.h"
#include "qkv/systems/translator.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;

TEST(ArgosTransliterator, TranslatesWordsParagraphByParagraph) {
  const fs::path from = fs::path(QKV_DATA_DIR) / "real-models/aren-transliteration";
  if (!fs::exists(from / "model.bin")) GTEST_SKIP() << from << " is not there";
  const Temporary folder;
  make_folder(folder / "package");
  fs::copy(from, folder / "package/model");
  std::vector<std::string> letters;
  LineReader reader((from / "source_vocabulary.txt").string());
  for (std::string line; reader.next(line);) {
    if (!line.starts_with('<')) letters.push_back(line);
  }
  write_file(folder / "package/sentencepiece.model", letters_model(letters));
  write_json(folder / "package/metadata.json", {{"from_code", "ar"}, {"to_code", "en"}});
  write_file(folder / "ar_en.argosmodel", zip_of(folder / "package", "translate-ar_en"));
  const auto t = Translator::load(folder / "ar_en.argosmodel");
  EXPECT_EQ(t.translate("آتزمون\n\n آتشيسون\n", t.defaults()).text, "atzmon\n\n achison\n");
}

}  // namespace
}  // namespace qkv
