// Translators one behind the other: from English to Spanish, and from there to where no translator
// goes directly.
//
//   const std::vector<std::filesystem::path> models = {"es_en.argosmodel", "en_de.argosmodel"};
//   const auto chain = qkv::TranslatorChain::load(models);
//   for (const auto& r : chain.translate(lines, chain.defaults())) std::puts(r.text.c_str());
//
// A text goes through sentence by sentence where the first translator cuts it
// (TranslateOptions::sentences), which keeps what belongs together together.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "qkv/systems/translator.h"

namespace qkv {

class TranslatorChain {
 public:
  /// At least one. Throws Error where a translator says that it translates into another language
  /// than the next one says that it translates from.
  explicit TranslatorChain(std::vector<Translator> steps);
  static TranslatorChain load(std::span<const std::filesystem::path> models,
                              const LoadOptions& options = {});

  const std::vector<Translator>& steps() const { return steps_; }
  /// What each says of translating.
  std::vector<TranslateOptions> defaults() const;

  /// One translation a text, by each step with its options. Between steps the best goes on; scores
  /// and log-probabilities are the sums over all steps, tokens those of the last one. With several
  /// steps attention is refused: it is of one model.
  std::vector<Translation> translate(std::span<const std::string> texts,
                                     std::span<const TranslateOptions> options,
                                     const ProgressSink& progress = {}) const;
  /// Answers while it reads, in order.
  void translate(const LineSource& source, std::span<const TranslateOptions> options,
                 const std::function<void(std::int64_t line, const Translation&)>& sink,
                 const ProgressSink& progress = {}) const;

 private:
  std::vector<Translation> through(std::span<const std::string> texts,
                                   std::span<const TranslateOptions> options,
                                   const ProgressSink& progress) const;

  std::vector<Translator> steps_;
};

}  // namespace qkv
