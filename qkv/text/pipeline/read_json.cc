// A whole tokenizer.json.
#include "qkv/base/error.h"
#include "qkv/text/pipeline/read_parts.h"

namespace qkv {
namespace pipeline {
namespace {

std::optional<TruncationNote> read_truncation(const std::optional<JsonPart>& json) {
  if (!json) return std::nullopt;
  json->only({"direction", "max_length", "strategy", "stride"});
  const std::string direction = json->text_of("direction", "Right");
  if (direction != "Right" && direction != "Left") {
    json->field("direction").refuse(fmt::format("is '{}', not Right or Left", direction));
  }
  return TruncationNote{json->field("max_length").whole(0, INT64_MAX), direction == "Left"};
}

/// The tokens that templates put around a text must be known.
void check_templates(const Parts& parts, const JsonPart& json) {
  for (const auto* items : {&parts.around.single, &parts.around.pair}) {
    for (const TemplateItem& item : *items) {
      for (const std::int32_t id : item.ids) {
        if (parts.table.piece(id)) continue;
        json.refuse(fmt::format("post_processor: no token has the number {}", id));
      }
    }
  }
}

/// A decoder "SentencePiece" is that of the model.
void share_model(Parts& parts, const JsonPart& json) {
  if (!parts.decoders) return;
  for (Decoder& decoder : *parts.decoders) {
    auto* subword = std::get_if<SubwordDecoder>(&decoder);
    if (subword == nullptr) continue;
    const auto* model = std::get_if<SentencePieceModel>(&parts.model.kind());
    if (model == nullptr) json.refuse("decoder: a SentencePiece without such a model");
    subword->model = model->model;
  }
}

Parts parts_of(const JsonPart& json) {
  json.only({"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
             "post_processor", "decoder", "model"});
  if (const std::string version = json.field("version").text(); version != "1.0") {
    json.field("version").refuse(fmt::format("is {}; this program reads 1.0", version));
  }
  Parts parts;
  parts.truncation = read_truncation(json.maybe("truncation"));
  parts.normalisers = read_normalisers(json.maybe("normalizer"));
  parts.pre_tokenisers = read_pre_tokenisers(json.maybe("pre_tokenizer"));
  parts.decoders = read_decoders(json.maybe("decoder"));
  read_post_processors(json.maybe("post_processor"), parts);
  PieceIds ids;
  parts.model = read_model(json.field("model"), ids);
  share_model(parts, json);
  try {
    add_tokens(std::move(ids), read_added_tokens(json.maybe("added_tokens")), parts);
  } catch (const DataError&) {
    throw;
  } catch (const Error& e) {
    json.refuse(e.what());
  }
  check_templates(parts, json);
  return parts;
}

}  // namespace

Parts read_parts(std::string_view text, std::string_view path) {
  nlohmann::json json;
  try {
    json = nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception&) {
    throw DataError(path, 0, "truncated, or no JSON");
  }
  Parts parts = parts_of(JsonPart(json, path, ""));
  parts.json = text;
  return parts;
}

Parts read_whole(const nlohmann::json& json, std::string_view path) {
  Parts parts = parts_of(JsonPart(json, path, ""));
  try {
    parts.json = json.dump();
  } catch (const nlohmann::json::exception&) {
    throw DataError(path, 0, "a token is not UTF-8");
  }
  return parts;
}

}  // namespace pipeline

TokenPipeline TokenPipeline::from_json(std::string_view text, std::string_view path) {
  return TokenPipeline(std::make_shared<const pipeline::Parts>(pipeline::read_parts(text, path)));
}

}  // namespace qkv
