// Training word vectors from running text: the corpus as word2vec reads it, and its pass.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/base/progress.h"
#include "qkv/systems/vector_model.h"

namespace qkv {

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

/// Defaults are those of word2vec.c.
struct VectorOptions {
  std::int64_t epochs = 5;
  std::int64_t window = 5;     // words on either side; each place draws 1 … window
  std::int64_t negatives = 5;  // words drawn by count^¾
  double sample = 1e-3;        // t of the sub-sampling of frequent words; 0: none
  double rate = 0;             // falls in a line to a ten thousandth; 0: 0.05 CBOW, 0.025 skip-gram
  std::uint64_t seed = 1;
};
/// With which probability an occurrence of a word is kept: (√(c/(tN)) + 1)·tN/c, at most 1.
double keep_probability(std::int64_t count, std::int64_t total, double sample);

struct VectorReport {
  std::int64_t words = 0;     // read, those of all epochs
  std::int64_t examples = 0;  // steps taken
  double loss = 0;            // mean −log p of the last epoch's, every 64th example
  double seconds = 0;
};
/// One thread, one place after the other: the result is a pure function of its arguments.
VectorReport train_vectors(VectorNetwork& model, const VectorCorpus& corpus,
                           const VectorOptions& options, const ProgressSink& progress = {});

}  // namespace qkv
