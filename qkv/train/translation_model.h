// A translator as it lies in a directory: a Transformer with its tokenisers.
//   config.json              format, task, architecture, model, tokeniser stems
//   model.safetensors        weights, [in, out], names of for_each_parameter
//   source.*, target.* or joint.*   the tokenisers
#pragma once

#include <filesystem>
#include <string>

#include "qkv/models/transformer.h"
#include "qkv/text/tokeniser.h"

namespace qkv {

struct TranslationModel {
  Transformer transformer;
  Tokeniser source, target;  // equal when the vocabulary is joint
  bool joint = false;
  std::string preset;  // for people: what the sizes were called
};

/// Written file by file, each atomically, the configuration last.
void save_translation_model(const TranslationModel& model, const std::filesystem::path& directory);
/// Checks everything: format version, fields, names and shapes of all weights, finite numbers,
/// vocabulary sizes. Each error says the file and what to do.
TranslationModel load_translation_model(const std::filesystem::path& directory);

}  // namespace qkv
