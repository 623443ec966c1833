// Directories of decoders as transformers writes them, as systems: opened, asked, saved, damaged.
#include <algorithm>
#include <fstream>

#include "golden/golden.h"
#include "systems/golden_folders.h"
#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/io/json.h"
#include "qkv/systems/generator.h"
#include "qkv/systems/language_model.h"
#include "qkv/systems/open.h"

namespace qkv {
namespace {

using qkv::testing::Golden;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

class Directory {
 public:
  explicit Directory(const std::string& model) {
    testing::make_golden_decoder(model, folder_.path());
  }
  const std::filesystem::path& path() const { return folder_.path(); }

  /// Sets a field of a file, or with null takes it out.
  void set(const char* file, const std::string& field, const Json& value) const {
    Json json = read_json(path() / file);
    json.erase(field);
    if (!value.is_null()) json[field] = value;
    write_json(path() / file, json);
  }
  auto loading() const {
    return [this] { (void)load_language_model(path()); };
  }

 private:
  Temporary folder_;
};

std::string text_of(const std::vector<std::int32_t>& ids, bool goes_on = false) {
  std::string text;
  for (const std::int32_t id : ids) {
    text += (text.empty() && !goes_on ? "t" : " t") + std::to_string(id);
  }
  return text;
}

/// What golden.safetensors says that follows three tokens, without what ends it.
std::vector<std::int32_t> follows(const Golden& golden, const std::string& name) {
  std::vector<std::int32_t> ids = golden.ids(name);
  ids.erase(ids.begin(), ids.begin() + 3);
  if (!ids.empty() && ids.back() == 39) ids.pop_back();
  return ids;
}

TEST(ImportedGenerator, WritesWhatTransformersWrites) {
  for (const std::string model : {"gpt2", "gpt-neo", "llama", "mpt"}) {
    SCOPED_TRACE(model);
    const Directory directory(model);
    const System system = open(directory.path());
    ASSERT_EQ(verb_of(system), "generate");
    const Generator& generator = std::get<Generator>(system);
    EXPECT_THAT(generator.info().notes, IsEmpty());
    const Golden golden(model);
    for (const std::string n : {"0", "1"}) {
      std::vector<std::int32_t> prompt = golden.ids(n + ".ids");
      prompt.resize(3);
      const auto greedy = generator.generate(text_of(prompt), {.tokens = 9, .greedy = true});
      EXPECT_EQ(greedy.text, text_of(follows(golden, n + ".greedy"), true));
      const auto beam = generator.generate(text_of(prompt), {.tokens = 9, .beam = 4});
      EXPECT_EQ(beam.text, text_of(follows(golden, n + ".beam"), true));
    }
  }
}

TEST(ImportedGenerator, SavedItGivesTheSameBits) {
  for (const std::string model : {"gpt2-flags", "gpt-neo", "llama-llama3", "mpt-three-heads"}) {
    SCOPED_TRACE(model);
    const Directory directory(model);
    const Temporary saved;
    const Generator before = Generator::load(directory.path());
    before.save(saved.path());
    const Generator after = Generator::load(saved.path());
    EXPECT_EQ(after.model().ends, (std::vector<std::int32_t>{39}));
    EXPECT_EQ(after.model().tokeniser.eos(), 39);
    EXPECT_EQ(after.generate("t4 t5", {.tokens = 20}).text,
              before.generate("t4 t5", {.tokens = 20}).text);
    const std::vector<std::string> lines = {"t4 t5 t6", "t7 t8"};
    EXPECT_EQ(after.score(lines).nll, before.score(lines).nll);
    EXPECT_EQ(after.attention("t4 t5").maps.size(), before.attention("t4 t5").maps.size());
  }
}

TEST(ImportedGenerator, SeveralTokensEndAText) {
  const Directory directory("gpt2");
  const Generator plain = Generator::load(directory.path());
  const auto whole = plain.generate("t4 t5 t6", {.tokens = 9, .greedy = true}).tokens;
  ASSERT_GT(whole.size(), 2u);
  const int second = std::stoi(whole[1].substr(1));
  directory.set("generation_config.json", "eos_token_id", {39, second});
  directory.set("generation_config.json", "temperature", 0.6);
  const Generator generator = Generator::load(directory.path());
  EXPECT_THAT(generator.info().notes,
              ElementsAre(HasSubstr("its defaults are not applied, give them as options: "
                                    "temperature 0.6")));
  const auto found = std::ranges::find(whole, whole[1]) - whole.begin();
  EXPECT_EQ(std::ssize(generator.generate("t4 t5 t6", {.tokens = 9, .greedy = true}).tokens),
            found);
  const auto beam = generator.generate("t4 t5 t6", {.tokens = 9, .beam = 4}).tokens;
  EXPECT_EQ(std::ranges::count(beam, whole[1]), 0);
}

TEST(ImportedGenerator, BatchesAndCachesOfOtherTypes) {
  const Directory directory("llama");
  const Generator generator = Generator::load(directory.path());
  const std::vector<std::string> prompts = {"t4 t5 t6", "t7", "t8 t9 t10 t11"};
  const auto all = generator.generate(prompts, {.tokens = 8, .greedy = true});
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    EXPECT_EQ(all[n].text, generator.generate(prompts[n], {.tokens = 8, .greedy = true}).text);
  }
  for (const CacheType type : {CacheType::bf16, CacheType::int8}) {
    EXPECT_EQ(
        generator.generate("t4 t5", {.tokens = 8, .greedy = true, .cache = type}).tokens.size(),
        generator.generate("t4 t5", {.tokens = 8, .greedy = true}).tokens.size());
  }
}

TEST(ImportedGenerator, RefusesByNameWhatItHasNot) {
  struct Case {
    const char *model, *field;
    Json value;
    const char* message;
  };
  const Case cases[] = {
      {"llama", "rope_scaling", {{"rope_type", "yarn"}, {"factor", 4.0}}, "'yarn'"},
      {"llama", "rope_scaling", {{"type", "linear"}, {"factor", 4.0}, {"beta", 1}}, "beta"},
      {"llama", "hidden_act", "maxout", "hidden_act"},
      {"llama", "num_key_value_heads", 3, "no multiple of kv_n_heads 3"},
      {"llama", "quantization_config", {{"bits", 4}}, "quantization_config"},
      {"llama", "architectures", {"LlamaForSequenceClassification"}, "LlamaForSequenceClass"},
      {"llama", "tie_word_embeddings", true, "no copy of the embeddings"},
      {"gpt2", "n_embd", 1 << 29, "not the model of"},
      {"gpt2", "n_embd", 12, "must be"},
      {"gpt2", "tie_word_embeddings", false, "lm_head.weight"},
      {"gpt2", "add_cross_attention", true, "add_cross_attention"},
      {"gpt2", "eos_token_id", 40, "outside a vocabulary of 40"},
      {"gpt-neo", "attention_types", {{{"global", "far"}, 1}}, "neither global nor local"},
      {"gpt-neo", "attention_types", {{{"global"}, 1}}, "for 2 layers"},
      {"mpt", "expansion_ratio", 2, "expansion_ratio"},
      {"mpt", "attn_config", {{"qk_ln", true}}, "qk_ln"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.model) + " " + c.field);
    const Directory directory(c.model);
    if (std::string(c.field) == "eos_token_id") {
      directory.set("generation_config.json", c.field, c.value);
    }
    directory.set("config.json", c.field, c.value);
    EXPECT_THAT(directory.loading(), ThrowsMessage<DataError>(HasSubstr(c.message)));
  }
  const Directory unknown("llama");
  unknown.set("config.json", "new_field", 1);
  EXPECT_THAT(load_language_model(unknown.path()).notes, ElementsAre(HasSubstr("new_field")));
}

TEST(ImportedGenerator, DamagedFilesGiveOneClearError) {
  const Directory directory("gpt-neo");
  for (const char* name :
       {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"}) {
    const std::string whole = read_file(directory.path() / name);
    for (std::size_t size = 0; size + 1 < whole.size();
         size += std::max<std::size_t>(97, whole.size() / 60)) {
      write_file(directory.path() / name, std::string_view(whole).substr(0, size));
      EXPECT_THROW(load_language_model(directory.path()), DataError) << name << " " << size;
    }
    write_file(directory.path() / name, whole);
  }
  EXPECT_NO_THROW(load_language_model(directory.path()));
  std::filesystem::remove(directory.path() / "tokenizer.json");
  EXPECT_THAT(directory.loading(), ThrowsMessage<FileError>(HasSubstr("tokenizer.json")));
}

}  // namespace
}  // namespace qkv
