// The parts of the web page (html.h), as they go into it. Plain HTML, CSS and JavaScript.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace qkv {

/// Holds {{title}}, {{style}}, {{script}} and {{data}}, each once.
extern const std::string_view kPageHtml;
extern const std::string_view kPageStyle;
extern const std::string_view kPageScript;

/// The page of a picture's patches (picture_attention.h): {{title}}, {{style}}, {{image}},
/// {{script}} and {{data}}.
extern const std::string_view kPicturePageHtml;
extern const std::string_view kPicturePageScript;

/// The page with its {{names}} replaced, in one walk, so that a "{{data}}" in somebody's text stays
/// text. Throws Error for a name that is not given.
std::string fill_page(std::string_view page,
                      std::initializer_list<std::pair<std::string_view, std::string_view>> parts);

}  // namespace qkv
