// What tokenizer.json calls post_processors: which tokens stand around a text or a pair, and white
// space that does not count as part of a token.
#pragma once

#include <cstdint>
#include <vector>

#include "qkv/text/token_pipeline.h"

namespace qkv::pipeline {

/// A text or special tokens, in their order.
struct TemplateItem {
  int text = -1;                  // 0, 1: the first, the second; −1: the tokens
  std::vector<std::int32_t> ids;  // special tokens
  std::int32_t type = 0;
};
struct Template {
  std::vector<TemplateItem> single = {{.text = 0}};
  std::vector<TemplateItem> pair = {{.text = 0}, {.text = 1, .type = 1}};
};

/// Spans do not take in the spaces at the ends of byte-level tokens.
struct SpanTrim {
  bool prefix_space = true;  // a first space was put there and takes up nothing
};
void trim_spans(SpanTrim trim, std::string_view text, TokenEncoding& encoding);

}  // namespace qkv::pipeline
