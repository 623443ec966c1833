#include <algorithm>

#include "qkv/base/error.h"
#include "qkv/text/pipeline/models.h"
#include "qkv/text/pipeline/unicode.h"

namespace qkv::pipeline {
namespace {

/// The best way to a place in the text: where its last piece begins, and which it is.
struct Best {
  double score = 0;
  std::int32_t id = -1;
  std::uint32_t begin = 0;
  bool reached = false;
};

}  // namespace

void UnigramModel::cut(std::string_view word, std::vector<Token>& tokens) const {
  std::vector<Best> best(word.size() + 1);
  const auto reach = [&best](std::size_t begin, std::size_t end, double score, std::int32_t id) {
    Best& b = best[end];
    if (b.reached && score <= b.score) return;
    b = {score, id, static_cast<std::uint32_t>(begin), true};
  };
  for (std::size_t at = 0; at < word.size();) {
    const std::size_t character = first_code_point(word.substr(at)).bytes.size();
    bool known = false;
    trie.prefixes(word.substr(at), [&](std::size_t length, std::int32_t id) {
      reach(at, at + length, scores[static_cast<std::size_t>(id)] + best[at].score, id);
      known = known || length == character;
    });
    if (!known) {
      if (unk < 0)
        fail("tokenise: the text has unknown characters, and the model no unknown piece");
      reach(at, at + character, unknown_score + best[at].score, unk);
    }
    at += character;
  }
  // From the end; a run of unknown characters is one token, or the bytes it is made of.
  const std::size_t first = tokens.size();
  for (std::size_t end = word.size(); end > 0;) {
    std::size_t begin = best[end].begin;
    const std::int32_t id = best[end].id;
    while (id == unk && begin > 0 && best[begin].id == unk) begin = best[begin].begin;
    const Token whole = {id, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)};
    const std::string_view text = word.substr(begin, end - begin);
    const auto is_piece = trie.longest(text);
    if (id == unk && is_piece.first == text.size()) {
      tokens.push_back({is_piece.second, whole.begin, whole.end});
    } else if (id == unk && byte_fallback && std::all_of(text.begin(), text.end(), [this](char c) {
                 return bytes[static_cast<unsigned char>(c)] >= 0;
               })) {
      for (auto c = text.rbegin(); c != text.rend(); ++c) {
        tokens.push_back({bytes[static_cast<unsigned char>(*c)], whole.begin, whole.end});
      }
    } else {
      tokens.push_back(whole);
    }
    end = begin;
  }
  std::reverse(tokens.begin() + static_cast<std::ptrdiff_t>(first), tokens.end());
}

}  // namespace qkv::pipeline
