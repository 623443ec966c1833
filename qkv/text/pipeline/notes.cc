#include "qkv/text/pipeline/notes.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/text/wordpiece.h"

namespace qkv::pipeline {
namespace {

constexpr std::array<const char*, 7> kRoles = {"pad_token", "unk_token", "bos_token", "eos_token",
                                               "cls_token", "sep_token", "mask_token"};

/// A token as a text, or as an object with its content and flags.
AddedToken read_token(const JsonPart& json) {
  AddedToken token = {.special = true};
  if (json.json().is_string()) {
    token.content = json.text();
    return token;
  }
  json.only({"content", "lstrip", "rstrip", "normalized", "single_word", "special", "__type"});
  token.content = json.field("content").text();
  token.lstrip = json.flag_of("lstrip", false);
  token.rstrip = json.flag_of("rstrip", false);
  token.single_word = json.flag_of("single_word", false);
  token.special = json.flag_of("special", true);
  token.normalised = json.flag_of("normalized", !token.special);
  return token;
}

}  // namespace

Notes::File Notes::read(const std::filesystem::path& path) {
  File file = {path.string(), nullptr};
  if (!std::filesystem::exists(path)) return file;
  try {
    file.json = nlohmann::json::parse(read_file(path));
  } catch (const nlohmann::json::exception&) {
    throw DataError(file.path, 0, "truncated, or no JSON");
  }
  if (!file.json.is_object()) throw DataError(file.path, 0, "is no JSON object");
  return file;
}

Notes::Notes(const std::filesystem::path& directory)
    : config_(read(directory / "tokenizer_config.json")),
      map_(read(directory / "special_tokens_map.json")),
      added_(read(directory / "added_tokens.json")),
      model_(read(directory / "config.json")) {}

std::optional<JsonPart> Notes::setting(const char* name) const {
  if (config_.json.is_null()) return std::nullopt;
  return JsonPart(config_.json, config_.path, "").maybe(name);
}

bool Notes::flag(const char* name, bool otherwise) const {
  const auto found = setting(name);
  return found ? found->flag() : otherwise;
}

bool Notes::is_ours() const {
  return model_.json.is_object() && model_.json.contains("format") && model_.json.contains("task");
}

bool Notes::lower_case() const {
  if (model_.json.is_null()) return flag("do_lower_case", true);
  const JsonPart model(model_.json, model_.path, "");
  // A labeller of ours has it with its words.
  const auto words = is_ours() ? model.maybe("words") : std::nullopt;
  return flag("do_lower_case",
              words ? words->flag_of("lowercase", true) : model.flag_of("do_lower_case", true));
}

std::int64_t Notes::longest_word() const {
  constexpr std::int64_t kTheirs = 100, kOurs{WordPiece::kLongestWord}, kMost = 1'000'000;
  if (!is_ours()) return kTheirs;
  const JsonPart model(model_.json, model_.path, "");
  const auto bert = model.maybe("bert");
  const auto said = (bert ? *bert : model).maybe("max_input_chars_per_word");
  return said ? said->whole(1, kMost) : kOurs;
}

std::string Notes::kind() const {
  if (const auto name = setting("tokenizer_class")) {
    std::string kind = name->text();
    if (const std::size_t end = kind.find("Tokenizer"); end != std::string::npos) kind.resize(end);
    if (kind != "PreTrained") return kind;
  }
  if (model_.json.is_null()) return "";
  const auto type = JsonPart(model_.json, model_.path, "").maybe("model_type");
  return type ? type->text() : "";
}

/// Newer directories say it in tokenizer_config.json; in older ones the map of special tokens wins.
std::optional<JsonPart> Notes::role(const std::string& name) const {
  const bool newer = setting("added_tokens_decoder").has_value();
  if (!newer && !map_.json.is_null()) {
    if (auto found = JsonPart(map_.json, map_.path, "").maybe(name.c_str())) return found;
  }
  if (auto found = setting(name.c_str())) return found;
  if (newer && !map_.json.is_null()) return JsonPart(map_.json, map_.path, "").maybe(name.c_str());
  return std::nullopt;
}

std::string Notes::token(const std::string& role_name, std::string_view otherwise) const {
  const auto found = role(role_name);
  return found ? read_token(*found).content : std::string(otherwise);
}

std::vector<std::string> Notes::more_tokens() const {
  std::vector<std::string> tokens;
  if (const auto more = role("additional_special_tokens")) {
    for (const JsonPart& json : more->list()) tokens.push_back(read_token(json).content);
  }
  return tokens;
}

std::vector<AddedToken> Notes::added(const std::map<std::string, AddedToken>& defaults,
                                     const PieceIds& vocabulary) const {
  std::map<std::string, AddedToken> tokens;  // by content
  if (!added_.json.is_null()) {
    for (const auto& entry : added_.json.items()) {
      const JsonPart id(entry.value(), added_.path, "'" + entry.key() + "'");
      tokens[entry.key()] = {.id = id.id(), .content = entry.key(), .normalised = true};
    }
  }
  if (const auto decoder = setting("added_tokens_decoder")) {
    for (const auto& entry : decoder->json().items()) {
      const JsonPart json(entry.value(), config_.path, "added_tokens_decoder." + entry.key());
      AddedToken token = read_token(json);
      token.special = json.flag_of("special", false);
      token.normalised = json.flag_of("normalized", !token.special);
      const char* end = entry.key().data() + entry.key().size();
      if (std::from_chars(entry.key().data(), end, token.id).ptr != end || token.id < 0) {
        json.refuse("is no number of a token");
      }
      tokens[token.content] = token;
    }
  }
  const auto add = [&](AddedToken token) {
    if (const auto known = tokens.find(token.content); known != tokens.end()) {
      if (!setting("added_tokens_decoder")) {
        token.id = known->second.id;
        known->second = token;
      }
      return;
    }
    const auto piece = vocabulary.find(token.content);
    if (piece == vocabulary.end()) return;  // a role that this vocabulary has no token for
    token.id = piece->second;
    tokens.emplace(token.content, token);
  };
  for (const char* name : kRoles) {
    const auto usual = defaults.find(name);
    const auto said = role(name);
    if (!said && usual == defaults.end()) continue;
    AddedToken token = said ? read_token(*said) : usual->second;
    // A token that is a bare text has the flags that its class gives it.
    if (said && said->json().is_string() && usual != defaults.end()) {
      token = usual->second;
      token.content = said->text();
    }
    token.special = true;
    if (!token.content.empty()) add(token);
  }
  if (const auto more = role("additional_special_tokens")) {
    for (const JsonPart& json : more->list()) {
      AddedToken token = read_token(json);
      if (!tokens.contains(token.content) && !vocabulary.contains(token.content)) {
        json.refuse(fmt::format("no file gives '{}' a number", token.content));
      }
      token.special = true;
      add(token);
    }
  }
  std::vector<AddedToken> list;
  list.reserve(tokens.size());
  for (auto& entry : tokens) list.push_back(std::move(entry.second));
  std::ranges::sort(list, {}, &AddedToken::id);
  return list;
}

void Notes::check(const Parts& parts) const {
  const auto agree = [this](const char* name, bool given) {
    const auto said = setting(name);
    if (!said || said->flag() == given) return;
    said->refuse(fmt::format("is {}, but tokenizer.json says otherwise; make them agree",
                             given ? "false" : "true"));
  };
  for (const Normaliser& n : parts.normalisers) {
    if (const auto* bert = std::get_if<BertNormaliser>(&n)) {
      agree("do_lower_case", bert->lower);
      agree("tokenize_chinese_chars", bert->chinese);
      agree("strip_accents", bert->strip_accents.value_or(bert->lower));
    }
  }
  for (const PreTokeniser& p : parts.pre_tokenisers) {
    if (const auto* bytes = std::get_if<ByteCharacters>(&p)) {
      agree("add_prefix_space", bytes->prefix_space);
    }
  }
}

void Notes::set_roles(const std::map<std::string, AddedToken>& defaults, Parts& parts) const {
  const auto id = [&](const char* name) {
    const auto usual = defaults.find(name);
    const std::string text = token(name, usual == defaults.end() ? "" : usual->second.content);
    return text.empty() ? -1 : parts.table.id(text);
  };
  parts.roles = {.pad = id("pad_token"),
                 .unk = id("unk_token"),
                 .bos = id("bos_token"),
                 .eos = id("eos_token"),
                 .cls = id("cls_token"),
                 .sep = id("sep_token"),
                 .mask = id("mask_token")};
}

}  // namespace qkv::pipeline
