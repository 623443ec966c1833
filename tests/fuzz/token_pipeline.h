// Any bytes as a tokenizer.json, and as text for what it holds.
#pragma once

#include <string>
#include <vector>

#include "fuzz/target.h"

#include "qkv/base/error.h"
#include "qkv/text/token_pipeline.h"

namespace qkv {

inline void fuzz_token_pipeline(std::string_view bytes) {
  try {
    const TokenPipeline t = TokenPipeline::from_json(bytes, "fuzz");
    for (const std::string_view text :
         {bytes, std::string_view("H\xC3\xA9 a\xFF[M] \xE7\x8E\x8B!")}) {
      const TokenEncoding e = t.encode(text);
      fuzz_require(e.ids == t.ids(text), "other numbers without spans");
      for (const TextSpan& span : e.spans) {
        fuzz_require(span.begin <= span.end && span.end <= text.size(), "a span outside the text");
      }
      (void)t.decode(e.ids);
      (void)t.encode(text, "a");
    }
  } catch (const Error&) {
  }
}

inline std::vector<std::string> token_pipeline_seeds() {
  return {
      R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[{"id":1,"content":"[M]","single_word":false,"lstrip":true,"rstrip":true,"normalized":false,"special":true}],"normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true},"pre_tokenizer":{"type":"BertPreTokenizer"},"post_processor":{"type":"BertProcessing","sep":["[U]",0],"cls":["[M]",1]},"decoder":{"type":"WordPiece","prefix":"##","cleanup":true},"model":{"type":"WordPiece","unk_token":"[U]","continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":{"[U]":0,"[M]":1,"a":2,"##b":3,"h":4,"##e":5}}})",
      R"({"version":"1.0","added_tokens":[],"normalizer":{"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"Prepend","prepend":"_"},{"type":"Replace","pattern":{"String":" "},"content":"_"}]},"pre_tokenizer":{"type":"Metaspace","replacement":"_","prepend_scheme":"first","split":true},"decoder":{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]},"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0.0],["_",-2.5],["a",-1.25],["_a",-1e3]],"byte_fallback":true}})",
      R"({"version":"1.0","added_tokens":[],"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":true,"use_regex":true},"post_processor":{"type":"ByteLevel","trim_offsets":true,"add_prefix_space":true},"decoder":{"type":"ByteLevel"},"model":{"type":"BPE","unk_token":"u","fuse_unk":true,"vocab":{"u":0,"a":1,"b":2,"ab":3,"abab":4},"merges":["a b",["ab","ab"]]}})",
      R"({"version":"1.0","added_tokens":[],"normalizer":{"type":"Precompiled","precompiled_charsmap":"CAAAAAAAAAAAAAAAAAAAAGEA"},"pre_tokenizer":{"type":"Split","pattern":{"Regex":"\\s+"},"behavior":"MergedWithNext","invert":true},"model":{"type":"WordLevel","unk_token":"a","vocab":{"a":0}}})"};
}

}  // namespace qkv
