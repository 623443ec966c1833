// Models whose tokeniser is no tokenizer.json, but what the family keeps in its place: saved as
// ours and exported they cut text the same.
#include <string>
#include <vector>

#include "systems/golden_folders.h"
#include "text/temporary.h"
#include <gtest/gtest.h>

#include "qkv/systems/bert_model.h"
#include "qkv/systems/encoder.h"
#include "qkv/systems/export/export.h"
#include "qkv/systems/generator.h"
#include "qkv/systems/language_model.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;

/// vocab.json and merges.txt of 40 tokens: special ones, bytes, and some of them joined.
void write_bytes(const fs::path& to, const std::vector<std::string>& special, const char* kind) {
  Json ids = Json::object();
  for (const std::string& token : special) ids[token] = ids.size();
  const std::pair<const char*, const char*> merges[] = {{"t", "h"}, {"th", "e"}, {"\u0120", "the"},
                                                        {"r", "e"}, {"re", "d"}, {"\u0120", "red"}};
  for (const char* piece :
       {"\u0120", "a", "b", "d", "e", "g", "h", "i", "l", "m", "n", "o", "r", "t", "w", "\u010a"}) {
    ids[piece] = ids.size();
  }
  std::string joined = "#version: 0.2\n";
  for (const auto& [left, right] : merges) {
    joined += fmt::format("{} {}\n", left, right);
    ids[fmt::format("{}{}", left, right)] = ids.size();
  }
  write_json(to / "vocab.json", ids);
  write_file(to / "merges.txt", joined);
  write_json(to / "tokenizer_config.json", {{"tokenizer_class", kind}});
}

const std::vector<std::string> kLines = {"the red boat", " the  mill",     "thered", "",
                                         "a dog [MASK]", "\u00e9 the\tred"};

TEST(ImportedPipeline, OfGpt2IsSavedAndExported) {
  const Temporary folder;
  testing::make_golden_decoder("gpt2", folder / "hf");
  fs::remove(folder / "hf" / "tokenizer.json");
  write_bytes(folder / "hf", {"<|endoftext|>"}, "GPT2Tokenizer");
  for (const char* file : {"config.json", "generation_config.json"}) {
    Json json = read_json(folder / "hf" / file);
    json["bos_token_id"] = json["eos_token_id"] = json["pad_token_id"] = 0;
    write_json(folder / "hf" / file, json);
  }
  const Generator before = Generator::load(folder / "hf");
  before.save(folder / "own");
  (void)export_huggingface(before, folder / "out");
  for (const char* place : {"own", "out"}) {
    SCOPED_TRACE(place);
    const Generator after = Generator::load(folder / place);
    for (const std::string& line : kLines) {
      EXPECT_EQ(after.model().prompt(line), before.model().prompt(line)) << line;
    }
    EXPECT_GT(before.model().prompt("the red").size(), 1U);
    EXPECT_EQ(after.model().ends, before.model().ends);
    EXPECT_EQ(after.generate("the red", {.tokens = 8, .greedy = true}).text,
              before.generate("the red", {.tokens = 8, .greedy = true}).text);
  }
}

TEST(ImportedPipeline, OfBertsIsSavedAndExported) {
  const Temporary folder;
  for (const std::string name : {"roberta-masked", "xlm-roberta-tags", "bert-masked"}) {
    SCOPED_TRACE(name);
    const fs::path from = folder / name, own = folder / (name + "-own"),
                   out = folder / (name + "-out");
    testing::make_golden_bert(name == "xlm-roberta-tags" ? "roberta-masked" : name, from);
    if (name == "roberta-masked") {
      write_bytes(from, {"<s>", "<pad>", "</s>", "<unk>", "<mask>"}, "RobertaTokenizer");
    } else if (name == "xlm-roberta-tags") {
      // Its tokeniser beside the same network.
      Json config = read_json(from / "config.json");
      config["model_type"] = "xlm-roberta";
      write_json(from / "config.json", config);
      write_file(from / "sentencepiece.bpe.model", testing::little_model());
    }
    fs::remove(from / "tokenizer.json");
    const MaskedModel before = MaskedModel::load(from);
    before.save(own);
    (void)export_huggingface(before, out);
    for (const fs::path& place : {own, out}) {
      const MaskedModel after = MaskedModel::load(place);
      const BertPieces &here = before.model().pieces, &there = after.model().pieces;
      EXPECT_EQ(there.mask(), here.mask());
      EXPECT_EQ(there.pad(), here.pad());
      for (const std::string& line : kLines) {
        EXPECT_EQ(there.encode_masked(line), here.encode_masked(line)) << line;
        const PiecePair one = here.encode_pair(line, "the red", 20),
                        two = there.encode_pair(line, "the red", 20);
        EXPECT_EQ(two.ids, one.ids) << line;
        EXPECT_EQ(two.types, one.types) << line;
      }
      EXPECT_EQ(after.fill("the [MASK] mill").text, before.fill("the [MASK] mill").text);
    }
  }
}

}  // namespace
}  // namespace qkv
