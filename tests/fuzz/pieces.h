// Any bytes as a vocab.txt, as text for it, and as the description of a tokeniser.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "fuzz/scratch.h"
#include "fuzz/target.h"
#include "text/temporary.h"

#include "qkv/base/error.h"
#include "qkv/base/utf8.h"
#include "qkv/text/tokeniser.h"
#include "qkv/text/wordpiece.h"

namespace qkv {

inline void fuzz_vocabulary(std::string_view bytes) {
  try {
    const WordPiece pieces = WordPiece::from_text(bytes, "fuzz", true);
    fuzz_require(WordPiece::from_text(pieces.to_text(), "again", true).size() == pieces.size(),
                 "another size after writing");
    for (const std::int32_t id : pieces.encode(bytes)) {
      fuzz_require(id >= 0 && id < pieces.size(), "a number outside the vocabulary");
    }
    (void)pieces.decode(pieces.encode(bytes));
  } catch (const Error&) {
  }
}

inline void fuzz_description(std::string_view bytes) {
  static ScratchFile file;
  static const Temporary folder;
  static const bool linked = [] {
    std::filesystem::create_symlink(file.write(""), folder / "t.tokeniser.json");
    return true;
  }();
  fuzz_require(linked, "no link");
  file.write(bytes);
  try {
    (void)Tokeniser::load(folder.path(), "t");
    fuzz_require(false, "a tokeniser without its vocabulary");
  } catch (const Error&) {
  }
}

inline void fuzz_pieces(std::string_view bytes) {
  fuzz_vocabulary(bytes);
  fuzz_description(bytes);
  static const WordPiece known =
      WordPiece::from_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nd\n##og\n!\n", "known", true);
  for (const std::string& token : basic_tokens(bytes)) {
    fuzz_require(!token.empty(), "an empty token");
    fuzz_require(!first_bad_byte(token), "not UTF-8");
  }
  for (const bool masked : {false, true}) {
    for (const std::int32_t id : masked ? known.encode_masked(bytes) : known.encode(bytes)) {
      fuzz_require(id >= 0 && id < known.size(), "a number outside the vocabulary");
    }
  }
}

inline std::vector<std::string> pieces_seeds() {
  return {
      "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nd\n##og\n",
      "the dog's [MASK] Héllo, 王先生! \xE2\x80\x8D\xCC\x81",
      R"({"format":"qkv tokeniser","version":1,"kind":"word","nfkc":false,"lower":true,"bytes":12,"crc32":4294967295})",
      R"({"format":"qkv tokeniser","version":1e38,"kind":"bpe"})",
      "[[[[",
      "\xFF"};
}

}  // namespace qkv
