// Characters that Unicode 14 has and the older tables of Hugging Face's tokenisers (versions 8 and
// 9) have not: they do not take them for punctuation or marks, and neither does who wants the same
// tokens.
#pragma once

namespace qkv::pipeline {

/// Punctuation in Unicode 14, but not in 8.
bool is_later_punctuation(char32_t c);
/// Category Mn in Unicode 14, but not in 8.
bool is_later_nonspacing(char32_t c);
/// Any mark in Unicode 14, but not in 9.
bool is_later_mark(char32_t c);
/// Has a decomposition in Unicode 14, but not in 9.
bool is_later_decomposition(char32_t c);
/// Category Cf in Unicode 14, but not in 8.
bool is_later_format(char32_t c);

}  // namespace qkv::pipeline
