// Packages of Argos Translate with made-up weights.
#pragma once

#include <filesystem>
#include <string>

#include "fuzz/ct2.h"
#include "io/zip_bytes.h"

#include "qkv/base/file.h"
#include "qkv/io/json.h"
#include "qkv/text/subword.h"

namespace qkv::tiny {

/// Unpacked. The network knows the letters a and t, and answers with x.
inline void make_argos(const std::filesystem::path& to, const Json& more = Json::object()) {
  make_folder(to / "model");
  const std::vector<std::string> text = {"the red boat", "a dog in the mill"};
  write_file(to / "sentencepiece.model",
             Subword::train({.unigram = true, .vocabulary_size = 24}, text).model());
  write_file(to / "model/model.bin", ct2_seed(6));
  write_file(to / "model/source_vocabulary.txt", "<unk>\n<s>\n</s>\n\u2581\na\nt\n");
  write_file(to / "model/target_vocabulary.txt", "<unk>\n<s>\n</s>\n\u2581\nx\n");
  Json json = {{"from_code", "en"}, {"to_code", "xx"}, {"package_version", "1.0"}};
  json.update(more);
  write_json(to / "metadata.json", json);
}

/// The same as a file.
inline void make_argosmodel(const std::filesystem::path& file, const std::string& from,
                            const std::string& to) {
  const std::filesystem::path aside = file.string() + ".aside";
  make_argos(aside, {{"from_code", from}, {"to_code", to}});
  write_file(file, zip_of(aside, "translate-" + from + "_" + to));
  std::filesystem::remove_all(aside);
}

}  // namespace qkv::tiny
