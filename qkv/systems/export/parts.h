// What the writers of foreign directories share, one function a kind of model. Each writes into a
// folder that exists; what has no counterpart throws Error.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/io/json.h"
#include "qkv/nn/state_dict.h"
#include "qkv/systems/bert_model.h"
#include "qkv/systems/export/export.h"
#include "qkv/systems/labeller_model.h"
#include "qkv/systems/language_model.h"
#include "qkv/systems/translation_model.h"
#include "qkv/systems/upscale_model.h"

namespace qkv {

Exported export_bert(const BertModel& model, const std::filesystem::path& folder);
Exported export_labeller(const LabellerModel& model, const std::filesystem::path& folder,
                         const ExportOptions& options);
Exported export_decoder(const LanguageModel& model, const std::filesystem::path& folder);
Exported export_translator(const TranslationModel& model, const std::filesystem::path& folder);
/// Throws Error for a network that SwinIR's code does not compute.
Exported export_swin_ir(const UpscaleModel& model, const std::filesystem::path& folder);

// Their steps.

/// model.safetensors, with the metadata that transformers asks for.
void save_foreign_weights(const StateDict& state, const std::filesystem::path& folder);
/// The fields of every config.json: the class, and the type of the weights as all versions call it.
void set_class(Json& config, const std::string& name);
/// The tokeniser of a BERT of `longest` tokens a text: tokenizer.json, and vocab.txt of pieces of
/// its own kind, with the settings beside them.
void save_bert_pieces(const BertPieces& pieces, BertFamily family, std::int64_t longest,
                      const std::filesystem::path& folder);
/// The files of sentence-transformers around a BERT.
void save_sentence_files(const BertModel& model, const std::filesystem::path& folder,
                         std::vector<std::string>& notes);

/// Throws unless config.json of a BERT, read again, says the same network.
void require_same_bert(const BertConfig& config, const Json& written);

}  // namespace qkv
