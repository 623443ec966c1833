// A whole pipeline, as TokenPipeline holds it, and the ways to make one.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "qkv/text/pipeline/added_tokens.h"
#include "qkv/text/pipeline/decoders.h"
#include "qkv/text/pipeline/models.h"
#include "qkv/text/pipeline/normalisers.h"
#include "qkv/text/pipeline/post_processors.h"
#include "qkv/text/pipeline/pre_tokenisers.h"
#include "qkv/text/token_pipeline.h"

namespace qkv::pipeline {

struct Parts {
  std::vector<Normaliser> normalisers;
  std::vector<PreTokeniser> pre_tokenisers;
  Model model;
  AddedTokens added;
  PieceTable table;  // of the model and what was added
  Template around;
  std::vector<SpanTrim> trims;
  std::optional<std::vector<Decoder>> decoders;  // none: pieces with spaces between
  std::vector<bool> special;                     // by number
  std::optional<TruncationNote> truncation;
  TokenRoles roles;
  std::string json;  // as tokenizer.json says it, or would where the files are others
};

/// Of the text of a tokenizer.json; see TokenPipeline::from_json().
Parts read_parts(std::string_view text, std::string_view path);
/// Of what would be one.
Parts read_whole(const nlohmann::json& json, std::string_view path);
/// See read_token_pipeline().
Parts read_directory(const std::filesystem::path& directory, TextSide side);

/// Puts the tokens beside the model's into `parts`, whose normalisers must be there, and makes its
/// table of both. Throws Error when a number or a token is there twice.
void add_tokens(PieceIds model, std::vector<AddedToken> tokens, Parts& parts);

}  // namespace qkv::pipeline
