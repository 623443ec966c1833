#include "qkv/systems/translator_chain.h"

#include <utility>

#include "qkv/base/error.h"
#include "qkv/systems/sentence_text.h"
#include "qkv/systems/translation_model.h"

namespace qkv {

TranslatorChain::TranslatorChain(std::vector<Translator> steps) : steps_(std::move(steps)) {
  if (steps_.empty()) fail("a chain of translators needs one at least");
  for (std::size_t i = 1; i < steps_.size(); ++i) {
    const TranslationModel &from = steps_[i - 1].model(), &to = steps_[i].model();
    if (from.to_code.empty() || to.from_code.empty() || from.to_code == to.from_code) continue;
    fail("model {} ({}) translates into '{}', but the next one ({}) from '{}'", i, from.preset,
         from.to_code, to.preset, to.from_code);
  }
}

TranslatorChain TranslatorChain::load(std::span<const std::filesystem::path> models,
                                      const LoadOptions& options) {
  std::vector<Translator> steps;
  for (const std::filesystem::path& model : models) {
    steps.push_back(Translator::load(model, options));
  }
  return TranslatorChain(std::move(steps));
}

std::vector<TranslateOptions> TranslatorChain::defaults() const {
  std::vector<TranslateOptions> defaults;
  for (const Translator& step : steps_) defaults.push_back(step.defaults());
  return defaults;
}

std::vector<Translation> TranslatorChain::through(std::span<const std::string> texts,
                                                  std::span<const TranslateOptions> options,
                                                  const ProgressSink& progress) const {
  std::vector<std::string> now(texts.begin(), texts.end());
  std::vector<Translation> found;
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    TranslateOptions asked = options[i];
    if (i + 1 < steps_.size()) asked.n_best = 1;
    if (i == 0) asked.sentences = false;  // they are cut already
    const std::vector<Translation> before = std::exchange(found, {});
    found = steps_[i].translate(now, asked, progress);
    for (std::size_t t = 0; t < found.size(); ++t) {
      if (i > 0) {
        for (TranslationCandidate& c : found[t].best) {
          c.score += before[t].score;
          c.log_probability += before[t].best.front().log_probability;
        }
        found[t].score += before[t].score;
        found[t].cut += before[t].cut;
      }
      now[t] = found[t].text;
    }
  }
  return found;
}

std::vector<Translation> TranslatorChain::translate(std::span<const std::string> texts,
                                                    std::span<const TranslateOptions> options,
                                                    const ProgressSink& progress) const {
  if (options.size() != steps_.size()) {
    fail("a chain of {} translators, but options for {}", steps_.size(), options.size());
  }
  if (steps_.size() == 1) return steps_.front().translate(texts, options.front(), progress);
  for (const TranslateOptions& o : options) {
    if (o.attention) fail("attention: it is of one model; ask the translators one by one");
  }
  const auto pass = [&](std::span<const std::string> some) {
    return through(some, options, progress);
  };
  return options.front().sentences ? translate_by_sentences(texts, pass) : pass(texts);
}

void TranslatorChain::translate(const LineSource& source, std::span<const TranslateOptions> options,
                                const std::function<void(std::int64_t, const Translation&)>& sink,
                                const ProgressSink& progress) const {
  if (steps_.size() == 1 && options.size() == 1) {
    return steps_.front().translate(source, options.front(), sink, progress);
  }
  answer_lines(
      source,
      [&](std::span<const std::string> lines) { return translate(lines, options, progress); },
      sink);
}

}  // namespace qkv
