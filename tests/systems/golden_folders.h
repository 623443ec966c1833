// The models of tests/golden/hf with tokenisers beside them, which golden ones do not have.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "golden/golden.h"
#include <fmt/format.h>

#include "qkv/base/file.h"
#include "qkv/io/json.h"
#include "qkv/text/subword.h"

namespace qkv::testing {

inline constexpr int kTokens = 40;  // of all golden models

/// A tokenizer.json of as many tokens, which has what the loader asks for.
inline Json tokenizer_of(const char* cls, const char* sep, const char* mask) {
  Json vocabulary = Json::object();
  Json added = Json::array();
  const char* first[] = {cls, "<pad>", sep, "<unk>", mask};
  for (int i = 0; i < kTokens; ++i) {
    const std::string piece = i < 5 ? first[i] : "w" + std::to_string(i);
    vocabulary[piece] = i;
    if (i >= 5) continue;
    added.push_back({{"id", i},
                     {"content", piece},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  const auto token = [](const char* name) {
    return Json{{"SpecialToken", {{"id", name}, {"type_id", 0}}}};
  };
  const auto text = [](const char* name) {
    return Json{{"Sequence", {{"id", name}, {"type_id", 0}}}};
  };
  const auto entry = [](const char* name, int id) {
    return Json{{"id", name}, {"ids", {id}}, {"tokens", {name}}};
  };
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "WhitespaceSplit"}}},
          {"post_processor",
           {{"type", "TemplateProcessing"},
            {"single", {token(cls), text("A"), token(sep)}},
            {"pair", {token(cls), text("A"), token(sep), text("B"), token(sep)}},
            {"special_tokens", {{cls, entry(cls, 0)}, {sep, entry(sep, 2)}}}}},
          {"decoder", nullptr},
          {"model", {{"type", "WordLevel"}, {"vocab", vocabulary}, {"unk_token", "<unk>"}}}};
}

/// A BERT, without dropout, so that gradients can be compared, and with the modules behind it.
inline void make_golden_bert(const std::string& name, const std::filesystem::path& to) {
  std::filesystem::create_directories(to);
  std::filesystem::copy(golden_folder(name), to, std::filesystem::copy_options::recursive);
  std::filesystem::remove(to / "golden.safetensors");
  Json config = read_json(golden_folder(name) / "config.json");
  for (auto& [key, value] : config.items()) {
    if (key.find("dropout") != std::string::npos) value = 0.0;
  }
  write_json(to / "config.json", config);
  if (name.starts_with("bert") || name.starts_with("distilbert")) {
    std::string pieces = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
    for (int i = 5; i < kTokens; ++i) pieces += "w" + std::to_string(i) + "\n";
    write_file(to / "vocab.txt", pieces);
  } else {
    write_json(to / "tokenizer.json", name.starts_with("albert")
                                          ? tokenizer_of("[CLS]", "[SEP]", "[MASK]")
                                          : tokenizer_of("<s>", "</s>", "<mask>"));
  }
}

/// A token for each row of the golden models: "t0" … "t39", words between spaces.
inline std::string words_json() {
  Json vocabulary;
  for (int id = 0; id < 40; ++id) vocabulary["t" + std::to_string(id)] = id;
  return Json{{"version", "1.0"},
              {"pre_tokenizer", {{"type", "WhitespaceSplit"}}},
              {"model", {{"type", "WordLevel"}, {"vocab", vocabulary}, {"unk_token", "t0"}}}}
      .dump();
}

/// A decoder.
inline void make_golden_decoder(const std::string& name, const std::filesystem::path& to) {
  std::filesystem::create_directories(to);
  for (const char* file : {"config.json", "generation_config.json", "model.safetensors"}) {
    std::filesystem::copy_file(golden_folder(name) / file, to / file);
  }
  write_file(to / "tokenizer.json", words_json());
}

inline std::string little_model() {
  const std::vector<std::string> text = {"the red boat", "a dog in the mill", "red mill"};
  return Subword::train({.unigram = true, .vocabulary_size = 28}, text).model();
}

/// {piece: number} of `size`: </s> and <unk> where the configuration has them, the model's pieces,
/// and others without a use.
inline Json vocabulary(std::int32_t size, std::int32_t end, std::int32_t pad) {
  const Subword model = Subword::from_model(little_model(), "test");
  Json ids = {{"</s>", end}, {"<pad>", pad}};
  std::vector<std::int32_t> free;
  for (std::int32_t id = 0; id < size; ++id) {
    if (id != end && id != pad) free.push_back(id);
  }
  std::size_t next = 0;
  ids["<unk>"] = free[next++];
  ids[">>fra<<"] = free[next++];
  ids["__fr__"] = free[next++];
  ids["__en__"] = free[next++];
  for (std::int32_t i = 4; i < model.size() && next < free.size(); ++i) {
    ids[model.piece(i)] = free[next++];
  }
  while (next < free.size()) {
    ids[fmt::format("other{}", next)] = free[next];
    ++next;
  }
  return ids;
}

/// A translator.
inline void make_golden_translator(const std::string& name, const std::filesystem::path& to) {
  std::filesystem::create_directories(to);
  const bool marian = name != "m2m100", two = name.starts_with("marian-two-tables");
  for (const char* file : {"config.json", "generation_config.json", "model.safetensors"}) {
    write_file(to / file, read_file(golden_folder(name) / file));
  }
  const std::int32_t end = marian ? 0 : 2, pad = marian ? (two ? 35 : 39) : 1;
  write_json(to / "vocab.json", vocabulary(40, end, pad));
  if (two) write_json(to / "target_vocab.json", vocabulary(36, end, pad));
  for (const char* file : {"source.spm", "target.spm"}) {
    if (marian) write_file(to / file, little_model());
  }
  if (!marian) write_file(to / "sentencepiece.bpe.model", little_model());
}

}  // namespace qkv::testing
