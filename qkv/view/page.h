// The parts of the web page (html.h), as they go into it. Plain HTML, CSS and JavaScript.
#pragma once

#include <string_view>

namespace qkv {

/// Holds {{title}}, {{style}}, {{script}} and {{data}}, each once.
extern const std::string_view kPageHtml;
extern const std::string_view kPageStyle;
extern const std::string_view kPageScript;

}  // namespace qkv
