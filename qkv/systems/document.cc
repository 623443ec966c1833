#include "qkv/systems/document.h"

#include <vector>

#include "qkv/systems/sentence_text.h"

namespace qkv {

std::string translate_document(const TranslatorChain& translators, std::string_view text,
                               std::span<const TranslateOptions> options,
                               const ProgressSink& progress, DocumentReport* report) {
  const SentenceText cut = SentenceText::cut(text, SentenceReach::document);
  std::vector<TranslateOptions> asked(options.begin(), options.end());
  if (!asked.empty()) asked.front().sentences = false;  // they are cut already
  const std::vector<Translation> found = translators.translate(cut.sentences, asked, progress);
  if (report != nullptr) {
    report->sentences += static_cast<std::int64_t>(found.size());
    for (const Translation& t : found) report->cut += t.cut > 0;
  }
  return cut.join(found).text;
}

}  // namespace qkv
