// config.json of a BERT or one of its relatives, in Hugging Face's fields: what model_type calls
// bert, distilbert, roberta, xlm-roberta or albert.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/io/json.h"
#include "qkv/models/bert.h"

namespace qkv {

/// What model_type says; nothing for another model.
std::optional<BertFamily> bert_family(const Json& config);
/// Whether another program wrote it, or has written a directory of ours again: it keeps fields that
/// it does not know.
bool is_foreign_bert(const Json& config);

/// How the names of the family's classes begin: "Bert", "XLMRoberta".
std::string_view bert_class_prefix(BertFamily family);

Json bert_config_json(const BertConfig& config);
/// Reads the fields that shape the network; others are passed over, but what would make it another
/// network throws DataError.
BertConfig bert_config_from(const Json& json, const std::string& path);

/// The fields that no BertConfig holds: refuses what makes another network, notes what is unknown.
void check_bert_config(const Json& config, const std::string& path,
                       std::vector<std::string>& notes);

}  // namespace qkv
