#include "qkv/systems/import/bert_files.h"

#include <algorithm>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/io/quote.h"
#include "qkv/systems/import/fields.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPieces = "vocab.txt";
constexpr std::size_t kLongestWord = 100;  // code points; Hugging Face's, where nobody says more

/// What the files say of the tokeniser, each with the file that said it.
struct Said {
  std::optional<bool> lower, strip;
  std::string lower_file;
  std::size_t longest_word = kLongestWord;

  void set_lower(bool value, const std::string& file, const char* field) {
    if (lower && *lower != value) {
      throw DataError(file, 0,
                      fmt::format("field '{}' is {}, but {} says the opposite; one of the two is "
                                  "of another model",
                                  field, value, lower_file));
    }
    lower = value;
    lower_file = file;
  }
};

/// A special token as text or as an object with its text.
void check_special(ForeignFields& f, const char* name, const char* expected) {
  const Json& value = f[name];
  if (value.is_null()) return;
  const Json& text = value.is_object() && value.contains("content") ? value["content"] : value;
  if (text != Json(expected)) {
    f.refuse(name, fmt::format("is {}, this program knows \"{}\" only",
                               in_quotes(value.dump(-1, ' ', true), ' ', 60), expected));
  }
}

void check_specials(ForeignFields& f) {
  check_special(f, "unk_token", "[UNK]");
  check_special(f, "sep_token", "[SEP]");
  check_special(f, "pad_token", "[PAD]");
  check_special(f, "cls_token", "[CLS]");
  check_special(f, "mask_token", "[MASK]");
}

bool is_usual(const std::string& token) {
  return token == "[PAD]" || token == "[UNK]" || token == "[CLS]" || token == "[SEP]" ||
         token == "[MASK]";
}

/// Tokens that were added to the five: text that spells them is cut like any other.
void note_added(const Json& tokens, const std::string& file, std::vector<std::string>& notes) {
  std::vector<std::string> added;
  for (const Json& token : tokens) {
    const Json& text = token.is_object() && token.contains("content") ? token["content"] : token;
    if (text.is_string() && !is_usual(text.get<std::string>())) {
      added.push_back(in_quotes(text.get<std::string>()));
    }
  }
  if (added.empty()) return;
  notes.push_back(fmt::format("{}: added tokens are read as any text: {}", file, listed(added)));
}

void read_tokenizer_config(const fs::path& path, Said& said, BertFiles& files) {
  const Json json = read_json(path);
  ForeignFields f(json, path.string());
  if (const auto lower = f.boolean("do_lower_case")) {
    said.set_lower(*lower, f.file(), "do_lower_case");
  }
  said.strip = f.boolean("strip_accents");
  f.only("tokenize_chinese_chars", {true});
  f.only("do_basic_tokenize", {true});
  f.only("clean_text", {true});
  f.only("wordpieces_prefix", {"##"});
  f.only("truncation_side", {"right"});
  f.only("never_split", {Json::array()});
  f.only("tokenizer_class",
         {"BertTokenizer", "BertTokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend",
          "DistilBertTokenizer", "DistilBertTokenizerFast"});
  f.only("split_special_tokens", {false});
  check_specials(f);
  note_added(f["additional_special_tokens"], f.file(), files.notes);
  note_added(f["extra_special_tokens"], f.file(), files.notes);
  note_added(f["added_tokens_decoder"], f.file(), files.notes);
  for (const char* name : {"model_max_length", "max_len"}) {
    const auto longest = f.number(name);
    if (!longest) continue;
    if (!(*longest >= 3)) f.refuse(name, "leaves no room for a word between [CLS] and [SEP]");
    if (*longest < 1e9) files.longest = static_cast<std::int64_t>(*longest);  // 1e30: no limit
  }
  f.harmless({"clean_up_tokenization_spaces",
              "padding_side",
              "name_or_path",
              "special_tokens_map_file",
              "tokenizer_file",
              "backend",
              "is_local",
              "max_length",
              "stride",
              "truncation_strategy",
              "pad_to_multiple_of",
              "pad_token_type_id",
              "processor_class",
              "use_fast",
              "legacy",
              "local_files_only",
              "chat_template",
              "model_input_names",
              "bos_token",
              "eos_token",
              "auto_map",
              "is_fast",
              "vocab_file",
              "from_slow",
              "add_special_tokens"});
  f.note_unknown(files.notes);
}

void check_special_map(const fs::path& path, BertFiles& files) {
  const Json json = read_json(path);
  ForeignFields f(json, path.string());
  check_specials(f);
  note_added(f["additional_special_tokens"], f.file(), files.notes);
  f.harmless({"bos_token", "eos_token"});
  f.note_unknown(files.notes);
}

/// "normalizer" of tokenizer.json: BERT's own, and what it says of letters.
void read_normalizer(ForeignFields& top, Said& said) {
  const Json& json = top["normalizer"];
  if (json.is_null()) return;
  ForeignFields f(json, top.file());
  f.only("type", {"BertNormalizer"});
  f.only("clean_text", {true});
  f.only("handle_chinese_chars", {true});
  if (const auto lower = f.boolean("lowercase")) said.set_lower(*lower, f.file(), "lowercase");
  const auto strip = f.boolean("strip_accents");
  if (strip && said.strip && *strip != *said.strip) {
    f.refuse("strip_accents", "is the opposite of what tokenizer_config.json says");
  }
  if (strip) said.strip = strip;
}

void check_template(ForeignFields& top) {
  const Json& json = top["post_processor"];
  if (json.is_null()) return;
  ForeignFields f(json, top.file());
  f.only("type", {"TemplateProcessing", "BertProcessing"});
  const Json& single = f["single"];
  if (single.is_null()) return;
  const auto names = [](const Json& item) -> std::string {
    if (item.is_object() && item.size() == 1) {
      const auto part = item.begin();
      if (part.key() == "Sequence") return "text";
      if (part->is_object() && part->contains("id") && (*part)["id"].is_string()) {
        return (*part)["id"].get<std::string>();
      }
    }
    return "?";
  };
  std::string form;
  if (single.is_array()) {
    for (const Json& item : single) form += names(item) + " ";
  }
  if (form != "[CLS] text [SEP] ") f.refuse("single", "is not [CLS] text [SEP]");
}

/// The pieces of tokenizer.json in the order of their numbers, a line each.
std::string pieces_of(const Json& vocabulary, const std::string& file) {
  std::vector<const std::string*> pieces(vocabulary.size());
  std::size_t length = 0;
  for (const auto& [piece, id] : vocabulary.get_ref<const Json::object_t&>()) {
    if (!id.is_number_unsigned()) {
      throw DataError(file, 0, fmt::format("piece {} has no number", in_quotes(piece)));
    }
    if (const auto at = id.get<std::uint64_t>(); at < pieces.size()) pieces[at] = &piece;
    length += piece.size() + 1;
  }
  std::string text;
  text.reserve(length);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (pieces[i] == nullptr) {
      throw DataError(file, 0, fmt::format("no piece has the number {}", i));
    }
    text.append(*pieces[i]).append("\n");
  }
  return text;
}

/// Checks tokenizer.json; its pieces in the form of vocab.txt.
std::string read_tokenizer(const fs::path& path, Said& said, BertFiles& files) {
  const Json json = read_json(path);
  ForeignFields f(json, path.string());
  f.only("version", {"1.0"});
  read_normalizer(f, said);
  if (f.has("pre_tokenizer")) {
    ForeignFields(f["pre_tokenizer"], f.file()).only("type", {"BertPreTokenizer"});
  }
  check_template(f);
  note_added(f["added_tokens"], f.file(), files.notes);
  // A caller's limits win over these two, and words are put together by our own rules.
  f.harmless({"truncation", "padding", "decoder"});
  ForeignFields model(f["model"], f.file());
  model.only("type", {"WordPiece"});
  model.only("unk_token", {"[UNK]"});
  model.only("continuing_subword_prefix", {"##"});
  if (const auto longest = model.number("max_input_chars_per_word")) {
    if (!(*longest >= 1 && *longest <= 1e6)) {
      model.refuse("max_input_chars_per_word", "expected a number from 1 to 1000000");
    }
    said.longest_word = static_cast<std::size_t>(*longest);
  }
  const Json& vocabulary = model["vocab"];
  if (!vocabulary.is_object()) model.refuse("vocab", "expected an object of pieces");
  model.note_unknown(files.notes);
  f.note_unknown(files.notes);
  return pieces_of(vocabulary, f.file());
}

}  // namespace

BertFiles read_bert_files(const fs::path& directory, std::optional<bool> lower) {
  BertFiles files;
  Said said;
  if (const fs::path path = directory / "tokenizer_config.json"; is_file(path)) {
    read_tokenizer_config(path, said, files);
  }
  if (const fs::path path = directory / "special_tokens_map.json"; is_file(path)) {
    check_special_map(path, files);
  }
  const fs::path whole = directory / "tokenizer.json", pieces = directory / kPieces;
  std::string text;
  if (is_file(whole)) text = read_tokenizer(whole, said, files);
  const bool lowers = lower.value_or(said.lower.value_or(true));
  if (said.strip && *said.strip != lowers) {
    throw DataError((directory / "tokenizer_config.json").string(), 0,
                    fmt::format("field 'strip_accents': is {} beside do_lower_case {}; this "
                                "program keeps accents with capitals only",
                                *said.strip, lowers));
  }
  WordPiece cut;
  if (is_file(pieces) || text.empty()) {
    const std::string own = read_file(pieces);
    cut = WordPiece::from_text(own, pieces.string(), lowers);
    if (!text.empty() && own != text && cut.to_text() != text) {
      throw DataError(whole.string(), 0,
                      "its pieces are not those of vocab.txt; files of two models mixed?");
    }
  } else {
    cut = WordPiece::from_text(text, whole.string(), lowers);
  }
  cut.set_longest_word(said.longest_word);
  files.pieces = std::move(cut);
  read_sentence_files(directory, lowers, files);
  return files;
}

}  // namespace qkv
