// A tokenizer.json as GPT-2's: a piece for each byte, a few merges, <|endoftext|> at the end.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "qkv/text/pipeline/byte_level.h"

namespace qkv {

/// Numbers 0…255 are the bytes, then come the merged pieces, then <|endoftext|>.
inline std::string byte_level_json() {
  nlohmann::ordered_json vocabulary, merges = nlohmann::json::array();
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary[std::string(pipeline::character_of_byte(static_cast<unsigned char>(byte)))] = byte;
  }
  const std::vector<std::pair<std::string, std::string>> pairs = {
      {"t", "h"}, {"th", "e"}, {"\u0120", "the"}, {"d", "o"}, {"do", "g"}};
  for (const auto& [left, right] : pairs) {
    vocabulary[left + right] = vocabulary.size();
    merges.push_back(left + " " + right);
  }
  const nlohmann::ordered_json byte_level = {{"type", "ByteLevel"},
                                             {"add_prefix_space", false},
                                             {"trim_offsets", true},
                                             {"use_regex", true}};
  const nlohmann::ordered_json end = {{"id", vocabulary.size()}, {"content", "<|endoftext|>"},
                                      {"single_word", false},    {"lstrip", false},
                                      {"rstrip", false},         {"normalized", false},
                                      {"special", true}};
  return nlohmann::ordered_json{{"version", "1.0"},
                                {"truncation", nullptr},
                                {"padding", nullptr},
                                {"added_tokens", {end}},
                                {"normalizer", nullptr},
                                {"pre_tokenizer", byte_level},
                                {"post_processor", byte_level},
                                {"decoder", byte_level},
                                {"model",
                                 {{"type", "BPE"},
                                  {"dropout", nullptr},
                                  {"unk_token", nullptr},
                                  {"vocab", vocabulary},
                                  {"merges", merges}}}}
      .dump();
}

}  // namespace qkv
