// White space and lower case exactly as the definition of the scores has them: sacreBLEU is written
// with Python's str.split, str.rstrip and str.lower, and a score agrees to the last digit only when
// these do. Input is UTF-8; results of the first three are views into it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qkv {

/// What str.isspace calls white: Unicode's white space and the separators U+001C to U+001F.
bool is_white(char32_t c);

std::vector<std::string_view> split_white(std::string_view text);
std::string_view trim_right(std::string_view text);
std::string_view trim(std::string_view text);

/// Full lower case: U+0130 becomes two code points, a capital sigma at the end of a word its final
/// form.
std::string lower_case(std::string_view text);

}  // namespace qkv
