#include "qkv/decode/draw.h"

#include <algorithm>
#include <cmath>

#include "qkv/base/error.h"

namespace qkv {
namespace {

/// log softmax(logits)[id]
double log_probability(std::span<const float> logits, std::int32_t id) {
  const auto most = static_cast<double>(*std::ranges::max_element(logits));
  double sum = 0;
  for (const float z : logits) sum += std::exp(static_cast<double>(z) - most);
  return static_cast<double>(logits[static_cast<std::size_t>(id)]) - most - std::log(sum);
}

}  // namespace

std::vector<std::vector<Hypothesis>> draw(const StepModel& model,
                                          std::span<const Tokens* const> sources,
                                          const SearchOptions& options, const SampleOptions& how) {
  SearchOptions search = options;
  search.beam = std::max(search.beam, search.n_best);  // there is no beam
  search.check(model.vocabulary());
  const std::int64_t end = model.ends_sources() ? 1 : 0;
  GenerateOptions generating{.sample = how,
                             .stop = options.eos,
                             .batch = std::max<std::int64_t>(
                                 1, options.n_best * static_cast<std::int64_t>(sources.size())),
                             .attention = options.looks(),
                             .close = true};
  generating.sample.suppressed.insert(generating.sample.suppressed.end(),
                                      options.suppressed.begin(), options.suppressed.end());
  generating.sample.bans = options.bans;
  Tokens given = options.begin, prompt = {options.bos};
  given.insert(given.end(), options.prefix.begin(), options.prefix.end());
  prompt.insert(prompt.end(), given.begin(), given.end());
  const auto begun = static_cast<std::int64_t>(options.begin.size());
  std::vector<Draw> texts;
  for (const Tokens* source : sources) {
    const auto [least, most] = options.lengths(model, static_cast<std::int64_t>(source->size()),
                                               1 + std::ssize(options.prefix));
    if (most <= begun) fail("draw: {} tokens to begin with leave no room for more", begun);
    for (int n = 0; n < options.n_best; ++n) {
      texts.push_back({.prompt = {.tokens = prompt, .source = *source},
                       .seed = how.seed + static_cast<std::uint64_t>(n),
                       .max_tokens = most - begun,
                       .min_tokens = std::max<std::int64_t>(0, least - begun)});
    }
  }
  std::vector<Hypothesis> drawn(texts.size());
  const auto keep = [&](const DrawnToken& token) {
    Hypothesis& h = drawn[static_cast<std::size_t>(token.text)];
    h.token_scores.push_back(static_cast<float>(log_probability(token.logits, token.token)));
    h.log_probability += static_cast<double>(h.token_scores.back());
    h.attention.insert(h.attention.end(), token.attention.begin(), token.attention.end());
    return true;
  };
  std::vector<Tokens> tokens = generate(model, texts, generating, keep);
  std::vector<std::vector<Hypothesis>> results(sources.size());
  for (std::size_t i = 0; i < drawn.size(); ++i) {
    Hypothesis& h = drawn[i];
    const std::int64_t counted = begun + std::ssize(tokens[i]) + 1;
    h.tokens = given;
    h.tokens.insert(h.tokens.end(), tokens[i].begin(), tokens[i].end());
    h.token_scores.insert(h.token_scores.begin(), given.size(), 0.0f);
    h.sources = static_cast<std::int64_t>(texts[i].prompt.source.size()) + end;
    if (options.looks()) {
      h.attention.insert(h.attention.begin(), given.size() * static_cast<std::size_t>(h.sources),
                         0.0f);
    }
    h.score = h.log_probability / options.penalty(counted);
    if (options.coverage != 0.0) {
      h.score += options.coverage * coverage_penalty(coverage_of(h.attention, h.sources), end > 0);
    }
    if (!options.attention) {
      h.attention.clear();
      h.sources = 0;
    }
    results[i / static_cast<std::size_t>(options.n_best)].push_back(std::move(h));
  }
  return results;
}

}  // namespace qkv
