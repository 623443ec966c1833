// Any bytes as a zip, and as the translator in it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fuzz/ct2.h"
#include "fuzz/target.h"
#include "io/zip_bytes.h"
#include "text/spm_bytes.h"

#include "qkv/base/error.h"
#include "qkv/systems/import/packaged_translator.h"

namespace qkv {

inline void fuzz_archive(std::string_view bytes) {
  const ArchiveLimits limits{.total = 1 << 20, .members = 100, .small = 1 << 16};
  const auto copy = std::make_shared<const std::string>(bytes);
  std::shared_ptr<const Archive> archive;
  try {
    archive =
        std::make_shared<const Archive>(std::as_bytes(std::span(*copy)), copy, "fuzz", limits);
  } catch (const Error&) {
    return;
  }
  std::uint64_t total = 0;
  for (const std::string& name : archive->names()) {
    fuzz_require(name.front() != '/' && !name.starts_with("../"), "a name leads elsewhere");
    total += archive->size(name);
    try {
      fuzz_require(archive->read(name).size() == archive->size(name), "a size lies");
    } catch (const Error&) {
    }
  }
  fuzz_require(total <= limits.total, "more than allowed");
  try {
    (void)read_packaged_translator(ModelFiles(archive));
  } catch (const Error&) {
  }
}

inline std::vector<std::string> archive_seeds() {
  ZipBytes package, small;
  for (const bool deflate : {false, true}) {
    ZipBytes& zip = deflate ? package : small;
    zip.add("top/metadata.json", R"({"from_code": "en", "to_code": "xx"})", deflate);
    zip.add("top/sentencepiece.model", letters_model({"a", "t", "x"}), deflate);
    zip.add("top/model/model.bin", ct2_seed(6), deflate);
    zip.add("top/model/source_vocabulary.txt", "<unk>\n<s>\n</s>\n\u2581\na\nt\n", deflate);
    zip.add("top/model/target_vocabulary.txt", "<unk>\n<s>\n</s>\n\u2581\nx\n", deflate);
  }
  return {small.whole(), package.whole(), ZipBytes().add("a/", "").add("a/b", "1").whole()};
}

}  // namespace qkv
