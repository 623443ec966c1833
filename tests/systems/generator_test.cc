#include "qkv/systems/generator.h"

#include <gtest/gtest.h>

#include "qkv/systems/language_model.h"

namespace qkv {
namespace {

/// Of running text: no token ends it.
LanguageModel running_text() {
  LanguageModel m;
  m.tokeniser = train_language_tokeniser({.kind = Tokeniser::Kind::character},
                                         std::vector<std::string>{"the red boat waits", "a dog"});
  m.context = 8;
  m.network = Mpt::make(1, {.d_model = 16,
                            .n_heads = 2,
                            .n_layers = 1,
                            .max_seq_len = 64,
                            .vocab_size = m.tokeniser.size()});
  return m;
}

TEST(Generator, ManyPromptsGiveTheTextsOfEachByDrawingAndByBeam) {
  const Generator g(running_text());
  const std::vector<std::string> prompts = {"the", "a dog waits", "", "red"};
  for (const int beam : {0, 1, 3}) {
    GeneratorOptions options{.tokens = 9, .beam = beam, .batch = 3};
    const auto together = g.generate(prompts, options);
    ASSERT_EQ(together.size(), prompts.size());
    for (std::size_t n = 0; n < prompts.size(); ++n) {
      GeneratorOptions alone = options;
      alone.seed += n;
      const GeneratedText one = g.generate(prompts[n], alone);
      EXPECT_EQ(together[n].text, one.text) << beam;
      EXPECT_EQ(one.tokens.size(), 9U) << "running text has no end";
    }
  }
  GeneratorOptions greedy{.tokens = 9, .greedy = true}, beam{.tokens = 9, .beam = 1};
  EXPECT_EQ(g.generate("the", greedy).text, g.generate("the", beam).text);
  beam.tokens = 0;
  EXPECT_EQ(g.generate("the", beam).text, "");
}

}  // namespace
}  // namespace qkv
