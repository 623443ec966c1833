// Decimal numbers in files and options, the same in every locale.
#pragma once

#include <optional>
#include <string_view>

namespace qkv {

/// All of `text` as a finite number: an optional sign, digits with an optional point, an optional
/// exponent. A number too small for the type is the nearest it has, perhaps 0; one too large,
/// "inf", "nan", two signs or anything beside the number give nothing.
std::optional<double> parse_double(std::string_view text);
std::optional<float> parse_float(std::string_view text);

}  // namespace qkv
