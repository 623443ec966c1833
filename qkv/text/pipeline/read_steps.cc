// Normalisers and pre-tokenisers.
#include <array>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/text/pipeline/base64.h"
#include "qkv/text/pipeline/read_parts.h"
#include "qkv/text/pipeline/unicode.h"

namespace qkv::pipeline {
namespace {

Normaliser read_normaliser(const JsonPart& json) {
  const std::string type = json.field("type").text();
  if (type == "BertNormalizer") {
    json.only({"type", "clean_text", "handle_chinese_chars", "strip_accents", "lowercase"});
    BertNormaliser bert = {.clean_text = json.flag_of("clean_text", true),
                           .chinese = json.flag_of("handle_chinese_chars", true),
                           .lower = json.flag_of("lowercase", true)};
    if (const auto strip = json.maybe("strip_accents")) bert.strip_accents = strip->flag();
    return bert;
  }
  if (type == "Strip") {
    json.only({"type", "strip_left", "strip_right"});
    return StripEnds{json.flag_of("strip_left", true), json.flag_of("strip_right", true)};
  }
  if (type == "Replace") {
    json.only({"type", "pattern", "content"});
    return Replacing{read_pattern(json.field("pattern")), json.field("content").text()};
  }
  if (type == "Prepend") {
    json.only({"type", "prepend"});
    return Prepending{json.field("prepend").text()};
  }
  if (type == "Precompiled") {
    json.only({"type", "precompiled_charsmap"});
    const JsonPart map = json.field("precompiled_charsmap");
    try {
      return Precompiled{std::make_shared<const Charsmap>(from_base64(map.text()))};
    } catch (const DataError&) {
      throw;
    } catch (const Error& e) {
      map.refuse(e.what());
    }
  }
  const auto bare = [&json](Normaliser normaliser) {
    json.only({"type"});
    return normaliser;
  };
  if (type == "NFC") return bare(UnicodeForm{true, false});
  if (type == "NFD") return bare(UnicodeForm{false, false});
  if (type == "NFKC") return bare(UnicodeForm{true, true});
  if (type == "NFKD") return bare(UnicodeForm{false, true});
  if (type == "Lowercase") return bare(LowerCase{});
  if (type == "StripAccents") return bare(StripAccents{});
  json.field("type").refuse(fmt::format("'{}' is no normaliser that this program knows", type));
}

Behaviour read_behaviour(const JsonPart& json) {
  static constexpr std::array<std::pair<std::string_view, Behaviour>, 5> kNames = {
      {{"Removed", Behaviour::removed},
       {"Isolated", Behaviour::isolated},
       {"MergedWithPrevious", Behaviour::merged_with_previous},
       {"MergedWithNext", Behaviour::merged_with_next},
       {"Contiguous", Behaviour::contiguous}}};
  const std::string text = json.text();
  for (const auto& [name, value] : kNames) {
    if (text == name) return value;
  }
  json.refuse(fmt::format("'{}' is no way to split that this program knows", text));
}

PreTokeniser read_pre_tokeniser(const JsonPart& json) {
  const std::string type = json.field("type").text();
  if (type == "ByteLevel") {
    json.only({"type", "add_prefix_space", "trim_offsets", "use_regex"});
    return ByteCharacters{json.flag_of("add_prefix_space", true), json.flag_of("use_regex", true)};
  }
  if (type == "Metaspace") {
    json.only({"type", "replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"});
    const auto [sign, prefix] = read_visible_space(json);
    return VisibleSpaces{sign, prefix, json.flag_of("split", true)};
  }
  if (type == "Digits") {
    json.only({"type", "individual_digits"});
    return Numbers{json.flag_of("individual_digits", false)};
  }
  if (type == "Punctuation") {
    json.only({"type", "behavior"});
    const auto behaviour = json.maybe("behavior");
    return Punctuation{behaviour ? read_behaviour(*behaviour) : Behaviour::isolated};
  }
  if (type == "Split") {
    json.only({"type", "pattern", "behavior", "invert"});
    return Splitting{read_pattern(json.field("pattern")), read_behaviour(json.field("behavior")),
                     json.flag_of("invert", false)};
  }
  if (type == "CharDelimiterSplit") {
    json.only({"type", "delimiter"});
    const JsonPart delimiter = json.field("delimiter");
    const std::string text = delimiter.text();
    if (code_points(text).size() != 1) delimiter.refuse("is not one character");
    return Splitting{Literal{text}, Behaviour::removed, false};
  }
  const auto bare = [&json](PreTokeniser pre_tokeniser) {
    json.only({"type"});
    return pre_tokeniser;
  };
  if (type == "BertPreTokenizer") return bare(BertWords{});
  if (type == "Whitespace") return bare(Splitting{WordOrMarks{}, Behaviour::removed, true});
  if (type == "WhitespaceSplit") return bare(WhiteSpace{});
  json.field("type").refuse(fmt::format("'{}' is no pre-tokeniser that this program knows", type));
}

}  // namespace

std::pair<std::string, Prefix> read_visible_space(const JsonPart& json) {
  const std::string sign = json.text_of("replacement", "\xE2\x96\x81");
  if (code_points(sign).size() != 1) json.field("replacement").refuse("is not one character");
  if (json.text_of("str_rep", sign) != sign) json.field("str_rep").refuse("is not the replacement");
  const auto add = json.maybe("add_prefix_space");
  const auto scheme = json.maybe("prepend_scheme");
  if (!scheme) return {sign, add && !add->flag() ? Prefix::never : Prefix::always};
  const std::string text = scheme->text();
  if (text != "always" && text != "first" && text != "never") {
    scheme->refuse(fmt::format("is '{}', not always, first or never", text));
  }
  if (add && !add->flag() && text != "never") {
    scheme->refuse(fmt::format("is '{}', but add_prefix_space is false", text));
  }
  return {sign, text == "always"  ? Prefix::always
                : text == "first" ? Prefix::first
                                  : Prefix::never};
}

std::vector<JsonPart> members_of(const JsonPart& part, const char* list, int depth) {
  if (depth > 16) part.refuse("is nested too deeply");
  if (part.field("type").text() != "Sequence") return {part};
  part.only({"type", list});
  std::vector<JsonPart> members;
  for (const JsonPart& member : part.field(list).list()) {
    for (const JsonPart& inner : members_of(member, list, depth + 1)) members.push_back(inner);
  }
  return members;
}

Pattern read_pattern(const JsonPart& json) {
  json.only({"String", "Regex"});
  if (json.json().size() != 1) json.refuse("is neither a String nor a Regex");
  if (const auto text = json.maybe("String")) {
    if (text->text().empty()) text->refuse("is empty");
    return Literal{text->text()};
  }
  const JsonPart expression = json.field("Regex");
  if (const auto known = known_expression(expression.text())) return *known;
  expression.refuse(fmt::format("this program does not know the expression {}", expression.text()));
}

std::vector<Normaliser> read_normalisers(const std::optional<JsonPart>& json) {
  std::vector<Normaliser> normalisers;
  if (!json) return normalisers;
  for (const JsonPart& member : members_of(*json, "normalizers")) {
    normalisers.push_back(read_normaliser(member));
  }
  return normalisers;
}

std::vector<PreTokeniser> read_pre_tokenisers(const std::optional<JsonPart>& json) {
  std::vector<PreTokeniser> pre_tokenisers;
  if (!json) return pre_tokenisers;
  for (const JsonPart& member : members_of(*json, "pretokenizers")) {
    pre_tokenisers.push_back(read_pre_tokeniser(member));
  }
  return pre_tokenisers;
}

}  // namespace qkv::pipeline
