// What the readers of decoders' configurations share.
#pragma once

#include <string>
#include <string_view>

#include "qkv/models/mpt.h"
#include "qkv/systems/import/activations.h"
#include "qkv/systems/import/fields.h"

namespace qkv {

/// ForeignFields with the numbers and words of a network; null counts as absent.
class DecoderFields : public ForeignFields {
 public:
  DecoderFields(const Json& json, const std::string& file, std::string prefix = "");

  std::int64_t size(std::string_view name);  // must be there
  std::int64_t size(std::string_view name, std::int64_t fallback);
  double number_or(std::string_view name, double fallback);
  bool flag(std::string_view name, bool fallback);
  Activation activation(std::string_view name, std::string_view fallback);
  double dropout(std::string_view name, double fallback);

  /// Fields of every configuration that say nothing of the network, or must say nothing.
  void common();

 private:
  FieldReader reader_;
};

/// Each reads its family's fields; only what the family has is touched.
Mpt::Config gpt2_config(DecoderFields& f);
Mpt::Config gpt_neo_config(DecoderFields& f);
Mpt::Config llama_config(DecoderFields& f);
/// `native`: Hugging Face's class.
Mpt::Config mpt_config(DecoderFields& f, bool native);

}  // namespace qkv
