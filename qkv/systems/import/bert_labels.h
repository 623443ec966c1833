// BERTs of other programs with a head for labels: a class for a text or a tag for a word.
//   *ForSequenceClassification   BERT, ALBERT: W·pooler; RoBERTa, XLM-R: W₂ tanh(W₁ h_<s>);
//                                DistilBERT: W₂ relu(W₁ h_[CLS])
//   *ForTokenClassification      W·h of each piece; a word has that of its first one
// Source: transformers 4.40 and 5.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "qkv/io/directory.h"
#include "qkv/systems/import/bert_names.h"
#include "qkv/systems/labeller_model.h"

namespace qkv {

/// The head for labels that "architectures" names, if it names one.
std::optional<BertHead> label_head(const Json& config);

/// Names of so many labels: those of id2label, LABEL_0, LABEL_1 … where it says nothing. The number
/// of labels is that of the weights whatever the file says; what does not fit is noted.
std::vector<std::string> label_names(const Json& config, const std::string& path,
                                     std::int64_t count, std::vector<std::string>& notes);

/// A labeller from a directory whose config.json is a foreign BERT's (is_foreign_bert()). A text to
/// classify is read as it is; words to tag are cut as split_words() does (with a tokenizer.json, to
/// which spaces matter, at white space). "problem_type" says whether the answer is a label, several
/// or a number; without it one column is a number. Throws DataError, also for several numbers.
LabellerModel import_bert_labels(const ModelDirectory& directory);

}  // namespace qkv
