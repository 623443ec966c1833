// How our own language models read text, as tokenizer.json says it: sub-words of SentencePiece,
// characters, or what stands between spaces. In a text end to end a line's end is a token; where
// the model has a special one for it, that token's name becomes "\n".
#include <algorithm>

#include "qkv/base/error.h"
#include "qkv/systems/export/tokenizer_json.h"
#include "qkv/text/pipeline/spm_file.h"

namespace qkv {
namespace {

constexpr const char* kVisibleSpace = "\u2581";  // SentencePiece's

Json replacing(Json pattern, const char* content) {
  return {{"type", "Replace"}, {"pattern", std::move(pattern)}, {"content", content}};
}

/// What our tokenisers do to a text before they cut it.
Json normaliser(const Tokeniser& t, bool one_space) {
  Json steps = Json::array();
  if (t.normalisation().nfkc) steps.push_back({{"type", "NFKC"}});
  if (t.normalisation().lower) steps.push_back({{"type", "Lowercase"}});
  if (one_space) {
    steps.push_back(replacing({{"Regex", R"(\s+)"}}, " "));
    steps.push_back({{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}});
  }
  if (steps.empty()) return nullptr;
  return {{"type", "Sequence"}, {"normalizers", std::move(steps)}};
}

struct Names {
  const Tokeniser& tokeniser;
  std::int32_t newline;

  std::string operator()(std::int32_t id) const {
    return id == newline ? "\n" : tokeniser.piece(id);
  }
};

/// Pieces by number as Hugging Face's two models of SentencePiece want them.
Json subword_model(const Tokeniser& t, const Names& name, bool& bytes) {
  const Subword& subword = *t.subword();
  const auto file = pipeline::SpmFile::parse(subword.model(), "the tokeniser");
  bytes = file.byte_fallback;
  if (file.kind == pipeline::SpmFile::Kind::unigram) {
    Json pieces = Json::array();
    for (std::int32_t id = 0; id < t.size(); ++id) {
      pieces.push_back(Json::array({name(id), file.pieces[static_cast<std::size_t>(id)].second}));
    }
    return {{"type", "Unigram"},
            {"unk_id", t.unk()},
            {"vocab", std::move(pieces)},
            {"byte_fallback", bytes}};
  }
  if (file.kind != pipeline::SpmFile::Kind::bpe) {
    fail("export: the SentencePiece model is neither BPE nor unigram, which tokenizer.json knows");
  }
  Json vocabulary = Json::object(), merges = Json::array();
  pipeline::PieceIds joined;
  for (std::int32_t id = 0; id < t.size(); ++id) {
    vocabulary[name(id)] = id;
    const bool plain = !subword.is_control(id) && !subword.is_byte(id) && id != t.unk();
    if (plain) joined.emplace(t.piece(id), id);
  }
  for (const auto& [left, right] : pipeline::merges_of(file.pieces, joined)) {
    merges.push_back(fmt::format("{} {}", left, right));
  }
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", name(t.unk())},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", true},
          {"byte_fallback", bytes},
          {"vocab", std::move(vocabulary)},
          {"merges", std::move(merges)}};
}

Json subword_decoder(bool bytes) {
  Json steps = Json::array();
  steps.push_back(replacing({{"String", kVisibleSpace}}, " "));
  if (bytes) steps.push_back({{"type", "ByteFallback"}});
  steps.push_back({{"type", "Fuse"}});
  steps.push_back(replacing({{"String", "\n "}}, "\n"));
  steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return {{"type", "Sequence"}, {"decoders", std::move(steps)}};
}

Json word_model(const Tokeniser& t, const Names& name) {
  Json vocabulary = Json::object();
  for (std::int32_t id = 0; id < t.size(); ++id) vocabulary[name(id)] = id;
  return {{"type", "WordLevel"}, {"vocab", std::move(vocabulary)}, {"unk_token", name(t.unk())}};
}

/// The start before a text.
Json around(const LineTokens& lines, const Names& name) {
  if (lines.start < 0) return nullptr;
  const std::string start = name(lines.start);
  const auto token = [&](int type) {
    return Json{{"SpecialToken", {{"id", start}, {"type_id", type}}}};
  };
  const auto text = [](const char* id, int type) {
    return Json{{"Sequence", {{"id", id}, {"type_id", type}}}};
  };
  return {
      {"type", "TemplateProcessing"},
      {"single", {token(0), text("A", 0)}},
      {"pair", {token(0), text("A", 0), token(1), text("B", 1)}},
      {"special_tokens", {{start, {{"id", start}, {"ids", {lines.start}}, {"tokens", {start}}}}}}};
}

/// Found in a text as they are spelled: the line's end, and the special ones, as in every
/// tokenizer.json.
Json added_tokens(const Tokeniser& t, const LineTokens& lines, const Names& name) {
  Json added = Json::array();
  std::vector<std::int32_t> ids = {t.pad(), t.bos(), t.eos()};
  if (lines.newline >= 0) ids.push_back(lines.newline);
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  for (const std::int32_t id : ids) {
    if (id < 0) continue;
    added.push_back({{"id", id},
                     {"content", name(id)},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", id != lines.newline}});
  }
  return added;
}

}  // namespace

Json tokenizer_json(const Tokeniser& t, const LineTokens& lines) {
  if (const TokenPipeline* own = t.pipeline()) return tokenizer_json(*own);
  const Names name{t, lines.newline};
  Json json = {{"version", "1.0"},
               {"truncation", nullptr},
               {"padding", nullptr},
               {"added_tokens", added_tokens(t, lines, name)},
               {"normalizer", normaliser(t, t.subword() != nullptr)},
               {"pre_tokenizer", nullptr},
               {"post_processor", around(lines, name)},
               {"decoder", nullptr}};
  if (t.subword() != nullptr) {
    bool bytes = false;
    json["model"] = subword_model(t, name, bytes);
    json["decoder"] = subword_decoder(bytes);
    json["pre_tokenizer"] = {{"type", "Metaspace"},
                             {"replacement", kVisibleSpace},
                             {"prepend_scheme", "always"},
                             {"split", true}};
  } else if (t.kind() == Tokeniser::Kind::character) {
    json["model"] = word_model(t, name);
    json["decoder"] = {{"type", "Fuse"}};
    json["pre_tokenizer"] = {{"type", "Split"},
                             {"pattern", {{"Regex", R"(\X)"}}},
                             {"behavior", "Isolated"},
                             {"invert", false}};
  } else if (t.kind() == Tokeniser::Kind::space) {
    json["model"] = word_model(t, name);
    json["pre_tokenizer"] = {{"type", "WhitespaceSplit"}};
  } else {
    fail(
        "export: the tokeniser '{}' cuts words by rules that no tokenizer.json has; train with "
        "--tokeniser bpe, unigram, character or space",
        name_of(t.kind()));
  }
  return json;
}

}  // namespace qkv
