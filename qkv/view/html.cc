#include "qkv/view/html.h"

#include <algorithm>

#include "qkv/base/error.h"
#include "qkv/view/json.h"
#include "qkv/view/label.h"
#include "qkv/view/page.h"

namespace qkv {

AttentionMaps cleaned(const AttentionMaps& maps) {
  AttentionMaps clean = maps;
  for (auto* labels : {&clean.source, &clean.target, &clean.target_in}) {
    for (std::string& label : *labels) label = clean_label(label);
  }
  for (std::string* text : {&clean.title, &clean.source_text, &clean.translation}) {
    *text = clean_label(*text);
  }
  return clean;
}

std::string fill_page(std::string_view page,
                      std::initializer_list<std::pair<std::string_view, std::string_view>> parts) {
  std::string out;
  while (true) {
    const std::size_t open = page.find("{{");
    out += page.substr(0, open);
    if (open == std::string_view::npos) return out;
    const std::size_t close = page.find("}}", open);
    if (close == std::string_view::npos) fail("page: {{{{ without }}}}");
    const std::string_view name = page.substr(open + 2, close - open - 2);
    const auto part = std::find_if(parts.begin(), parts.end(),
                                   [name](const auto& one) { return one.first == name; });
    if (part == parts.end()) fail("page: nothing is called '{}'", name);
    out += part->second;
    page.remove_prefix(close + 2);
  }
}

std::string script_safe_json(std::string_view json) {
  std::string safe;
  safe.reserve(json.size());
  for (std::size_t i = 0; i < json.size(); ++i) {
    const std::string_view rest = json.substr(i, 3);
    if (json[i] == '<') {
      safe += "\\u003c";
    } else if (json[i] == '>') {
      safe += "\\u003e";
    } else if (json[i] == '&') {
      safe += "\\u0026";
    } else if (rest == "\xE2\x80\xA8" || rest == "\xE2\x80\xA9") {
      safe += rest.back() == '\xA8' ? "\\u2028" : "\\u2029";
      i += 2;
    } else {
      safe += json[i];
    }
  }
  return safe;
}

std::string html_page(std::span<const AttentionMaps> sentences, const HtmlOptions& options) {
  std::string data = "[";
  for (const AttentionMaps& maps : sentences) {
    if (data.size() > 1) data += ",\n";
    data += attention_json(shrink(cleaned(maps), options.max_tokens), options.digits);
  }
  data += "]";
  return fill_page(kPageHtml, {{"title", escape_xml(options.title)},
                               {"style", kPageStyle},
                               {"script", kPageScript},
                               {"data", script_safe_json(data)}});
}

std::string html_page(const AttentionMaps& sentence, const HtmlOptions& options) {
  return html_page(std::span(&sentence, 1), options);
}

}  // namespace qkv
