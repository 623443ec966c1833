#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/text/pipeline/base64.h"
#include "qkv/text/pipeline/read_parts.h"
#include "qkv/text/pipeline/unicode.h"

namespace qkv::pipeline {
namespace {

/// {piece: number}, without a way to each of them.
PieceIds read_vocabulary(const JsonPart& json) {
  if (!json.json().is_object()) json.refuse("is not an object of pieces and numbers");
  PieceIds ids;
  ids.reserve(json.json().size());
  for (const auto& entry : json.json().items()) {
    ids.emplace(entry.key(),
                JsonPart(entry.value(), json.file(), "vocab '" + entry.key() + "'").id());
  }
  return ids;
}

std::vector<std::pair<std::string, std::string>> read_merges(const JsonPart& json) {
  if (!json.json().is_array()) json.refuse("is not a list");
  std::vector<std::pair<std::string, std::string>> merges;
  merges.reserve(json.json().size());
  for (const auto& entry : json.json()) {
    const auto wrong = [&] {
      json.refuse(fmt::format("merge {} is not two pieces", merges.size()));
    };
    if (entry.is_string()) {
      const auto& text = entry.get_ref<const std::string&>();
      if (text.starts_with("#version")) continue;
      const std::size_t space = text.find(' ');
      if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) wrong();
      merges.emplace_back(text.substr(0, space), text.substr(space + 1));
    } else {
      if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() ||
          !entry[1].is_string()) {
        wrong();
      }
      merges.emplace_back(entry[0].get<std::string>(), entry[1].get<std::string>());
    }
  }
  return merges;
}

std::array<std::int32_t, 256> byte_ids(const PieceIds& pieces) {
  std::array<std::int32_t, 256> ids;
  for (unsigned b = 0; b < 256; ++b) {
    const auto found = pieces.find(fmt::format("<0x{:02X}>", b));
    ids[b] = found == pieces.end() ? -1 : found->second;
  }
  return ids;
}

std::int32_t id_in(const PieceIds& pieces, std::string_view piece) {
  const auto found = pieces.find(piece);
  return found == pieces.end() ? -1 : found->second;
}

Model read_bpe(const JsonPart& json, PieceIds& ids) {
  json.only({"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
             "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"});
  BpeModel settings;
  settings.byte_fallback = json.flag_of("byte_fallback", false);
  settings.fuse_unk = json.flag_of("fuse_unk", false);
  settings.ignore_merges = json.flag_of("ignore_merges", false);
  settings.inside_prefix = json.text_of("continuing_subword_prefix", "");
  settings.end_suffix = json.text_of("end_of_word_suffix", "");
  if (const auto unk = json.maybe("unk_token")) settings.unk_token = unk->text();
  ids = read_vocabulary(json.field("vocab"));
  const JsonPart merges = json.field("merges");
  try {
    return Model(make_bpe(ids, read_merges(merges), std::move(settings)));
  } catch (const DataError&) {
    throw;
  } catch (const Error& e) {
    merges.refuse(e.what());
  }
}

Model read_unigram(const JsonPart& json, PieceIds& ids) {
  json.only({"type", "unk_id", "vocab", "byte_fallback"});
  const JsonPart vocabulary = json.field("vocab");
  if (!vocabulary.json().is_array()) vocabulary.refuse("is not a list");
  std::vector<std::pair<std::string, double>> pieces;
  for (const auto& entry : vocabulary.json()) {
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number()) {
      vocabulary.refuse(fmt::format("entry {} is not a piece and a score", pieces.size()));
    }
    pieces.emplace_back(entry[0].get<std::string>(), as_read(entry[1].get<double>()));
    ids[pieces.back().first] = static_cast<std::int32_t>(pieces.size()) - 1;
  }
  std::int32_t unk = -1;
  if (const auto id = json.maybe("unk_id")) {
    unk = static_cast<std::int32_t>(id->whole(0, static_cast<std::int64_t>(pieces.size()) - 1));
  }
  return Model(make_unigram(pieces, unk, json.flag_of("byte_fallback", false)));
}

/// This library's own addition (sentence_piece.h).
Model read_sentence_piece(const JsonPart& json, PieceIds& ids) {
  json.only({"type", "model", "vocab", "unk_token", "languages"});
  ids = read_vocabulary(json.field("vocab"));
  const JsonPart model = json.field("model");
  try {
    return Model(SentencePieceModel{Subword::from_model(from_base64(model.text()), json.file()),
                                    ids, id_in(ids, json.text_of("unk_token", "<unk>")),
                                    json.flag_of("languages", false)});
  } catch (const DataError&) {
    throw;
  } catch (const Error& e) {
    model.refuse(e.what());
  }
}

/// The type, which old files leave out.
std::string type_of(const JsonPart& json) {
  if (const auto type = json.maybe("type")) return type->text();
  if (json.maybe("merges")) return "BPE";
  if (const auto vocabulary = json.maybe("vocab"); vocabulary && vocabulary->json().is_array()) {
    return "Unigram";
  }
  return json.maybe("max_input_chars_per_word") ? "WordPiece" : "WordLevel";
}

}  // namespace

double as_read(double score) {
  char text[40];
  const auto end =
      std::to_chars(text, text + sizeof(text), std::abs(score), std::chars_format::fixed);
  const std::string_view digits(text, static_cast<std::size_t>(end.ptr - text));
  const std::size_t point = digits.find('.');
  if (end.ec != std::errc() || point == std::string_view::npos) return score;
  std::uint64_t significand = 0;
  for (const char c : digits) {
    if (c == '.') continue;
    if (significand > (UINT64_MAX - 9) / 10) return score;
    significand = 10 * significand + static_cast<std::uint64_t>(c - '0');
  }
  double power = 1;  // exact up to 10^22
  const std::size_t decimals = digits.size() - point - 1;
  if (decimals > 22) return score;
  for (std::size_t i = 0; i < decimals; ++i) power *= 10;
  return std::copysign(static_cast<double>(significand) / power, score);
}

BpeModel make_bpe(PieceIds pieces, const std::vector<std::pair<std::string, std::string>>& merges,
                  BpeModel settings) {
  const bool bare = settings.inside_prefix.empty() && settings.end_suffix.empty();
  settings.bytes = byte_ids(pieces);
  if (settings.unk_token) settings.unk = id_in(pieces, *settings.unk_token);
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [a, b] = merges[rank];
    const std::int32_t left = id_in(pieces, a), right = id_in(pieces, b);
    const std::size_t prefix = std::min(settings.inside_prefix.size(), b.size());
    const std::int32_t both = id_in(pieces, a + b.substr(prefix));
    if (left < 0 || right < 0 || both < 0) {
      fail("merge {} joins '{}' and '{}', but the vocabulary has not all of them and '{}'", rank, a,
           b, a + b.substr(prefix));
    }
    settings.merges.set(left, right, {static_cast<std::uint32_t>(rank), both});
  }
  settings.spaces_begin_words =
      bare && !settings.ignore_merges && id_in(pieces, kVisibleSpace) >= 0 &&
      std::ranges::none_of(merges, [](const auto& merge) {
        return merge.second.starts_with(kVisibleSpace) && !merge.first.ends_with(kVisibleSpace);
      });
  for (char32_t c = 0; c < settings.characters.size(); ++c) {
    std::string text;
    append(text, c);
    settings.characters[c] = id_in(pieces, text);
  }
  settings.pieces = std::move(pieces);
  return settings;
}

UnigramModel make_unigram(const std::vector<std::pair<std::string, double>>& pieces,
                          std::int32_t unk, bool byte_fallback) {
  constexpr double kUnknownPenalty = 10.0;
  UnigramModel model;
  model.unk = unk;
  model.byte_fallback = byte_fallback;
  double least = std::numeric_limits<double>::infinity();
  std::vector<std::pair<std::string_view, std::int32_t>> entries;
  PieceIds ids;
  for (const auto& [piece, score] : pieces) {
    const auto id = static_cast<std::int32_t>(entries.size());
    entries.emplace_back(piece, id);
    model.scores.push_back(score);
    least = std::min(least, score);
    ids[piece] = id;
  }
  model.unknown_score = least - kUnknownPenalty;
  model.trie = PieceTrie(entries);
  model.bytes = byte_ids(ids);
  return model;
}

WordPieceModel make_word_piece(const PieceIds& pieces, std::string unk_token,
                               std::string_view prefix, std::size_t longest_word) {
  const std::vector<std::pair<std::string_view, std::int32_t>> entries(pieces.begin(),
                                                                       pieces.end());
  return {.pieces = GreedyPieces(entries, prefix),
          .unk = id_in(pieces, unk_token),
          .unk_token = unk_token,
          .longest_word = longest_word};
}

Model read_model(const JsonPart& json, PieceIds& ids) {
  const std::string type = type_of(json);
  if (type == "BPE") return read_bpe(json, ids);
  if (type == "Unigram") return read_unigram(json, ids);
  if (type == "WordPiece") {
    json.only(
        {"type", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "vocab"});
    ids = read_vocabulary(json.field("vocab"));
    const auto longest = json.maybe("max_input_chars_per_word");
    return Model(make_word_piece(
        ids, json.text_of("unk_token", "[UNK]"), json.text_of("continuing_subword_prefix", "##"),
        static_cast<std::size_t>(longest ? longest->whole(0, INT64_MAX) : 100)));
  }
  if (type == "WordLevel") {
    json.only({"type", "unk_token", "vocab"});
    ids = read_vocabulary(json.field("vocab"));
    const std::string unk = json.text_of("unk_token", "<unk>");
    return Model(WordLevelModel{ids, id_in(ids, unk), unk});
  }
  if (type == "SentencePiece") return read_sentence_piece(json, ids);
  json.refuse(fmt::format("'{}' is no model that this program knows", type));
}

}  // namespace qkv::pipeline
