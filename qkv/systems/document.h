// Whole texts through translators of sentences: split, translated, put together again with the
// white space of the source.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "qkv/systems/translator_chain.h"

namespace qkv {

/// How many sentences a document had, and how many did not fit into the model.
struct DocumentReport {
  std::int64_t sentences = 0;
  std::int64_t cut = 0;  // sentences whose end was not translated
};

/// Paragraphs, blank lines and line ends between sentences stay as they are; a sentence that is
/// wrapped over several lines comes back on one. Takes any bytes. For lines that are not wrapped
/// there is TranslateOptions::sentences.
std::string translate_document(const TranslatorChain& translators, std::string_view text,
                               std::span<const TranslateOptions> options,
                               const ProgressSink& progress = {}, DocumentReport* report = nullptr);

}  // namespace qkv
