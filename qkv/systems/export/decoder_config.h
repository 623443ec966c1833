// The configurations of decoders in the fields of their own programs: the opposite of
// import/decoder_config.h, which is asked whether it reads the same network.
#pragma once

#include <string>
#include <vector>

#include "qkv/systems/import/decoder_config.h"

namespace qkv {

struct DecoderForm {
  DecoderFamily family = DecoderFamily::mpt;
  std::string name;      // of the class
  Json config;           // but what the tokeniser and the type of the weights say
  bool foundry = false;  // llm-foundry's
};

/// The first form that computes the network exactly: that of `preferred` where it does, else those
/// of transformers, else llm-foundry's. Throws Error with what is in none.
DecoderForm decoder_form(const Mpt::Config& network, std::string_view preferred);

}  // namespace qkv
