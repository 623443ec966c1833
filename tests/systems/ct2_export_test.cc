// A translator of CTranslate2 on its way through a directory of ours to transformers, and back.
#include <string>
#include <vector>

#include "fuzz/ct2.h"
#include "systems/golden_folders.h"
#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/systems/export/export.h"
#include "qkv/systems/translation_model.h"
#include "qkv/systems/weights_file.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

/// As its converter writes a MarianMT: post-norm, tables of positions, a start of zeros, one table.
std::string marian_bytes(std::uint32_t tokens) {
  Ct2Bytes b(6, 7);
  b.put("encoder/embeddings_0/weight", {tokens, 8});
  b.put("decoder/embeddings/weight", {tokens, 8});
  b.put("decoder/projection/bias", {tokens});
  b.put_byte("decoder/start_from_zero_embedding", 1);
  for (const char* stack : {"encoder", "decoder"}) {
    const std::string name = stack, at = name + "/layer_0/";
    b.put_byte(name + "/num_heads", 2);
    b.put_byte(name + "/pre_norm", 0);
    b.put_byte(name + "/activation", 2);
    b.put_byte(name + "/scale_embeddings", 1);
    b.put(name + "/position_encodings/encodings", {32, 8});
    b.put_linear(at + "self_attention/linear_0", 24, 8);
    b.put_linear(at + "self_attention/linear_1", 8, 8);
    b.put_norm(at + "self_attention");
    if (name == "decoder") {
      b.put_linear(at + "attention/linear_0", 8, 8);
      b.put_linear(at + "attention/linear_1", 16, 8);
      b.put_linear(at + "attention/linear_2", 8, 8);
      b.put_norm(at + "attention");
    }
    b.put_linear(at + "ffn/linear_0", 12, 8);
    b.put_linear(at + "ffn/linear_1", 8, 12);
    b.put_norm(at + "ffn");
  }
  return b.whole();
}

void make_marian(const fs::path& to) {
  const Subword pieces = Subword::from_model(testing::little_model(), "test");
  std::string tokens = "</s>\n<unk>\n";
  std::uint32_t count = 2;
  for (std::int32_t id = 4; id < pieces.size(); ++id, ++count) tokens += pieces.piece(id) + "\n";
  fs::create_directories(to);
  write_file(to / "model.bin", marian_bytes(count));
  write_file(to / "source_vocabulary.txt", tokens);
  write_file(to / "target_vocabulary.txt", tokens);
  for (const char* file : {"source.spm", "target.spm"}) {
    write_file(to / file, testing::little_model());
  }
  write_json(
      to / "config.json",
      {{"add_source_eos", true}, {"add_source_bos", false}, {"decoder_start_token", "</s>"}});
}

std::string answers(const fs::path& directory) {
  const auto t = Translator::load(directory);
  TranslateOptions options = t.defaults();
  options.beam = 3;
  options.n_best = 2;
  options.max_length = 8;
  options.at_limit = LimitRule::cut;
  const std::vector<std::string> lines = {"the red boat", "a dog in the mill", "", "zz the"};
  std::string said;
  for (const Translation& found : t.translate(lines, options)) {
    for (const TranslationCandidate& c : found.best) {
      // Unknown tokens have a text in CTranslate2, and none in MarianMT.
      std::string text = c.text;
      for (std::size_t at; (at = text.find("<unk>")) != text.npos;) text.erase(at, 5);
      said += fmt::format("{} {:a}:", text, c.score);
      for (const std::string& token : c.tokens) said += " " + token;
      said += "\n";
    }
  }
  return said;
}

std::vector<std::string> numbers(const fs::path& directory) {
  std::vector<std::string> found;
  for (const NamedTensor& t : named_parameters(load_translation_model(directory))) {
    std::string line = t.name + to_string(t.tensor.shape());
    for (const float x : t.tensor.values()) line += fmt::format(" {:a}", x);
    found.push_back(line);
  }
  return found;
}

TEST(Ct2Export, GoesThroughOurDirectoryToMarianAndBackToTheSameBits) {
  const Temporary folder;
  make_marian(folder / "ct2");
  Translator::load(folder / "ct2").save(folder / "own");
  const Exported done = export_huggingface(open(folder / "own"), folder / "hf");
  EXPECT_EQ(done.form, "MarianMTModel");
  const std::string said = answers(folder / "ct2");
  EXPECT_GT(said.size(), 40U);
  EXPECT_EQ(answers(folder / "own"), said);
  EXPECT_EQ(answers(folder / "hf"), said);
  ASSERT_FALSE(numbers(folder / "ct2").empty());
  EXPECT_EQ(numbers(folder / "own"), numbers(folder / "ct2"));
  EXPECT_EQ(numbers(folder / "hf"), numbers(folder / "ct2"));
}

TEST(Ct2Export, SaysWhyAPreNormOneStays) {
  const Temporary folder;
  fs::create_directories(folder / "ct2");
  write_file(folder / "ct2" / "model.bin", ct2_seed(6));
  write_file(folder / "ct2" / "source_vocabulary.txt", "<unk>\n<s>\n</s>\n\u2581\na\nt\n");
  write_file(folder / "ct2" / "target_vocabulary.txt", "<unk>\n<s>\n</s>\n\u2581\nx\n");
  Translator::load(folder / "ct2").save(folder / "own");
  try {
    (void)export_huggingface(open(folder / "own"), folder / "hf");
    FAIL() << "no class has such a network";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("its norms stand before the layers"));
  }
  EXPECT_FALSE(fs::exists(folder / "hf"));
}

}  // namespace
}  // namespace qkv
