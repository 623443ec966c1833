// Decoders, post-processors and added tokens.
#include <map>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/text/pipeline/read_parts.h"

namespace qkv::pipeline {
namespace {

Decoder read_decoder(const JsonPart& json) {
  const std::string type = json.field("type").text();
  if (type == "WordPiece") {
    json.only({"type", "prefix", "cleanup"});
    return WordPieceDecoder{json.text_of("prefix", "##"), json.flag_of("cleanup", true)};
  }
  if (type == "ByteLevel") {
    json.only({"type", "add_prefix_space", "trim_offsets", "use_regex"});
    return ByteLevelDecoder{};
  }
  if (type == "Metaspace") {
    json.only({"type", "replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"});
    const auto [sign, prefix] = read_visible_space(json);
    return VisibleSpaceDecoder{sign, prefix != Prefix::never};
  }
  if (type == "Strip") {
    json.only({"type", "content", "start", "stop"});
    constexpr std::int64_t kMost = 1 << 20;
    const std::string content = json.text_of("content", " ");
    if (content.empty()) json.field("content").refuse("is empty");
    return StripDecoder{content, static_cast<std::size_t>(json.field("start").whole(0, kMost)),
                        static_cast<std::size_t>(json.field("stop").whole(0, kMost))};
  }
  if (type == "Replace") {
    json.only({"type", "pattern", "content"});
    return ReplaceDecoder{read_pattern(json.field("pattern")), json.field("content").text()};
  }
  if (type == "BPEDecoder") {
    json.only({"type", "suffix"});
    const std::string suffix = json.text_of("suffix", "</w>");
    if (suffix.empty()) json.field("suffix").refuse("is empty");
    return SuffixDecoder{suffix};
  }
  if (type == "ByteFallback" || type == "Fuse") {
    json.only({"type"});
    return type == "Fuse" ? Decoder(FuseDecoder{}) : Decoder(ByteFallbackDecoder{});
  }
  if (type == "SentencePiece") {
    json.only({"type", "special"});
    SubwordDecoder decoder;  // of the model, see read_parts()
    if (const auto special = json.maybe("special")) {
      for (const JsonPart& piece : special->list()) decoder.special.push_back(piece.text());
    }
    return decoder;
  }
  json.field("type").refuse(fmt::format("'{}' is no decoder that this program knows", type));
}

std::vector<TemplateItem> read_template(const JsonPart& json,
                                        const std::map<std::string, std::vector<std::int32_t>>& ids,
                                        int texts) {
  std::vector<TemplateItem> items;
  for (const JsonPart& entry : json.list()) {
    entry.only({"SpecialToken", "Sequence"});
    const auto special = entry.maybe("SpecialToken"), sequence = entry.maybe("Sequence");
    if (special.has_value() == sequence.has_value()) {
      entry.refuse("is neither a SpecialToken nor a Sequence");
    }
    const JsonPart& item = special ? *special : *sequence;
    item.only({"id", "type_id"});
    TemplateItem result = {
        .type = static_cast<std::int32_t>(item.field("type_id").whole(0, INT32_MAX))};
    const std::string name = item.field("id").text();
    if (special) {
      const auto found = ids.find(name);
      if (found == ids.end()) item.refuse(fmt::format("special_tokens has no '{}'", name));
      result.ids = found->second;
    } else if (name == "A" || (name == "B" && texts > 1)) {
      result.text = name == "B" ? 1 : 0;
    } else {
      item.refuse(fmt::format("there is no text '{}' here", name));
    }
    items.push_back(std::move(result));
  }
  return items;
}

Template read_templates(const JsonPart& json) {
  json.only({"type", "single", "pair", "special_tokens"});
  std::map<std::string, std::vector<std::int32_t>> ids;
  const JsonPart tokens = json.field("special_tokens");
  for (const auto& entry : tokens.json().items()) {
    const JsonPart token(entry.value(), json.file(), "special_tokens." + entry.key());
    token.only({"id", "ids", "tokens"});
    for (const JsonPart& id : token.field("ids").list()) ids[entry.key()].push_back(id.id());
  }
  return {read_template(json.field("single"), ids, 1), read_template(json.field("pair"), ids, 2)};
}

/// ["[SEP]", 102]
std::int32_t read_named_id(const JsonPart& json) {
  const std::vector<JsonPart> pair = json.list();
  if (pair.size() != 2) json.refuse("is not a token and its number");
  (void)pair[0].text();
  return pair[1].id();
}

}  // namespace

std::optional<std::vector<Decoder>> read_decoders(const std::optional<JsonPart>& json) {
  if (!json) return std::nullopt;
  std::vector<Decoder> decoders;
  for (const JsonPart& member : members_of(*json, "decoders")) {
    decoders.push_back(read_decoder(member));
  }
  return decoders;
}

void read_post_processors(const std::optional<JsonPart>& json, Parts& parts) {
  if (!json) return;
  bool around = false;
  for (const JsonPart& p : members_of(*json, "processors")) {
    const std::string type = p.field("type").text();
    if (type == "ByteLevel") {
      p.only({"type", "add_prefix_space", "trim_offsets", "use_regex"});
      if (p.flag_of("trim_offsets", true)) {
        parts.trims.push_back({p.flag_of("add_prefix_space", true)});
      }
      continue;
    }
    if (around) p.refuse("a second part that puts tokens around the text; this program knows one");
    around = true;
    if (type == "TemplateProcessing") {
      parts.around = read_templates(p);
    } else if (type == "BertProcessing") {
      p.only({"type", "sep", "cls"});
      const TemplateItem cls = {.ids = {read_named_id(p.field("cls"))}};
      const TemplateItem sep = {.ids = {read_named_id(p.field("sep"))}};
      TemplateItem last = sep;
      last.type = 1;
      parts.around.single = {cls, {.text = 0}, sep};
      parts.around.pair = {cls, {.text = 0}, sep, {.text = 1, .type = 1}, last};
    } else if (type == "RobertaProcessing") {
      p.only({"type", "sep", "cls", "trim_offsets", "add_prefix_space"});
      const TemplateItem cls = {.ids = {read_named_id(p.field("cls"))}};
      const TemplateItem sep = {.ids = {read_named_id(p.field("sep"))}};
      parts.around.single = {cls, {.text = 0}, sep};
      parts.around.pair = {cls, {.text = 0}, sep, sep, {.text = 1}, sep};
      if (p.flag_of("trim_offsets", true)) {
        parts.trims.push_back({p.flag_of("add_prefix_space", true)});
      }
    } else {
      p.field("type").refuse(
          fmt::format("'{}' is no post-processor that this program knows", type));
    }
  }
}

std::vector<AddedToken> read_added_tokens(const std::optional<JsonPart>& json) {
  std::vector<AddedToken> tokens;
  if (!json) return tokens;
  for (const JsonPart& t : json->list()) {
    t.only({"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
    AddedToken token = {.id = t.field("id").id(),
                        .content = t.field("content").text(),
                        .special = t.flag_of("special", false),
                        .single_word = t.flag_of("single_word", false),
                        .lstrip = t.flag_of("lstrip", false),
                        .rstrip = t.flag_of("rstrip", false)};
    token.normalised = t.flag_of("normalized", !token.special);
    if (token.content.empty()) t.refuse("has no content");
    tokens.push_back(std::move(token));
  }
  return tokens;
}

}  // namespace qkv::pipeline
