// What stands beside the weights of a decoder of another program: its tokeniser and
// generation_config.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "qkv/io/json.h"
#include "qkv/systems/generator_options.h"
#include "qkv/text/tokeniser.h"

namespace qkv {

struct DecoderFiles {
  Tokeniser tokeniser;             // with bos, eos and pad of the configuration
  std::vector<std::int32_t> ends;  // tokens that end a text; empty: none does
  GeneratorOptions defaults;       // what generation_config.json wants
  std::vector<std::string> notes;  // for people: settings of generation that nobody applies
};

/// `config`: config.json, whose ids generation_config.json overrules. Throws FileError without a
/// tokeniser, DataError for one with more tokens than the model's `vocabulary`, and for ids outside
/// it.
DecoderFiles read_decoder_files(const std::filesystem::path& directory, const Json& config,
                                std::int64_t vocabulary);

}  // namespace qkv
