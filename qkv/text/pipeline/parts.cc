#include "qkv/text/pipeline/parts.h"

#include "qkv/base/error.h"

namespace qkv::pipeline {

void add_tokens(PieceIds model, std::vector<AddedToken> tokens, Parts& parts) {
  for (const AddedToken& token : tokens) {
    const auto [known, fresh] = model.emplace(token.content, token.id);
    if (!fresh && known->second != token.id) {
      fail("the added token '{}' has the number {}, but the vocabulary gives it {}", token.content,
           token.id, known->second);
    }
  }
  parts.table = PieceTable(std::move(model));
  parts.special.assign(static_cast<std::size_t>(parts.table.size()), false);
  for (const AddedToken& token : tokens) {
    if (token.special) parts.special[static_cast<std::size_t>(token.id)] = true;
  }
  parts.added = AddedTokens(std::move(tokens), parts.normalisers);
}

}  // namespace qkv::pipeline
