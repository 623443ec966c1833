// The names of BERT's relatives in Hugging Face's files and in ours, which are BERT's own.
//   roberta.embeddings.word_embeddings.weight    bert.embeddings.word_embeddings.weight
//   distilbert.transformer.layer.3.ffn.lin1.bias bert.encoder.layer.3.intermediate.dense.bias
//   classifier.out_proj.weight                   class_output.weight
// Source: transformers 4.40 and 5, modeling_{bert,distilbert,roberta,xlm_roberta,albert}.py.
#pragma once

#include <string>

#include "qkv/models/bert.h"

namespace qkv {

/// Which head stands on the encoder, since several call themselves "classifier".
enum class BertHead : std::uint8_t { words, tags, classes };

/// Our name of a tensor; the family's prefix may be missing, norms may be called gamma and beta.
/// What is not known keeps its name.
std::string own_bert_name(std::string name, const BertConfig& config, BertHead head);
/// The other way round.
std::string foreign_bert_name(std::string name, const BertConfig& config, BertHead head);

}  // namespace qkv
