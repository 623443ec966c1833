#include "qkv/systems/document.h"

#include <vector>

#include "qkv/text/sentences.h"

namespace qkv {

std::vector<std::string> translate_lines(const Translator& translator,
                                         std::span<const std::string> lines,
                                         const TranslateOptions& options,
                                         const ProgressSink& progress, DocumentReport* report) {
  std::vector<std::vector<SentencePiece>> pieces;
  std::vector<std::string> sentences;
  for (const std::string& line : lines) {
    pieces.push_back(split_sentences(line));
    for (const SentencePiece& p : pieces.back()) {
      if (!p.text.empty()) sentences.push_back(one_line(p.text));
    }
  }
  const std::vector<Translation> translated = translator.translate(sentences, options, progress);
  std::vector<std::string> out;
  std::size_t next = 0;
  for (const auto& line : pieces) {
    std::string text;
    for (const SentencePiece& p : line) {
      if (!p.text.empty()) text += translated[next++].text;
      text += p.space_after;
    }
    out.push_back(std::move(text));
  }
  if (report != nullptr) {
    report->sentences += static_cast<std::int64_t>(sentences.size());
    for (const Translation& t : translated) report->cut += t.cut > 0;
  }
  return out;
}

std::string translate_document(const Translator& translator, std::string_view text,
                               const TranslateOptions& options, const ProgressSink& progress,
                               DocumentReport* report) {
  const std::string whole(text);
  return std::move(
      translate_lines(translator, std::span(&whole, 1), options, progress, report).front());
}

}  // namespace qkv
