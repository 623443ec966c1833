// Any trained model: open() looks into a directory and gives what is in it.
#pragma once

#include <filesystem>
#include <string>
#include <variant>

#include "qkv/systems/action_recogniser.h"
#include "qkv/systems/encoder.h"
#include "qkv/systems/generator.h"
#include "qkv/systems/labels.h"
#include "qkv/systems/node_classifier.h"
#include "qkv/systems/picture_classifier.h"
#include "qkv/systems/picture_generator.h"
#include "qkv/systems/sounds.h"
#include "qkv/systems/translator.h"
#include "qkv/systems/upscaler.h"
#include "qkv/systems/vectors.h"

namespace qkv {

using System =
    std::variant<Translator, Generator, Tagger, Classifier, IntentModel, MaskedModel, Encoder,
                 WordVectors, ActionRecogniser, NodeClassifier, PictureGenerator, Upscaler,
                 PictureClassifier, SoundClassifier, SoundTagger, Transcriber>;

/// What the directory holds: qkv's own models by their config.json; Hugging Face's BERT,
/// DistilBERT, RoBERTa, XLM-R and ALBERT (a Classifier or Tagger where "architectures" names a head
/// for labels, else a MaskedModel where there is a head for words, else an Encoder), its Marian and
/// M2M100, its GPT-2, GPT-Neo, Llama and MPT; CTranslate2's translators by their model.bin, and
/// packages of Argos Translate, as an .argosmodel too; SwinIR's published weights as safetensors, a
/// file or a directory without a config.json. Throws FileError or DataError.
System open(const std::filesystem::path& directory, const LoadOptions& options = {});

/// What config.json calls the model in a directory, "picture"; empty where it says nothing, for
/// those of other programs, and where there is none.
std::string task_of(const std::filesystem::path& directory);

/// The verb that asks such a system, for messages: "translate", "tag".
std::string_view verb_of(const System& system);
Info info_of(const System& system);

}  // namespace qkv
