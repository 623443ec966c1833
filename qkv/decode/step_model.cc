#include "qkv/decode/step_model.h"

#include "qkv/base/error.h"

namespace qkv {

void StepState::read(std::span<const std::int32_t> parents, std::span<const std::int32_t> tokens,
                     const Segments& fresh) {
  const std::int64_t rows = fresh.count(), each = fresh.longest();
  if (each * rows != fresh.total()) {
    fail("this model reads one token of every row at a time; give prompts of one length");
  }
  std::vector<std::int32_t> from(parents.begin(), parents.end()), next(parents.size());
  for (std::int64_t t = 0; t < each; ++t) {
    for (std::int64_t r = 0; r < rows; ++r) {
      next[static_cast<std::size_t>(r)] = tokens[static_cast<std::size_t>(fresh.begin(r) + t)];
      if (t > 0) from[static_cast<std::size_t>(r)] = static_cast<std::int32_t>(r);
    }
    advance(from, next);
  }
}

void read_prompts(StepState& state, std::span<const std::int32_t> source,
                  std::span<const Prompt* const> prompts, std::int32_t bos) {
  Tokens tokens;
  std::vector<std::int64_t> lengths;
  for (const Prompt* prompt : prompts) {
    tokens.insert(tokens.end(), prompt->tokens.begin(), prompt->tokens.end());
    if (prompt->tokens.empty()) tokens.push_back(bos);
    lengths.push_back(prompt->tokens.empty() ? 1
                                             : static_cast<std::int64_t>(prompt->tokens.size()));
  }
  const Segments fresh(lengths);
  if (fresh.longest() == 1) {
    state.advance(source, tokens);
  } else {
    state.read(source, tokens, fresh);
  }
}

}  // namespace qkv
