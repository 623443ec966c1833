// The tokenisers of RoBERTa, XLM-R and ALBERT, and what stands beside them.
#include "qkv/base/error.h"
#include "qkv/systems/import/bert_files.h"
#include "qkv/systems/import/fields.h"

namespace qkv {
namespace fs = std::filesystem;

BertFiles read_pipeline_files(const fs::path& directory) {
  BertFiles files;
  files.pieces = BertPieces(read_token_pipeline(directory), directory.string());
  if (const fs::path path = directory / "tokenizer_config.json"; is_file(path)) {
    // What says how text is cut is read with the pipeline.
    const Json json = read_json(path);
    ForeignFields f(json, path.string());
    for (const char* name : {"model_max_length", "max_len"}) {
      const auto longest = f.number(name);
      if (!longest) continue;
      if (!(*longest >= 3)) f.refuse(name, "leaves no room for a word between the two around it");
      if (*longest < 1e9) files.longest = static_cast<std::int64_t>(*longest);  // 1e30: no limit
    }
    f.only("truncation_side", {"right"});
    f.only("split_special_tokens", {false});
  }
  read_sentence_files(directory, false, files);
  return files;
}

}  // namespace qkv
