// Attention as one web page that needs nothing else: style, script and data stand in the file, it
// loads nothing from anywhere and forbids itself to. The reader chooses sentence, kind, layer and
// head; sees the heat map beside lines from source to target; by mouse, finger or keyboard.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "qkv/view/attention_maps.h"

namespace qkv {

struct HtmlOptions {
  std::string title = "Attention";
  int max_tokens = 200;  // longer maps are shrunk; at least 1
  int digits = 4;        // places of the weights, 1 … 9
};

/// One page for one or more sentences. Labels may be any text; none of it is read as markup.
std::string html_page(std::span<const AttentionMaps> sentences, const HtmlOptions& options = {});
std::string html_page(const AttentionMaps& sentence, const HtmlOptions& options = {});

/// Labels and texts as a page may show them: control characters and turning marks made harmless.
AttentionMaps cleaned(const AttentionMaps& maps);

/// JSON that may stand inside <script>: < > & and the line separators are written as \u003c ….
std::string script_safe_json(std::string_view json);

}  // namespace qkv
