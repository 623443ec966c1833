// What tokenizer.json calls normalizers: each rewrites the open stretches of a text.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "qkv/text/pipeline/charsmap.h"
#include "qkv/text/pipeline/patterns.h"
#include "qkv/text/pipeline/traced.h"

namespace qkv::pipeline {

struct BertNormaliser {
  bool clean_text = true;
  bool chinese = true;                // spaces around ideographs
  std::optional<bool> strip_accents;  // as `lower` when not set
  bool lower = true;
};
/// NFC, NFD, NFKC, NFKD.
struct UnicodeForm {
  bool compose = false, compatible = false;
};
struct LowerCase {};
struct StripAccents {};  // drops all marks; of decomposed text
struct StripEnds {
  bool left = true, right = true;
};
struct Replacing {
  Pattern pattern;
  std::string content;
};
struct Prepending {
  std::string text;
};
struct Precompiled {
  std::shared_ptr<const Charsmap> map;
};

using Normaliser = std::variant<BertNormaliser, UnicodeForm, LowerCase, StripAccents, StripEnds,
                                Replacing, Prepending, Precompiled>;

void apply(const Normaliser& normaliser, TracedText& text);
/// The text without its traces.
std::string normalised(const std::vector<Normaliser>& normalisers, std::string_view text);

/// Shared with pre-tokenisers.
void replace_all(const Pattern& pattern, std::string_view content, TracedText& text);
void prepend(std::string_view prefix, std::string_view text, Rewriter& out);

}  // namespace qkv::pipeline
