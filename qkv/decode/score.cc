#include "qkv/decode/score.h"

#include <cmath>

#include "qkv/base/error.h"

namespace qkv {
namespace {

void check(const StepModel& model, std::span<const Tokens* const> sources,
           std::span<const Tokens* const> targets) {
  if (sources.size() != targets.size()) {
    fail("score: {} sources but {} targets", sources.size(), targets.size());
  }
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const auto source = static_cast<std::int64_t>(sources[i]->size());
    const auto target = static_cast<std::int64_t>(targets[i]->size());
    if (source > model.max_source() || target > model.max_target()) {
      fail("score: pair {} has {} and {} tokens, the model holds at most {} and {}", i, source,
           target, model.max_source(), model.max_target());
    }
    for (std::int32_t id : *targets[i]) {
      if (id < 0 || id >= model.vocabulary()) {
        fail("score: pair {}: target id {} outside a vocabulary of {}", i, id, model.vocabulary());
      }
    }
  }
}

}  // namespace

std::vector<Hypothesis> score(const StepModel& model, std::span<const Tokens* const> sources,
                              std::span<const Tokens* const> given, const SearchOptions& options) {
  std::vector<Tokens> begun;
  std::vector<const Tokens*> targets(given.begin(), given.end());
  if (!options.begin.empty()) {
    for (const Tokens* target : given) {
      begun.push_back(options.begin);
      begun.back().insert(begun.back().end(), target->begin(), target->end());
    }
    for (std::size_t i = 0; i < begun.size(); ++i) targets[i] = &begun[i];
  }
  check(model, sources, targets);
  std::vector<Hypothesis> results(sources.size());
  if (sources.empty()) return results;
  const std::int64_t end = model.ends_sources() ? 1 : 0;
  const auto state = model.start(sources, options.looks());
  std::vector<std::size_t> pair;  // of each row
  std::vector<std::int32_t> parents, tokens, forced, ids;
  std::vector<float> scores;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    results[i].tokens = *targets[i];
    if (options.attention) results[i].sources = static_cast<std::int64_t>(sources[i]->size()) + end;
    pair.push_back(i);
    parents.push_back(static_cast<std::int32_t>(i));
    tokens.push_back(options.bos);
  }
  for (std::size_t t = 0; !pair.empty(); ++t) {
    state->advance(parents, tokens);
    forced.clear();
    for (std::size_t i : pair) {
      const Tokens& target = *targets[i];
      forced.push_back(t < target.size() ? target[t] : options.eos);
    }
    ids.resize(pair.size());
    scores.resize(pair.size());
    state->choose({.count = 1, .forced = forced}, ids.data(), scores.data());
    parents.clear();
    tokens.clear();
    std::size_t kept = 0;
    for (std::size_t r = 0; r < pair.size(); ++r) {
      const std::size_t i = pair[r];
      Hypothesis& h = results[i];
      if (std::isnan(scores[r])) {
        fail<NumericError>("score: the model gives NaN for pair {} at token {}", i, t);
      }
      h.token_scores.push_back(t < options.begin.size() ? 0.0f : scores[r]);
      h.log_probability += static_cast<double>(h.token_scores.back());
      const auto look = state->attention(static_cast<std::int64_t>(r));
      h.attention.insert(h.attention.end(), look.begin(), look.end());
      if (t >= targets[i]->size()) {
        h.score = h.log_probability / options.penalty(static_cast<std::int64_t>(t) + 1);
        if (options.coverage != 0.0) {
          const auto sources_here = static_cast<std::int64_t>(sources[i]->size()) + end;
          h.score +=
              options.coverage * coverage_penalty(coverage_of(h.attention, sources_here), end > 0);
          if (!options.attention) h.attention.clear();
        }
        continue;
      }
      parents.push_back(static_cast<std::int32_t>(r));
      tokens.push_back(forced[r]);
      pair[kept++] = i;
    }
    pair.resize(kept);
  }
  return results;
}

std::vector<Hypothesis> score(const StepModel& model, std::span<const Tokens> sources,
                              std::span<const Tokens> targets, const SearchOptions& options) {
  std::vector<const Tokens*> source_pointers, target_pointers;
  for (const Tokens& source : sources) source_pointers.push_back(&source);
  for (const Tokens& target : targets) target_pointers.push_back(&target);
  return score(model, source_pointers, target_pointers, options);
}

}  // namespace qkv
