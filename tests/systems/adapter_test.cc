// Models that are changes of other ones: what lies in their directories, and where the base lies.
#include "qkv/systems/adapter.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "systems/tiny_models.h"
#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/ops/elementwise.h"
#include "qkv/systems/make_labeller.h"
#include "qkv/systems/open.h"

namespace qkv {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

/// Adapters as they are after some learning.
template <class Model>
void learn(Model& model) {
  Initialiser init(11);
  for_each_parameter(model, [&](std::string_view path, Tensor& p) {
    if (is_lora(path)) p = init.normal(p.shape(), 0.3);
  });
}

/// A kind of model that can be a change of another one.
struct Kind {
  const char* name;
  std::function<void(const fs::path&)> make_base;
  /// Writes a change of the base, and gives what the model answers before it is saved.
  std::function<std::string(const fs::path& base, const fs::path& to)> make;
  std::function<std::string(const fs::path&)> ask;
  std::vector<std::string> files;
};

const LoraOptions kLora{.rank = 2, .alpha = 3, .targets = LoraTargets::all};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = {
      {"translate",
       [](const fs::path& to) { tiny::make_translator(to, false); },
       [](const fs::path& base, const fs::path& to) {
         TranslationModel m = load_translation_model(base);
         begin_adapter(m, base, kLora, 1);
         learn(m);
         save_translation_model(m, to);
         merge_lora(m);
         m.adapter.reset();
         save_translation_model(m, to.string() + ".whole");
         return tiny::ask_translator(to.string() + ".whole");
       },
       tiny::ask_translator,
       {kAdapterConfigFile, kAdapterFile, kConfigFile}},
      {"lm",
       [](const fs::path& to) { tiny::make_language(to, false); },
       [](const fs::path& base, const fs::path& to) {
         LanguageModel m = load_language_model(base);
         begin_adapter(m, base, kLora, 1);
         learn(m);
         save_language_model(m, to);
         merge_lora(m);
         m.adapter.reset();
         save_language_model(m, to.string() + ".whole");
         return tiny::ask_language(to.string() + ".whole");
       },
       tiny::ask_language,
       {kAdapterConfigFile, kAdapterFile, kConfigFile}},
      {"classify",
       tiny::make_foreign,
       [](const fs::path& base, const fs::path& to) {
         LabellerDesign d;
         d.task = LabelTask::classify;
         d.network.encoder = LabelEncoder::bert;
         d.network.pooling = Pooling::token;
         LabelledText text;
         text.words = {{"the", "red"}, {"boat"}};
         text.labels = {"yes", "no"};
         const BertModel bert = load_bert_model(base);
         LabellerModel m = make_labeller(d, text, 1, &bert);
         begin_adapter(m, base, kLora, 1);
         learn(m);
         save_labeller_model(m, to);
         merge_lora(m);
         m.adapter.reset();
         save_labeller_model(m, to.string() + ".whole");
         return tiny::ask_labeller(to.string() + ".whole");
       },
       tiny::ask_labeller,
       {kAdapterConfigFile, kAdapterFile, "classes.vocabulary", kConfigFile, kWeightsFile}}};
  return all;
}

std::string error_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(Adapter, HoldsTheChangeAloneAndAnswersAsTheWholeModel) {
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    const Temporary folder;
    kind.make_base(folder / "base");
    const std::string whole = kind.make(folder / "base", folder / "change");
    EXPECT_EQ(tiny::files_in(folder / "change"), kind.files);
    EXPECT_EQ(kind.ask(folder / "change"), whole);
    EXPECT_NE(kind.ask(folder / "change.whole"), "") << "a whole model";
    const Json config = read_json(folder / "change" / kAdapterConfigFile);
    EXPECT_EQ(config["peft_type"], "LORA");
    EXPECT_EQ(config["r"], 2);
    EXPECT_EQ(config["lora_alpha"], 3.0);
    const Info info = info_of(qkv::open(folder / "change"));
    EXPECT_THAT(info.notes, ::testing::Contains(HasSubstr("adapters of rank 2 merged into")));
  }
}

TEST(Adapter, StaysApartForWhoTrainsOn) {
  const Temporary folder;
  tiny::make_language(folder / "base", false);
  (void)kinds()[1].make(folder / "base", folder / "change");
  const LanguageModel apart = load_language_model(folder / "change", Adapters::apart);
  ASSERT_TRUE(apart.adapter);
  save_language_model(apart, folder / "again");
  EXPECT_EQ(read_file(folder / "again" / kAdapterFile),
            read_file(folder / "change" / kAdapterFile));
  EXPECT_FALSE(load_language_model(folder / "change").adapter);
}

TEST(Adapter, FindsABaseThatMovedBesideItAndRefusesAnotherOne) {
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    const Temporary folder, elsewhere;
    kind.make_base(folder / "base");
    const std::string whole = kind.make(folder / "base", folder / "change");
    fs::rename(folder / "base", elsewhere / "base");
    fs::rename(folder / "change", elsewhere / "change");
    EXPECT_EQ(kind.ask(elsewhere / "change"), whole);
    const auto error = [&] { return error_of([&] { (void)kind.ask(elsewhere / "change"); }); };
    Json config = read_json(elsewhere / "base" / kConfigFile);
    config["preset"] = "changed";
    write_json(elsewhere / "base" / kConfigFile, config);
    EXPECT_THAT(error(), HasSubstr("base: is not the model any more that"));
    fs::remove_all(elsewhere / "base");
    EXPECT_THAT(error(), HasSubstr("is not there, but"));
    EXPECT_THAT(error(), HasSubstr((folder / "base").string()));
  }
}

// Of another program's directory every file counts that a model is read from, and an archive is
// one.
TEST(Adapter, KnowsItsBaseByAllItsFiles) {
  const Temporary folder;
  const auto sum = [&] { return model_checksum(folder.path()); };
  std::string last = sum();
  for (const char* file : {"model.npz", "vocab.yml", "model.bin", "source.spm", "config.json",
                           "1_Pooling/config.json", "model/model.bin"}) {
    fs::create_directories((folder / file).parent_path());
    write_file(folder / file, "{}");
    const std::string now = sum();
    EXPECT_NE(now, last) << file;
    write_file(folder / file, "{ }");
    EXPECT_NE(sum(), now) << file;
    last = sum();
  }
  for (const char* file : {"README.md", "pytorch_model.bin", ".hidden.json"}) {
    write_file(folder / file, "x");
    EXPECT_EQ(sum(), last) << file;
  }
  write_file(folder / "en_xx.argosmodel", "x");
  const std::string packed = model_checksum(folder / "en_xx.argosmodel");
  write_file(folder / "en_xx.argosmodel", "y");
  EXPECT_NE(model_checksum(folder / "en_xx.argosmodel"), packed);
}

TEST(Adapter, DoesNotStandOnAnother) {
  const Temporary folder;
  tiny::make_language(folder / "base", false);
  (void)kinds()[1].make(folder / "base", folder / "change");
  LanguageModel m = load_language_model(folder / "change");
  EXPECT_THAT(error_of([&] { begin_adapter(m, folder / "change", kLora, 1); }),
              HasSubstr("qkv import"));
  tiny::make_language(folder / "rnn", true);
  LanguageModel rnn = load_language_model(folder / "rnn");
  EXPECT_THAT(error_of([&] { begin_adapter(rnn, folder / "rnn", kLora, 1); }),
              HasSubstr("no layer with a matrix"));
}

// Whatever the files of a change say, loading it is an error in one line or a model.
TEST(Adapter, SurvivesDamage) {
  const Temporary folder;
  tiny::make_language(folder / "base", false);
  (void)kinds()[1].make(folder / "base", folder / "change");
  const fs::path config = folder / "change" / kAdapterConfigFile;
  const Json good = read_json(config);
  for (const auto& [field, value] : std::vector<std::pair<const char*, Json>>{{"r", 3},
                                                                              {"r", 0},
                                                                              {"r", 1 << 20},
                                                                              {"lora_alpha", -1},
                                                                              {"peft_type", "LOHA"},
                                                                              {"bias", "all"},
                                                                              {"mystery", 1}}) {
    Json bad = good;
    bad[field] = value;
    write_json(config, bad);
    EXPECT_THROW((void)load_language_model(folder / "change"), DataError) << field << value;
  }
  write_json(config, good);
  const fs::path tensors = folder / "change" / kAdapterFile;
  const std::string bytes = read_file(tensors);
  for (std::size_t cut = 0; cut < bytes.size(); cut += 97) {
    tiny::spill(tensors, bytes.substr(0, cut));
    EXPECT_THROW((void)load_language_model(folder / "change"), Error) << cut;
  }
  tiny::spill(tensors, bytes);
  EXPECT_NO_THROW((void)load_language_model(folder / "change"));
}

}  // namespace
}  // namespace qkv
