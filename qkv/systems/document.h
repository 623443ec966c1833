// Whole texts through a translator of sentences: split, translated, put together again with the
// white space of the source.
#pragma once

#include <string>
#include <string_view>

#include "qkv/systems/translator.h"

namespace qkv {

/// How many sentences a document had, and how many did not fit into the model.
struct DocumentReport {
  std::int64_t sentences = 0;
  std::int64_t cut = 0;  // sentences whose end was not translated
};

/// Paragraphs, blank lines and line ends between sentences stay as they are; a sentence that is
/// wrapped over several lines comes back on one. Takes any bytes.
std::string translate_document(const Translator& translator, std::string_view text,
                               const TranslateOptions& options = {},
                               const ProgressSink& progress = {}, DocumentReport* report = nullptr);

/// A line of several sentences, each translated by itself; the white space between them stays.
std::vector<std::string> translate_lines(const Translator& translator,
                                         std::span<const std::string> lines,
                                         const TranslateOptions& options = {},
                                         const ProgressSink& progress = {},
                                         DocumentReport* report = nullptr);

}  // namespace qkv
