// What became punctuation or a non-spacing mark after Unicode 8, whose tables Hugging Face's BERT
// tokenisers go by: they do not take these characters for such, and neither does who wants the same
// tokens.
#pragma once

namespace qkv::pipeline {

/// Punctuation in Unicode 14, but not in 8.
bool is_later_punctuation(char32_t c);
/// Category Mn in Unicode 14, but not in 8.
bool is_later_nonspacing(char32_t c);
/// Category Cf in Unicode 14, but not in 8.
bool is_later_format(char32_t c);

}  // namespace qkv::pipeline
