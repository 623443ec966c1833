// The weights of a BERT of Hugging Face or one of its relatives, in one file or in shards, under
// our names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/io/safetensors.h"
#include "qkv/models/bert.h"
#include "qkv/nn/state_dict.h"
#include "qkv/systems/import/bert_names.h"

namespace qkv {

struct BertWeights {
  std::string path;  // of the file or of the index, for messages
  StateDict state;   // f32; without copies
  std::int64_t numbers = 0;
  std::vector<std::string> notes;  // of the files, for people
  BertConfig config;               // these two say what the file calls a tensor
  BertHead head = BertHead::words;

  bool has(std::string_view name) const;
};

/// model.safetensors, or what model.safetensors.index.json lists; verified, all numbers finite.
/// Copies of the word embeddings and tables of positions are compared with what they should be a
/// copy of. Throws DataError.
BertWeights read_bert_weights(const ModelDirectory& directory, const BertConfig& config,
                              BertHead head);
/// A table of positions for DistilBERT's field sinusoidal_pos_embds, unless the file has one.
void add_sinusoids(BertWeights& weights, const Json& json, const BertConfig& config);
/// Rows of the vocabulary that no piece has: `pieces` rows stay. Returns how many went.
std::int64_t drop_spare_rows(BertWeights& weights, std::int64_t pieces);
/// Takes out what the network has no place for, and says so in the notes.
void drop_unused(BertWeights& weights, const StateEntries& network);
/// Gives the entries and the weights the names of the file, for messages.
void name_as_in_file(StateEntries& entries, BertWeights& weights);
/// take_state() for any module that holds a BERT. Throws DataError with the file's names.
template <class M>
void take_bert_weights(M& network, StateEntries entries, BertWeights weights) {
  name_as_in_file(entries, weights);
  try {
    take_state(network, entries, weights.state);
  } catch (const Error& e) {
    throw DataError(weights.path, 0, e.what());
  }
}

}  // namespace qkv
