#include <algorithm>
#include <set>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/systems/export/tokenizer_json.h"
#include "qkv/systems/export/translator_parts.h"
#include "qkv/text/sentence_piece.h"

namespace qkv {
namespace {

constexpr const char* kPad = "<pad>";  // as converters look for it

/// Numbers without a piece get one, since converters count pieces.
void fill_holes(Json& ids, std::int32_t size) {
  std::set<std::int32_t> taken;
  for (const auto& [piece, id] : ids.items()) taken.insert(id.get<std::int32_t>());
  for (std::int32_t id = 0; id < size; ++id) {
    if (taken.contains(id)) continue;
    std::string name = fmt::format("<unused{}>", id);
    while (ids.contains(name)) name += "_";
    ids[name] = id;
  }
}

std::string name_of_id(const Json& ids, std::int32_t id) {
  for (const auto& [piece, number] : ids.items()) {
    if (number == id) return piece;
  }
  fail("export: no token has the number {}", id);
}

Json languages_of(const TranslationModel& model) {
  const auto text = [](const std::string& language) {
    return language.empty() ? Json() : Json(language);
  };
  return {{"source", text(model.defaults.source_language)},
          {"target", text(model.defaults.target_language)}};
}

}  // namespace

MarianSide marian_side(const Tokeniser& t, std::int32_t end, std::int32_t pad) {
  MarianSide side;
  side.ids = Json::object();
  if (const Subword* subword = t.subword()) {
    if (t.normalisation() != Normalisation{}) {
      fail(
          "export: the tokeniser changes text before it cuts it (--lower, --nfkc), which "
          "MarianMT's does not");
    }
    side.model = subword->model();
    for (std::int32_t id = 0; id < t.size(); ++id) side.ids[t.piece(id)] = id;
    side.ids.erase(kPad);  // a row without a use; its name is wanted
    side.unk = t.piece(t.unk());
  } else if (t.pipeline() != nullptr) {
    const auto parts = sentence_piece_parts(*t.pipeline());
    if (!parts) {
      fail("export: MarianMT cuts text by SentencePiece and this model has another tokeniser");
    }
    side.model = parts->model;
    for (const auto* some : {&parts->ids, &parts->special}) {
      for (const auto& [piece, id] : *some) side.ids[piece] = id;
    }
    if (side.ids.contains(kPad)) side.ids.erase(kPad);
    side.unk = parts->unk_token;
    if (!side.ids.contains(side.unk)) fail("export: the vocabulary has no '{}'", side.unk);
  } else {
    fail(
        "export: MarianMT cuts text by SentencePiece, not by '{}'; train with --tokeniser bpe or "
        "unigram",
        name_of(t.kind()));
  }
  side.eos = name_of_id(side.ids, end);
  const bool free =
      std::none_of(side.ids.begin(), side.ids.end(), [pad](const Json& id) { return id == pad; });
  side.pad = free ? pad : t.size();
  side.rows = std::max(t.size(), side.pad + 1);
  return side;
}

void save_marian_tokenisers(const MarianSide& source, const MarianSide& target,
                            const TranslationModel& model, const std::filesystem::path& folder) {
  const bool separate = source.ids != target.ids;
  const auto vocabulary = [separate](const MarianSide& side) {
    Json ids = side.ids;
    ids[kPad] = side.pad;
    if (!separate) fill_holes(ids, side.rows);
    return ids;
  };
  write_file(folder / "source.spm", source.model);
  write_file(folder / "target.spm", target.model);
  write_json(folder / "vocab.json", vocabulary(source));
  if (separate) write_json(folder / "target_vocab.json", vocabulary(target));
  const Json languages = languages_of(model);
  const Json names = {{"unk_token", target.unk}, {"eos_token", target.eos}, {"pad_token", kPad}};
  Json config = names;
  config.update({{"tokenizer_class", "MarianTokenizer"},
                 {"source_lang", languages["source"]},
                 {"target_lang", languages["target"]},
                 {"separate_vocabs", separate},
                 {"clean_up_tokenization_spaces", false},
                 {"model_max_length", model.max_length()}});
  write_json(folder / "tokenizer_config.json", config);
  write_json(folder / "special_tokens_map.json", names);
}

void save_m2m100_tokeniser(const TranslationModel& model, const std::filesystem::path& folder) {
  const TokenPipeline* pipeline = model.source.pipeline();
  if (pipeline == nullptr)
    fail("export: M2M100's tokeniser is its own, and this model has another");
  const auto name = [&](std::int32_t id) { return id < 0 ? std::string() : pipeline->piece(id); };
  const TokenRoles& roles = pipeline->roles();
  Json names = Json::object();
  for (const auto& [role, id] :
       {std::pair{"unk_token", roles.unk}, std::pair{"pad_token", roles.pad},
        std::pair{"eos_token", roles.eos}}) {
    if (id >= 0) names[role] = name(id);
  }
  const Json languages = languages_of(model);
  Json config = names;
  config.update({{"tokenizer_class", "M2M100Tokenizer"},
                 {"src_lang", languages["source"]},
                 {"tgt_lang", languages["target"]},
                 {"clean_up_tokenization_spaces", false},
                 {"model_max_length", model.max_length()}});
  if (const auto parts = sentence_piece_parts(*pipeline)) {
    write_file(folder / "sentencepiece.bpe.model", parts->model);
    write_json(folder / "vocab.json", parts->ids);
    config["num_madeup_words"] = 0;  // rows of the vocabulary without a token: 8 unless said
    Json added = Json::object();
    for (const auto& [token, id] : parts->special) {
      if (!parts->ids.contains(token)) added[token] = id;
    }
    if (!added.empty()) {
      write_json(folder / "added_tokens.json", added);
      std::vector<std::string> more;
      for (const auto& [token, id] : added.items()) more.push_back(token);
      std::ranges::sort(more, {}, [&](const std::string& t) { return added[t].get<int>(); });
      names["additional_special_tokens"] = config["additional_special_tokens"] = more;
    }
  } else {
    write_json(folder / kTokenizerFile, tokenizer_json(*pipeline));
    config["tokenizer_class"] =
        model.tokens().language == "{}" ? "NllbTokenizer" : "PreTrainedTokenizerFast";
  }
  write_json(folder / "tokenizer_config.json", config);
  write_json(folder / "special_tokens_map.json", names);
}

}  // namespace qkv
