#include "qkv/text/pipeline/write_parts.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/core.h>

#include "qkv/text/pipeline/read_parts.h"

namespace qkv::pipeline {
namespace {

using Json = nlohmann::json;

/// The number next to the score, most often itself, that is read as the score (as_read()).
double spelled(double score) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  double above = score, below = score;
  for (int step = 0; step < 4; ++step) {
    for (const double near : {above, below}) {
      if (as_read(near) == score) return near;
    }
    above = std::nextafter(above, kInfinite);
    below = std::nextafter(below, -kInfinite);
  }
  return score;
}

Json items_json(const TemplateJson& around, const TemplateJson::Items& items) {
  Json list = Json::array();
  for (const auto& [name, type] : items) {
    const char* kind = around.tokens.contains(name) ? "SpecialToken" : "Sequence";
    list.push_back({{kind, {{"id", name}, {"type_id", type}}}});
  }
  return list;
}

}  // namespace

Json whole_json(PartsJson parts) {
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", Json::array()},
          {"normalizer", std::move(parts.normaliser)},
          {"pre_tokenizer", std::move(parts.pre_tokeniser)},
          {"post_processor", std::move(parts.around)},
          {"decoder", std::move(parts.decoder)},
          {"model", std::move(parts.model)}};
}

Json added_json(const AddedToken& t) {
  return {{"id", t.id},          {"content", t.content}, {"single_word", t.single_word},
          {"lstrip", t.lstrip},  {"rstrip", t.rstrip},   {"normalized", t.normalised},
          {"special", t.special}};
}

Json vocabulary_json(const PieceIds& ids) {
  Json json = Json::object();
  for (const auto& [piece, id] : ids) json[piece] = id;
  return json;
}

Json scores_json(const std::vector<std::pair<std::string, double>>& pieces) {
  Json list = Json::array();
  for (const auto& [piece, score] : pieces) list.push_back(Json::array({piece, spelled(score)}));
  return list;
}

Json merges_json(const std::vector<std::pair<std::string, std::string>>& merges) {
  // Older versions of Hugging Face's library know the form with a space between alone.
  const bool spaces = std::ranges::any_of(merges, [](const auto& merge) {
    return merge.first.find(' ') != merge.first.npos || merge.second.find(' ') != merge.second.npos;
  });
  Json list = Json::array();
  for (const auto& [left, right] : merges) {
    list.push_back(spaces ? Json::array({left, right}) : Json(fmt::format("{} {}", left, right)));
  }
  return list;
}

Json template_json(const TemplateJson& around) {
  Json tokens = Json::object();
  for (const auto& [name, id] : around.tokens) {
    tokens[name] = {{"id", name}, {"ids", {id}}, {"tokens", {name}}};
  }
  return {{"type", "TemplateProcessing"},
          {"single", items_json(around, around.single)},
          {"pair", items_json(around, around.pair)},
          {"special_tokens", std::move(tokens)}};
}

}  // namespace qkv::pipeline
