// Translators as Marian itself keeps them, and as OPUS-MT publishes them, a directory or its zip:
//   NAME.npz      arrays of NumPy, [in, out]; among them "special:model.yml", the configuration
//   decoder.yml   or NAME.npz.decoder.yml: which model, which vocabularies, how to search
//   *.yml         vocabularies {piece: number}, beside source.spm and target.spm that cut texts;
//   *.spm         or vocabularies that cut them themselves
// Of Marian's Transformers those that its own converters know too: post-norm ("dan"), no other
// preprocessing, self-attention. Positions are Marian's, [sines | cosines] of p ·
// 10000^(−j/(C/2−1)).
//
// Source: marian-dev (models/transformer.h, translator/beam_search.h, common/config_parser.cpp).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/io/model_files.h"
#include "qkv/systems/translation_model.h"

namespace qkv {

bool is_marian_npz(const ModelFiles& files);
/// Throws FileError or DataError; a setting that makes another network, and an array that has no
/// place, are refused by name.
TranslationModel read_marian_npz(const ModelFiles& files);

// Its steps.

/// What an .npz holds.
struct MarianWeights {
  std::string path;  // for messages
  std::map<std::string, Tensor, std::less<>> tensors;
  Json config;

  static MarianWeights read(const Archive& archive);
};
/// Sets what the configuration says of attention in `defaults`.
Transformer marian_network(const MarianWeights& weights, TranslateOptions& defaults,
                           std::vector<std::string>& notes);

/// Which files belong together, and how they are asked.
struct MarianFiles {
  std::string model, source, target;  // vocabularies
  TranslateOptions defaults;
  bool unknown = false;  // whether the unknown token may be produced
};
MarianFiles find_marian_files(const ModelFiles& files, std::vector<std::string>& notes);
Tokeniser marian_tokeniser(const ModelFiles& files, const std::string& vocabulary,
                           const char* side);

}  // namespace qkv
