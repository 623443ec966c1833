#include "bench/run/generate.h"

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/decode/language_decoder.h"
#include "qkv/decode/sample.h"
#include "qkv/train/language.h"

namespace qkv::bench {
namespace {

constexpr std::int64_t kCharacters = 96;  // printable ASCII, as most texts have

std::vector<Draw> random_prompts(std::int64_t count, std::int64_t vocabulary) {
  Philox random(5);
  std::vector<Draw> texts(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < texts.size(); ++i) {
    texts[i].seed = i;
    texts[i].prompt.tokens.resize(20 + 5 * i);
    for (std::int32_t& id : texts[i].prompt.tokens) {
      id = static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(vocabulary)));
    }
  }
  return texts;
}

/// The median of the runs; the first one is not counted.
template <class Work>
double median_seconds(int runs, Work&& work) {
  std::vector<double> seconds;
  for (int run = 0; run < runs + 1; ++run) {
    const double taken = seconds_of(work);
    if (run > 0) seconds.push_back(taken);
  }
  return median(seconds);
}

}  // namespace

Report generate(const GenerateBenchOptions& o, const Say&) {
  Mpt::Config config = std::get<Mpt::Config>(language_recipe(o.preset).network);
  if (o.preset.starts_with("char")) config.vocab_size = kCharacters;
  const Mpt model = Mpt::make(1, config);
  const MptDecoder decoder(model);
  const std::vector<Draw> texts = random_prompts(o.prompts, config.vocab_size);
  GenerateOptions options{.max_tokens = o.tokens, .batch = 1};
  std::vector<Tokens> alone, together;
  const double one =
      median_seconds(o.runs, [&] { alone = qkv::generate(decoder, texts, options); });
  options.batch = o.prompts;
  const double all =
      median_seconds(o.runs, [&] { together = qkv::generate(decoder, texts, options); });
  if (alone != together) fail("bench generate: a text depends on its neighbours");
  const auto count = static_cast<double>(o.prompts * o.tokens);
  return {.json = {{"bench", "generate"},
                   {"model", o.preset + ", random weights"},
                   {"parameters", config.parameters()},
                   {"prompts", o.prompts},
                   {"threads", threads()},
                   {"tokens_a_second_alone", count / one},
                   {"tokens_a_second_together", count / all},
                   {"ratio", one / all}},
          .text = fmt::format(
              "generate: {} prompts, {} parameters, {} threads: {:.0f} tokens/s one after the "
              "other, {:.0f} together, {:.2f} times as many; the same texts\n",
              o.prompts, config.parameters(), threads(), count / one, count / all, one / all)};
}

}  // namespace qkv::bench
