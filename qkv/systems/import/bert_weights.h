// The weights of a BERT of Hugging Face, in one file or in shards, under their modern names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "qkv/io/directory.h"
#include "qkv/io/safetensors.h"
#include "qkv/models/bert.h"
#include "qkv/nn/state_dict.h"

namespace qkv {

struct BertWeights {
  std::string path;  // of the file or of the index, for messages
  StateDict state;   // f32; without copies
  std::int64_t numbers = 0;
  std::vector<std::string> notes;  // of the files, for people

  bool has(std::string_view name) const;
};

/// model.safetensors, or what model.safetensors.index.json lists; verified, all numbers finite.
/// Names of a bare encoder get the prefix "bert." that models have. Copies of the word embeddings
/// and tables of positions are compared with what they should be a copy of. Throws DataError.
BertWeights read_bert_weights(const ModelDirectory& directory);
/// Rows of the vocabulary that no piece has: `pieces` rows stay. Returns how many went.
std::int64_t drop_spare_rows(BertWeights& weights, std::int64_t pieces);
/// Takes out what the network has no place for; returns the names.
std::vector<std::string> drop_unused(BertWeights& weights, const Bert& network);

}  // namespace qkv
