// qkv bench generate: many texts at once against one after the other, with random weights.
#include <chrono>
#include <functional>

#include "app/bench/bench.h"
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/base/random.h"
#include "qkv/decode/language_decoder.h"
#include "qkv/decode/sample.h"
#include "qkv/train/language.h"

namespace qkv::app {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kCharacters = 96;  // printable ASCII, as most texts have

struct BenchGenerate {
  std::string preset = "char-small";
  std::int64_t prompts = 8, tokens = 200;
  int runs = 3;
};

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

/// Seconds, the median of the runs; the first one is not counted.
double seconds_of(int runs, const std::function<void()>& work) {
  std::vector<double> seconds;
  for (int run = 0; run < runs + 1; ++run) {
    const Clock::time_point start = Clock::now();
    work();
    const double taken = std::chrono::duration<double>(Clock::now() - start).count();
    if (run > 0) seconds.push_back(taken);
  }
  return median(seconds);
}

void bench_generate(const BenchGenerate& b, Program& program) {
  Mpt::Config config = language_preset(b.preset, LanguageKind::transformer).mpt;
  if (b.preset.starts_with("char")) config.vocab_size = kCharacters;
  const Mpt model = Mpt::make(config, 1);
  const MptDecoder decoder(model);
  const std::vector<Draw> texts = random_prompts(b.prompts, config.vocab_size);
  GenerateOptions options{.max_tokens = b.tokens, .batch = 1};
  std::vector<Tokens> alone, together;
  const double one = seconds_of(b.runs, [&] { alone = generate(decoder, texts, options); });
  options.batch = b.prompts;
  const double all = seconds_of(b.runs, [&] { together = generate(decoder, texts, options); });
  if (alone != together) fail("bench generate: a text depends on its neighbours");
  const auto count = static_cast<double>(b.prompts * b.tokens);
  if (program.json) {
    const nlohmann::json result = {{"bench", "generate"},
                                   {"model", b.preset + ", random weights"},
                                   {"parameters", config.parameters()},
                                   {"prompts", b.prompts},
                                   {"threads", threads()},
                                   {"tokens_a_second_alone", count / one},
                                   {"tokens_a_second_together", count / all},
                                   {"ratio", one / all}};
    fmt::print("{}\n", result.dump());
    return;
  }
  fmt::print(
      "generate: {} prompts, {} parameters, {} threads: {:.0f} tokens/s one after the other, "
      "{:.0f} "
      "together, {:.2f} times as many; the same texts\n",
      b.prompts, config.parameters(), threads(), count / one, count / all, one / all);
}

}  // namespace

void add_bench_generate(CLI::App& bench, Program& program) {
  auto b = std::make_shared<BenchGenerate>();
  CLI::App* c = bench.add_subcommand(
      "generate", "Many prompts at once against one after the other, random weights");
  c->add_option("--preset", b->preset, "char-tiny, char-small, words or base")
      ->capture_default_str();
  c->add_option("--prompts", b->prompts, "Texts")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  c->add_option("--tokens", b->tokens, "Tokens a text")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  c->add_option("--runs", b->runs, "Runs measured")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  c->add_flag("--json", program.json, "Print JSON");
  add_threads(*c, program);
  c->callback([b, &program] {
    apply_threads(program);
    bench_generate(*b, program);
  });
}

}  // namespace qkv::app
