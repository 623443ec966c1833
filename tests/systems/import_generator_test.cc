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
  for (const std::string model : {"gpt2", "gpt-neo", "llama", "mpt", "mpt-v5", "llama-llama3-v5"}) {
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
  const Generator generator = Generator::load(directory.path());
  const auto found = std::ranges::find(whole, whole[1]) - whole.begin();
  EXPECT_EQ(std::ssize(generator.generate("t4 t5 t6", {.tokens = 9, .greedy = true}).tokens),
            found);
  const auto beam = generator.generate("t4 t5 t6", {.tokens = 9, .beam = 4}).tokens;
  EXPECT_EQ(std::ranges::count(beam, whole[1]), 0);
}

/// What stands in ways.safetensors behind three tokens.
std::string way(const std::string& model, const std::string& name) {
  return text_of(follows(Golden(model, "ways.safetensors"), name), true);
}

TEST(ImportedGenerator, BansAndPenaltiesAreThoseOfTransformers) {
  for (const std::string model : {"gpt2", "llama"}) {
    SCOPED_TRACE(model);
    const Directory directory(model);
    const Generator generator = Generator::load(directory.path());
    std::vector<std::int32_t> ids = Golden(model).ids("0.ids");
    ids.resize(3);
    const std::string prompt = text_of(ids);
    GeneratorOptions options = {.tokens = 9, .greedy = true, .no_repeat_ngram_size = 2};
    EXPECT_EQ(generator.generate(prompt, options).text, way(model, "ngram.greedy"));
    options = {.tokens = 9, .beam = 4, .no_repeat_ngram_size = 2};
    EXPECT_EQ(generator.generate(prompt, options).text, way(model, "ngram.beam"));
    options = {.tokens = 9, .greedy = true, .repetition_penalty = 1.5};
    EXPECT_EQ(generator.generate(prompt, options).text, way(model, "penalty.greedy"));
  }
}

TEST(ImportedGenerator, TheDirectorySaysHowTextsAreWritten) {
  const Directory directory("gpt2");
  EXPECT_EQ(Generator::load(directory.path()).defaults().temperature, 1.0);
  const auto set = [&](const char* name, const Json& value) {
    directory.set("generation_config.json", name, value);
  };
  set("do_sample", true);
  set("temperature", 0.6);
  set("top_p", 0.9);
  set("repetition_penalty", 1.2);
  set("no_repeat_ngram_size", 3);
  set("max_new_tokens", 17);
  set("min_length", 0);
  set("typical_p", 0.4);
  const Generator generator = Generator::load(directory.path());
  const GeneratorOptions& o = generator.defaults();
  EXPECT_EQ(o.temperature, 0.6);
  EXPECT_EQ(o.top_p, 0.9);
  EXPECT_EQ(o.top_k, 50) << "where it draws and does not say";
  EXPECT_EQ(o.repetition_penalty, 1.2);
  EXPECT_EQ(o.no_repeat_ngram_size, 3);
  EXPECT_EQ(o.tokens, 17);
  EXPECT_THAT(generator.info().notes, ElementsAre(HasSubstr("does not count here: "
                                                            "typical_p 0.4")));
  const Temporary saved;
  generator.save(saved.path());
  const GeneratorOptions again = Generator::load(saved.path()).defaults();
  EXPECT_EQ(again.temperature, 0.6);
  EXPECT_EQ(again.tokens, 17);
  EXPECT_EQ(generator.generate("t4 t5", o).text,
            Generator::load(saved.path()).generate("t4 t5", again).text);
  set("do_sample", false);
  EXPECT_EQ(Generator::load(directory.path()).defaults().temperature, 0.0);
  EXPECT_EQ(Generator::load(directory.path()).defaults().top_k, 0);
  set("num_beams", 4);
  EXPECT_EQ(Generator::load(directory.path()).defaults().beam, 4);
  for (const auto& [name, value] : {std::pair{"top_p", Json(1.5)},
                                    {"temperature", Json(-1)},
                                    {"top_k", Json(0.5)},
                                    {"do_sample", Json("yes")}}) {
    const Directory wrong("gpt2");
    wrong.set("generation_config.json", name, value);
    EXPECT_THAT(wrong.loading(), ThrowsMessage<DataError>(HasSubstr(name)));
  }
}

TEST(ImportedGenerator, TextsEndBeforeAStopText) {
  const Directory directory("llama");
  const Generator generator = Generator::load(directory.path());
  const std::string prompt = "t3 t27 t7";
  const auto whole = generator.generate(prompt, {.tokens = 9, .greedy = true});
  ASSERT_EQ(whole.text, " t1 t12 t37 t0 t23 t9 t36 t31 t36");
  // Across pieces, and the beginning of one that is never whole.
  GeneratorOptions options = {.tokens = 9, .greedy = true, .stop = {"t9 t", "37 t4"}};
  std::string told;
  const std::vector<std::string> one = {prompt};
  const auto stopped = generator.generate(one, options, [&](std::int64_t, std::string_view piece) {
    told += piece;
    return true;
  });
  EXPECT_EQ(stopped.front().text, " t1 t12 t37 t0 t23 ");
  EXPECT_EQ(told, stopped.front().text);
  EXPECT_EQ(stopped.front().tokens.size(), 7u) << "the last one completes it";
  options.stop = {"no such text"};
  EXPECT_EQ(generator.generate(prompt, options).text, whole.text);
  options = {.tokens = 9, .beam = 4, .stop = {"23"}};
  EXPECT_EQ(generator.generate(prompt, options).text, " t");
}

TEST(ImportedGenerator, AnswersInTheFormThatWasTaught) {
  const Directory directory("llama");
  // A vocabulary with the marks of ChatML: t30 and t31 stand for them.
  Json json = Json::parse(testing::words_json());
  for (const auto& [mark, id] : {std::pair{"<|im_start|>", 30}, {"<|im_end|>", 31}}) {
    json["model"]["vocab"].erase("t" + std::to_string(id));
    json["model"]["vocab"][mark] = id;
    json["added_tokens"].push_back({{"id", id},
                                    {"content", mark},
                                    {"special", true},
                                    {"single_word", false},
                                    {"lstrip", false},
                                    {"rstrip", false},
                                    {"normalized", false}});
  }
  write_file(directory.path() / "tokenizer.json", json.dump());
  const Generator generator = Generator::load(directory.path());
  const GeneratorOptions chat = {.tokens = 9, .greedy = true, .chat = ChatForm::chatml};
  // The same as the form spelled out, up to the end of the answer.
  const std::string spelled = "<|im_start|>user\nt4 t5<|im_end|>\n<|im_start|>assistant\n";
  GeneratorOptions plain = chat;
  plain.chat = ChatForm::none;
  plain.stop = {"<|im_end|>"};
  EXPECT_EQ(generator.generate("t4 t5", chat).text, generator.generate(spelled, plain).text);
  GeneratorOptions told = chat;
  told.system = "t9";
  const std::vector<ChatMessage> conversation = {{ChatMessage::Role::system, "t9"},
                                                 {ChatMessage::Role::user, "t4 t5"}};
  EXPECT_EQ(generator.generate("t4 t5", told).text, generator.chat(conversation, chat).text);
  EXPECT_THROW((void)generator.chat(conversation, told), UsageError) << "told twice";
  EXPECT_THROW((void)generator.chat(conversation, plain), UsageError) << "no form";
  told.chat = ChatForm::none;
  EXPECT_THROW((void)generator.generate("t4", told), UsageError);
  told.chat = ChatForm::llama3;
  EXPECT_THAT([&] { (void)generator.generate("t4", told); },
              ThrowsMessage<UsageError>(HasSubstr("<|eot_id|>")));
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
