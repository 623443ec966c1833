// Word vectors as they lie in a directory.
//   config.json         format, task "vectors", model, how words are read
//   model.safetensors   "input" [V D], "output"
//   words.vocabulary    row i belongs to its word i, the special tokens left out
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/models/word_vectors.h"
#include "qkv/systems/labeller_model.h"

namespace qkv {

struct VectorModel {
  VectorNetwork vectors;
  Vocabulary words;
  WordOptions word_options;

  /// −1 for a word without a vector.
  std::int32_t row(std::string_view word) const;
  const std::string& word(std::int32_t row) const { return label_name(words, row); }
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    VectorNetwork::each(m.vectors, visit);
  }
};

/// Words by number, rare ones left out; a line is a sentence.
struct VectorCorpus {
  std::vector<std::int32_t> ids;           // rows
  std::vector<std::int64_t> sentences{0};  // where each begins, and where the last ends
  std::vector<std::int64_t> counts;        // of each row
  std::int64_t left_out = 0;               // words that are too rare
};
/// Builds the vocabulary; model.vectors stays unset. Throws Error when fewer than two words remain.
VectorCorpus make_vector_corpus(std::span<const std::string> lines, const WordOptions& options,
                                std::int64_t min_count, VectorModel& model);

void save_vector_model(const VectorModel& model, const std::filesystem::path& directory);
VectorModel load_vector_model(const std::filesystem::path& directory);
/// word2vec's text: "V D", then a line a word: the word and its numbers between spaces.
void write_vector_text(const VectorModel& model, const std::filesystem::path& path);

}  // namespace qkv
