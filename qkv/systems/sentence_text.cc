#include "qkv/systems/sentence_text.h"

#include <algorithm>

#include "qkv/text/sentences.h"

namespace qkv {
namespace {

constexpr std::int64_t kMostLines = 2048;  // that are read before the first is answered

/// Adds a candidate of the next sentence to that of the sentences before it.
void append(TranslationCandidate& to, const TranslationCandidate& c) {
  const auto end_of = [](const TranslationCandidate& x) {
    return x.token_scores.size() > x.tokens.size() ? x.token_scores.back() : 0.0f;
  };
  const float ends = end_of(to) + end_of(c);
  to.token_scores.resize(to.tokens.size());
  to.token_scores.insert(to.token_scores.end(), c.token_scores.begin(),
                         c.token_scores.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                      c.token_scores.size(), c.tokens.size())));
  to.token_scores.push_back(ends);
  to.tokens.insert(to.tokens.end(), c.tokens.begin(), c.tokens.end());
  to.score += c.score;
  to.log_probability += c.log_probability;
}

}  // namespace

SentenceText SentenceText::cut(std::string_view text, SentenceReach reach) {
  SentenceText t;
  t.spaces.emplace_back();
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end =
        reach == SentenceReach::line ? std::min(text.find('\n', at), text.size()) : text.size();
    for (const SentencePiece& piece : split_sentences(text.substr(at, end - at))) {
      if (!piece.text.empty()) {
        t.sentences.push_back(one_line(piece.text));
        t.spaces.emplace_back();
      }
      t.spaces.back() += piece.space_after;
    }
    if (end < text.size()) t.spaces.back() += '\n';
    at = end + 1;
  }
  return t;
}

std::string SentenceText::join(std::span<const std::string> texts) const {
  std::string joined = spaces.front();
  for (std::size_t i = 0; i < sentences.size(); ++i) {
    if (i > 0 && spaces[i].empty()) joined += space_between(texts[i - 1], texts[i]);
    joined += texts[i];
    joined += spaces[i + 1];
  }
  return joined;
}

Translation SentenceText::join(std::span<const Translation> parts) const {
  Translation whole;
  std::size_t ways = parts.empty() ? 1 : parts.front().best.size();
  for (const Translation& part : parts) {
    ways = std::min(ways, part.best.size());
    whole.cut += part.cut;
  }
  for (std::size_t way = 0; way < ways; ++way) {
    TranslationCandidate candidate =
        parts.empty() ? TranslationCandidate() : parts.front().best[way];
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      texts.push_back(parts[i].best[way].text);
      if (i > 0) append(candidate, parts[i].best[way]);
    }
    candidate.text = join(texts);
    whole.best.push_back(std::move(candidate));
  }
  whole.text = whole.best.front().text;
  whole.score = whole.best.front().score;
  return whole;
}

std::vector<Translation> translate_by_sentences(std::span<const std::string> texts,
                                                const TranslateTexts& translate) {
  std::vector<SentenceText> cut;
  std::vector<std::string> sentences;
  for (const std::string& text : texts) {
    cut.push_back(SentenceText::cut(text, SentenceReach::line));
    sentences.insert(sentences.end(), cut.back().sentences.begin(), cut.back().sentences.end());
  }
  const std::vector<Translation> translated = translate(sentences);
  std::vector<Translation> whole;
  std::size_t next = 0;
  for (const SentenceText& text : cut) {
    whole.push_back(text.join(std::span(translated).subspan(next, text.sentences.size())));
    next += text.sentences.size();
  }
  return whole;
}

void answer_lines(const LineSource& source, const TranslateTexts& translate,
                  const std::function<void(std::int64_t, const Translation&)>& sink) {
  std::int64_t line = 0;
  for (;;) {
    const std::vector<std::string> lines = next_lines(source, kMostLines);
    if (lines.empty()) return;
    for (const Translation& t : translate(lines)) sink(line++, t);
  }
}

}  // namespace qkv
