#include "qkv/text/pipeline/added_tokens.h"

#include <algorithm>
#include <utility>

#include "qkv/text/pipeline/unicode.h"

namespace qkv::pipeline {
namespace {

char32_t last_point(std::string_view text) {
  std::size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return first_code_point(text.substr(at)).value;
}

bool ends_in_word(std::string_view text) { return !text.empty() && is_word(last_point(text)); }
bool begins_with_word(std::string_view text) {
  return !text.empty() && is_word(first_code_point(text).value);
}

/// Bytes of the spaces at one end.
std::size_t spaces_before(std::string_view text) {
  const std::string_view rest = trim_spaces(text);
  if (rest.empty()) return text.size();
  return text.size() - static_cast<std::size_t>(rest.data() - text.data()) - rest.size();
}
std::size_t spaces_behind(std::string_view text) {
  const std::string_view rest = trim_spaces(text);
  return rest.empty() ? text.size() : static_cast<std::size_t>(rest.data() - text.data());
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens, const std::vector<Normaliser>& normalisers)
    : tokens_(std::move(tokens)) {
  std::vector<std::string> texts;
  texts.reserve(tokens_.size());  // views point into them
  std::vector<std::pair<std::string_view, std::int32_t>> raw, after;
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    const AddedToken& t = tokens_[i];
    texts.push_back(t.normalised ? normalised(normalisers, t.content) : t.content);
    (t.normalised ? after : raw).emplace_back(texts.back(), static_cast<std::int32_t>(i));
  }
  for (const auto& [list, sought] : {std::pair{&raw, &raw_}, std::pair{&after, &normalised_}}) {
    sought->trie = PieceTrie(*list);
    for (const auto& [content, place] : *list) {
      if (!content.empty()) sought->begins.set(static_cast<unsigned char>(content[0]));
    }
  }
}

void AddedTokens::find(TracedText& text, bool normalised) const {
  const Sought& sought = normalised ? normalised_ : raw_;
  if (sought.begins.none()) return;
  text.cut([&](std::string_view whole, auto&& emit) {
    std::size_t open = 0;  // where the text begins that is not emitted yet
    for (std::size_t at = 0; at < whole.size();) {
      if (!sought.begins[static_cast<unsigned char>(whole[at])]) {
        ++at;
        continue;
      }
      const auto [bytes, index] = sought.trie.longest(whole.substr(at));
      if (index < 0) {
        ++at;
        continue;
      }
      const AddedToken& token = tokens_[static_cast<std::size_t>(index)];
      std::size_t begin = at, end = at + bytes;
      at = end;
      if (token.single_word &&
          (ends_in_word(whole.substr(0, begin)) || begins_with_word(whole.substr(end)))) {
        continue;
      }
      begin = std::max(begin, open);  // a token before it may have taken its spaces
      if (token.lstrip) begin -= spaces_before(whole.substr(open, begin - open));
      if (token.rstrip) end += spaces_behind(whole.substr(end));
      emit(open, begin);
      emit(begin, end, token.id);
      open = std::max(open, end);
    }
    emit(open, whole.size());
  });
}

}  // namespace qkv::pipeline
