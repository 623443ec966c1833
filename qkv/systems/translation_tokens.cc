#include "qkv/systems/translation_tokens.h"

#include <algorithm>
#include <optional>
#include <type_traits>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/systems/config_fields.h"

namespace qkv {
namespace {

using Place = TranslationTokens::Place;
constexpr std::string_view kHole = "{}";
/// Marian's own way to say which language is wanted, in the text: ">>fra<< The boat."
constexpr std::string_view kOpen = ">>", kClose = "<<";

std::vector<std::int32_t> numbers_from(const Json& json, const FieldReader& reader,
                                       const char* name) {
  const auto whole = [](const Json& n) { return n.is_number_integer(); };
  if (!json.is_array() || !std::all_of(json.begin(), json.end(), whole)) {
    reader.wrong(name, "a list of numbers of tokens");
  }
  return json.get<std::vector<std::int32_t>>();
}

std::string spelled(const TranslationTokens& tokens, std::string_view language) {
  std::string token = tokens.language;
  if (const std::size_t at = token.find(kHole); at != std::string::npos) {
    token.replace(at, kHole.size(), language);
  }
  return token;
}

std::int32_t id_of(const Tokeniser& vocabulary, std::string_view piece) {
  const TokenPipeline* pipeline = vocabulary.pipeline();
  return pipeline ? pipeline->id(piece) : -1;
}

/// The token that a text begins with, ">>fra<<"; the text goes on behind it.
std::optional<std::int32_t> take_marked_language(const Tokeniser& vocabulary,
                                                 std::string_view& text) {
  if (!text.starts_with(kOpen)) return {};
  const std::size_t end = text.rfind(kClose);
  if (end == std::string_view::npos || end <= kOpen.size()) return {};
  const std::int32_t id = id_of(vocabulary, text.substr(0, end + kClose.size()));
  text.remove_prefix(end + kClose.size());
  return id >= 0 ? id : vocabulary.unk();
}

}  // namespace

Json tokens_json(const TranslationTokens& t) {
  return {{"start", t.start},
          {"end", t.end},
          {"source_end", t.source_end},
          {"source_begin", t.source_begin},
          {"target_begin", t.target_begin},
          {"never", t.never},
          {"never_in_a_row", t.never_in_a_row},
          {"language", t.language},
          {"source_language", t.source_language},
          {"target_language", name_of(t.target_language)}};
}

TranslationTokens tokens_from(const Json& json, FieldReader reader) {
  const auto id = [&](const char* name) {
    return static_cast<std::int32_t>(reader.integer(name, {.least = -1, .most = 1 << 30}));
  };
  TranslationTokens t;
  t.start = id("start");
  t.end = id("end");
  t.source_end = id("source_end");
  for (const auto& [name, list] :
       {std::pair{"source_begin", &t.source_begin}, std::pair{"target_begin", &t.target_begin},
        std::pair{"never", &t.never}}) {
    if (!reader.has(name)) reader.wrong(name, "a list of numbers of tokens");
    *list = numbers_from(json[name], reader, name);
  }
  if (constexpr const char* kRows = "never_in_a_row"; reader.has(kRows)) {
    if (!json[kRows].is_array()) reader.wrong(kRows, "a list of lists");
    for (const Json& row : json[kRows]) {
      t.never_in_a_row.push_back(numbers_from(row, reader, kRows));
      if (row.size() < 2) reader.wrong(kRows, "lists of at least two tokens");
    }
  }
  t.language = reader.text("language");
  t.source_language = reader.boolean("source_language");
  t.target_language = static_cast<Place>(reader.choice("target_language", names_of<Place>()));
  reader.finish();
  return t;
}

TranslateOptions translate_options_from(FieldReader reader) {
  TranslateOptions options;
  TranslateOptions::each(options, [&](const About& about, auto& field) {
    if (TranslateOptions::added_later(about.name) && !reader.has(about.name)) return;
    read_field(reader, about.name, field, -(std::int64_t{1} << 30));
  });
  reader.finish();
  return options;
}

void check_tokens(const TranslationTokens& t, const TranslationModel& model,
                  const std::string& path) {
  const auto check = [&](std::string_view name, std::int32_t id, std::int32_t least,
                         const Tokeniser& vocabulary) {
    if (id >= least && id < vocabulary.size()) return;
    throw DataError(path, 0,
                    fmt::format("field 'tokens.{}': {} lies outside a vocabulary of {}", name, id,
                                vocabulary.size()));
  };
  check("start", t.start, 0, model.target);
  check("end", t.end, 0, model.target);
  check("source_end", t.source_end, -1, model.source);
  for (const std::int32_t id : t.source_begin) check("source_begin", id, 0, model.source);
  for (const std::int32_t id : t.target_begin) check("target_begin", id, 0, model.target);
  for (const std::int32_t id : t.never) check("never", id, 0, model.target);
  for (const auto& row : t.never_in_a_row) {
    for (const std::int32_t id : row) check("never_in_a_row", id, 0, model.target);
  }
  if (std::ranges::find(t.never, t.end) != t.never.end()) {
    throw DataError(path, 0, "field 'tokens.never': holds the end");
  }
}

std::int32_t language_token(const TranslationTokens& tokens, const Tokeniser& vocabulary,
                            std::string_view option, std::string_view language) {
  if (tokens.language.empty()) fail("{}: this model has no tokens of languages", option);
  const std::int32_t id = id_of(vocabulary, spelled(tokens, language));
  if (id < 0) {
    fail("{}: this model does not know the language '{}': its vocabulary has no '{}'", option,
         language, spelled(tokens, language));
  }
  return id;
}

std::vector<std::int32_t> encode_source(const TranslationModel& model, std::string_view text,
                                        const TranslateOptions& options) {
  if (!model.special) return model.source.encode(text);
  const TranslationTokens& t = *model.special;
  std::vector<std::int32_t> ids = t.source_begin;
  if (t.source_language && !options.source_language.empty()) {
    ids.push_back(language_token(t, model.source, "source_language", options.source_language));
  }
  if (t.target_language == Place::source && !t.language.empty()) {
    if (const auto marked = take_marked_language(model.source, text)) {
      ids.push_back(*marked);
    } else if (!options.target_language.empty()) {
      ids.push_back(language_token(t, model.source, "target_language", options.target_language));
    }
  }
  const std::vector<std::int32_t> words = model.source.encode(text);
  if (words.empty()) return {};  // as of any model, the translation of nothing is nothing
  ids.insert(ids.end(), words.begin(), words.end());
  return ids;
}

std::vector<std::int32_t> target_begin(const TranslationModel& model,
                                       const TranslateOptions& options) {
  const TranslationTokens t = model.tokens();
  if (!options.source_language.empty() && !t.source_language) {
    fail("source_language: this model is not told the language of its sources");
  }
  if (options.target_language.empty()) return t.target_begin;
  const bool of_target = t.target_language == Place::target;
  const std::int32_t id = language_token(t, of_target ? model.target : model.source,
                                         "target_language", options.target_language);
  return of_target ? std::vector<std::int32_t>{id} : std::vector<std::int32_t>{};
}

}  // namespace qkv
