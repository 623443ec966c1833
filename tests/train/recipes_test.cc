// What every noun's recipe has in common: what a run is begun with is kept as text, and a resumed
// run reads it again, so each value that a preset gives must be one that its option takes.
#include <string>
#include <variant>

#include <gtest/gtest.h>

#include "qkv/train/action.h"
#include "qkv/train/labelling.h"
#include "qkv/train/language.h"
#include "qkv/train/masked_language.h"
#include "qkv/train/translation.h"
#include "qkv/train/vectors.h"

namespace qkv {
namespace {

template <class Options>
void expect_reads_back(Options options, const std::string& whose) {
  for (const OptionField& f : fields_of(options)) {
    const std::string value = f.get();
    if (*f.about.help == '\0' || value.empty()) continue;
    try {
      f.set(std::vector<std::string>{value}, "--" + f.flag);
      EXPECT_EQ(f.get(), value) << whose;
    } catch (const UsageError& e) {
      ADD_FAILURE() << whose << ": " << e.what();
    }
  }
}
template <class Recipe>
void expect_recipe(const Recipe& r, const std::string& whose) {
  expect_reads_back(r, whose);
  expect_reads_back(r.train, whose);
}

TEST(Recipes, EveryValueOfAPresetIsOneThatItsOptionTakes) {
  for (const char* name : {"tiny", "small", "base", "page"}) {
    for (const Architecture kind : {Architecture::transformer, Architecture::rnn}) {
      const TranslationRecipe r = translation_recipe(name, kind);
      expect_recipe(r, name);
      std::visit([&](const auto& config) { expect_reads_back(config, name); }, r.network);
    }
  }
  for (const std::string_view name : language_preset_names()) {
    for (const LanguageKind kind :
         {LanguageKind::transformer, LanguageKind::linear, LanguageKind::rnn}) {
      const std::string whose = std::string(name) + " " + std::string(name_of(kind));
      const LanguageRecipe r = language_recipe(name, kind);
      expect_recipe(r, whose);
      std::visit(
          [&](const auto& config) {
            expect_reads_back(config, whose);
            expect_reads_back(words_of(config), whose);
          },
          r.network);
    }
  }
  for (const char* name : {"tiny", "mini", "small", "base"}) {
    const MaskedRecipe r = masked_recipe(name);
    expect_recipe(r, name);
    expect_reads_back(r.network, name);
    expect_reads_back(r.masks, name);
  }
  for (const char* name : {"tiny", "small"}) {
    for (const LabelTask task : {LabelTask::tag, LabelTask::classify, LabelTask::intent}) {
      for (const LabelEncoder encoder :
           {LabelEncoder::fc, LabelEncoder::cnn, LabelEncoder::rnn, LabelEncoder::attention,
            LabelEncoder::linear, LabelEncoder::bert}) {
        const LabellingRecipe r = labelling_recipe(name, task, encoder);
        expect_recipe(r, name);
        expect_reads_back(r.network, name);
      }
      const LabellingRecipe tuned = tuned_labelling_recipe(name, task, "bert");
      expect_recipe(tuned, name);
      EXPECT_EQ(tuned.init, "bert");
      EXPECT_LT(tuned.train.schedule.rate,
                labelling_recipe(name, task, LabelEncoder::bert).train.schedule.rate);
    }
  }
  for (const char* name : {"act-micro", "act-small", "act-medium", "act-large"}) {
    const ActionRecipe r = action_recipe(name);
    expect_recipe(r, name);
    expect_reads_back(r.network, name);
    expect_reads_back(r.poses, name);
  }
  expect_recipe(VectorRecipe{}, "vectors");
  expect_reads_back(VectorNetwork::Config{}, "vectors");
}

}  // namespace
}  // namespace qkv
