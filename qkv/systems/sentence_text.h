// Texts of several sentences through what answers one sentence at a time.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/systems/translator.h"

namespace qkv {

/// What a sentence may go over.
enum class SentenceReach { line, document };

/// A text cut into sentences, each on one line, and the white space around them.
struct SentenceText {
  std::vector<std::string> sentences;
  std::vector<std::string> spaces;  // before the first, behind each

  /// Takes any bytes. Within lines every line end stays where it is.
  static SentenceText cut(std::string_view text, SentenceReach reach);
  /// Other texts in the place of the sentences. Where none stood between two of them there is a
  /// space, unless both are written without (Chinese, Japanese).
  std::string join(std::span<const std::string> texts) const;
  /// Translations of the sentences as one of the text: its candidates are the best of each, then
  /// the second best of each, …; scores add up. `token_scores` ends with all the ends.
  Translation join(std::span<const Translation> parts) const;
};

using TranslateTexts = std::function<std::vector<Translation>(std::span<const std::string>)>;
/// The translations of texts whose sentences `translate` translates, all of them at once.
std::vector<Translation> translate_by_sentences(std::span<const std::string> texts,
                                                const TranslateTexts& translate);
/// Answers lines as they come, as many at once as can be had without waiting.
void answer_lines(const LineSource& source, const TranslateTexts& translate,
                  const std::function<void(std::int64_t line, const Translation&)>& sink);

}  // namespace qkv
