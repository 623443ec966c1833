// The configurations of decoder-only language models of Hugging Face and llm-foundry.
//   gpt2      GPT2LMHeadModel
//   gpt_neo   GPTNeoForCausalLM
//   llama     LlamaForCausalLM
//   mpt       MptForCausalLM (Hugging Face's, which computes less than its options say) and
//             MPTForCausalLM (llm-foundry's)
// Source: transformers 4.40 and 5 (the classes named), llm-foundry 0.17 (models/mpt).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "qkv/io/json.h"
#include "qkv/models/mpt.h"

namespace qkv {

enum class DecoderFamily : std::uint8_t { gpt2, gpt_neo, llama, mpt };

struct ForeignDecoder {
  DecoderFamily family = DecoderFamily::gpt2;
  Mpt::Config network;
  std::int64_t context = 0;        // tokens that the model has learnt to read
  std::vector<std::string> notes;  // fields that this program does not know
};

/// Whether config.json is that of such a model, of another program.
bool is_foreign_decoder(const Json& config);
/// Each field is used, known to change nothing, or refused by name: DataError.
ForeignDecoder read_decoder_config(const Json& config, const std::string& path);

}  // namespace qkv
