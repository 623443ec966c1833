// Any bytes as the texts that Marian writes, with weights made up for them, and as an array of
// NumPy.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fuzz/target.h"
#include "io/npy_bytes.h"

#include "qkv/base/error.h"
#include "qkv/io/flat_yaml.h"
#include "qkv/io/npy.h"
#include "qkv/systems/import/marian_npz.h"

namespace qkv {

inline MarianWeights marian_weights() {
  MarianWeights w{.path = "fuzz", .tensors = {}, .config = {}};
  const auto put = [&](const std::string& name, std::int64_t rows, std::int64_t cols) {
    w.tensors.emplace(name, Tensor::full({rows, cols}, 0.25));
  };
  const auto linear = [&](const std::string& at, const std::string& end, std::int64_t in,
                          std::int64_t out) {
    put(at + "_W" + end, in, out);
    put(at + "_b" + end, 1, out);
  };
  const auto norm = [&](const std::string& at) {
    put(at + "_ln_scale", 1, 4);
    put(at + "_ln_bias", 1, 4);
  };
  put("Wemb", 5, 4);
  put("decoder_ff_logit_out_b", 1, 5);
  for (const std::string at : {"encoder_l1_self", "decoder_l1_self", "decoder_l1_context"}) {
    for (const char* end : {"q", "k", "v", "o"}) linear(at, end, 4, 4);
    norm(at + "_Wo");
  }
  for (const std::string at : {"encoder_l1_ffn", "decoder_l1_ffn"}) {
    linear(at, "1", 4, 6);
    linear(at, "2", 6, 4);
    norm(at + "_ffn");
  }
  return w;
}

inline void fuzz_marian(std::string_view bytes) {
  try {
    const std::string path = "fuzz";
    const NpyArray array = NpyArray::parse(bytes, path);
    fuzz_require(array.numbers.size() <= bytes.size(), "more numbers than bytes");
    const Tensor tensor = array.tensor(path);
    fuzz_require(static_cast<std::size_t>(tensor.count()) <= bytes.size(), "more than bytes");
  } catch (const Error&) {
  }
  static const MarianWeights kWeights = marian_weights();
  try {
    MarianWeights w = kWeights;
    w.config = parse_flat_yaml(bytes, "fuzz");
    fuzz_require(w.config.is_object(), "no object");
    (void)w.config.dump();  // all texts are UTF-8
    TranslateOptions options;
    std::vector<std::string> notes;
    const Transformer network = marian_network(w, options, notes);
    fuzz_require(network.config.width == 4, "another width");
  } catch (const Error&) {
  }
}

inline std::vector<std::string> marian_seeds() {
  return {
      "dec-depth: 1\ndim-emb: 4\ndim-vocabs:\n  - 5\n  - 5\nenc-depth: 1\ninput-types:\n  []\n"
      "tied-embeddings-all: true\ntransformer-dim-ffn: 6\ntransformer-ffn-activation: swish\n"
      "transformer-guided-alignment-layer: last\ntransformer-heads: 2\n"
      "transformer-postprocess: dan\ntransformer-preprocess: \"\"\ntype: transformer\n",
      "</s>: 0\n<unk>: 1\n\"\\\"\": 2\n'it''s': 3\n\"\\u2581a\": 4 # comment\n",
      "models: [a.npz, 'b']\nnormalize: 0.6\nword-penalty: 0\nallow-unk: false\n",
      npy_bytes("(2, 3)", {1, 2, 3, 4, 5, 6}), npy_header("'|i1'", "(3,)") + "abc"};
}

}  // namespace qkv
