// Any trained model: open() looks into a directory and gives what is in it.
#pragma once

#include <filesystem>
#include <string>
#include <variant>

#include "qkv/systems/action_recogniser.h"
#include "qkv/systems/encoder.h"
#include "qkv/systems/generator.h"
#include "qkv/systems/labels.h"
#include "qkv/systems/translator.h"
#include "qkv/systems/vectors.h"

namespace qkv {

using System = std::variant<Translator, Generator, Tagger, Classifier, IntentModel, MaskedModel,
                            Encoder, WordVectors, ActionRecogniser>;

/// What the directory holds, by its config.json: qkv's own models, Hugging Face's BERT (a
/// MaskedModel where there is a head for words, else an Encoder) and decoders (a Generator): GPT-2,
/// GPT-Neo, Llama, MPT. Throws FileError or DataError.
System open(const std::filesystem::path& directory, const LoadOptions& options = {});

/// The verb that asks such a system, for messages: "translate", "tag".
std::string_view verb_of(const System& system);
Info info_of(const System& system);

}  // namespace qkv
