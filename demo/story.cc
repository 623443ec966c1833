#include "demo/story.h"

#include <algorithm>

#include <fmt/core.h>

#include "qkv/base/progress.h"
#include "qkv/eval/bleu.h"
#include "qkv/train/translation.h"

namespace qkv {
namespace {

TextPairs pairs(const std::vector<std::string>& source, const std::vector<std::string>& target) {
  TextPairs p{.source = source, .target = target};
  p.report.read = p.report.kept = static_cast<std::int64_t>(p.source.size());
  return p;
}

TranslationRecipe recipe_of(const DemoOptions& o) {
  TranslationRecipe r = translation_recipe("tiny");
  auto& m = std::get<Transformer::Config>(r.network);
  m.encoder_layers = m.decoder_layers = 2;
  m.dropout = 0.1;
  r.tokeniser = TokeniserOptions::Kind::word;
  r.target_tokeniser = TokeniserOptions::Kind::character;
  r.bleu_tokeniser = "zh";
  r.batch_tokens = 2048;
  r.valid_bleu = 200;
  TrainOptions& t = r.train;
  t.seed = o.seed;
  t.accumulate = 1;
  t.steps = o.steps;
  t.schedule = {.kind = Schedule::Kind::cosine, .rate = 4e-3, .warm_up = 200};
  t.schedule.steps = t.steps;
  t.average_last = 0;
  t.patience = 0;
  t.validate_every = std::max<std::int64_t>(1, o.steps / 5);
  return r;
}

}  // namespace

std::string demo_opening(const DemoCorpus& corpus) {
  return fmt::format(
      "a small English-Chinese corpus from a grammar of our own: {} pairs to learn from, {} to "
      "test on whose words never met before",
      grouped(static_cast<std::int64_t>(corpus.train_source.size())),
      grouped(static_cast<std::int64_t>(corpus.test_source.size())));
}

TrainReport train_demo(const DemoOptions& options, const DemoCorpus& corpus, TrainingRun& run,
                       const TrainWatch& watch) {
  return train_translator(recipe_of(options),
                          {.train = pairs(corpus.train_source, corpus.train_target),
                           .valid = pairs(corpus.valid_source, corpus.valid_target)},
                          run, watch);
}

std::string demo_score(const Translator& translator, const DemoCorpus& corpus) {
  std::vector<std::string> lines;
  for (const Translation& t : translator.translate(corpus.test_source)) lines.push_back(t.text);
  const BleuReport bleu = corpus_bleu(lines, corpus.test_target, {.tokeniser = BleuTokeniser::zh});
  std::size_t exact = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) exact += lines[i] == corpus.test_target[i] ? 1 : 0;
  return fmt::format(
      "unseen combinations: {}\n{} of {} sentences exactly as the grammar has them\n", bleu.text(),
      exact, lines.size());
}

std::string demo_translations(const Translator& translator) {
  std::string all;
  for (const DemoPair& pair : demo_sentences()) {
    const std::string text = translator.translate(pair.source).text;
    all += fmt::format("  {}\n    {}{}\n", pair.source, text,
                       text == pair.target ? "" : "   (the grammar says " + pair.target + ")");
  }
  return all;
}

}  // namespace qkv
