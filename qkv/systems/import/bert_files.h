// What stands beside the weights of a BERT of Hugging Face or sentence-transformers: how text
// becomes pieces and states a vector. Every field is used, known to change nothing, or refused by
// name; what this program does not know is named in `notes`.
//   tokenizer_config.json, special_tokens_map.json, tokenizer.json      the tokeniser
//   modules.json, 1_Pooling/config.json, 2_Dense/config.json and model.safetensors,
//   sentence_bert_config.json, config_sentence_transformers.json        vectors of texts
// Source: transformers 4.40 and 5, sentence-transformers 6 (their readers of these files).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "qkv/io/json.h"
#include "qkv/systems/encoder.h"
#include "qkv/systems/sentence_dense.h"
#include "qkv/text/bert_pieces.h"

namespace qkv {

constexpr const char* kTokenizerFile = "tokenizer.json";

/// How a directory wants its texts turned into vectors.
struct SentenceSettings {
  TextVector pooling = TextVector::mean;
  std::vector<SentenceDense> dense;  // behind pooling, in their order
  bool normalise = false;            // the last step
  Similarity similarity = Similarity::cosine;
  std::int64_t longest = 0;   // tokens of a text, [CLS] and [SEP] included; 0: the model's
  std::string prompt;         // put in front of every text
  bool prompt_counts = true;  // among what is pooled
  std::string refused;        // what this program cannot do of it, with the file; empty: nothing

  /// What this program cannot do is no error before somebody asks for it; the first one counts.
  void refuse(const std::string& file, const std::string& what);
};

struct BertFiles {
  BertPieces pieces;
  std::int64_t longest = 0;  // tokens that the tokeniser lets through; 0: no limit
  SentenceSettings sentence;
  std::vector<std::string> notes;  // what was passed over, for people
};

/// Everything beside config.json and the weights. `lower`: what config.json says of the text's
/// case, if anything; it wins. Throws DataError with file and field.
BertFiles read_bert_files(const std::filesystem::path& directory, std::optional<bool> lower);
/// The same for RoBERTa, XLM-R and ALBERT, by read_token_pipeline().
BertFiles read_pipeline_files(const std::filesystem::path& directory);
/// Its second half: the files of sentence-transformers. `lower`: whether the pieces lower text.
void read_sentence_files(const std::filesystem::path& directory, bool lower, BertFiles& files);
/// One of its modules in a folder of its own, behind what the settings have so far.
void read_dense(const std::filesystem::path& folder, SentenceSettings& settings,
                std::vector<std::string>& notes);
void read_normalize(const std::filesystem::path& folder, SentenceSettings& settings,
                    std::vector<std::string>& notes);

}  // namespace qkv
