// GPT-2, GPT-Neo, Llama and MPT of transformers, tiny ones with random weights, against what
// transformers makes of them (tests/golden/hf).
#include <algorithm>

#include "golden/golden.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/autograd/tape.h"
#include "qkv/decode/language_decoder.h"
#include "qkv/decode/search.h"
#include "qkv/io/directory.h"
#include "qkv/systems/import/decoder_config.h"
#include "qkv/systems/import/decoder_weights.h"

namespace qkv {
namespace {

using qkv::testing::Golden;

constexpr const char* kModels[] = {"gpt2",
                                   "gpt2-flags",
                                   "gpt-neo",
                                   "llama",
                                   "llama-one-key",
                                   "llama-all-keys",
                                   "llama-head-dim",
                                   "llama-linear",
                                   "llama-llama3",
                                   "mpt",
                                   "mpt-three-heads",
                                   "llama-linear-v5",
                                   "llama-llama3-v5",
                                   "mpt-v5"};

struct Imported {
  ForeignDecoder decoder;
  Mpt network;

  explicit Imported(const std::string& model) {
    const ModelDirectory directory(testing::golden_folder(model));
    decoder = read_decoder_config(directory.foreign_config(), directory.config_path());
    decoder.network.emb_pdrop = decoder.network.resid_pdrop = 0;  // as transformers' eval()
    decoder.network.attn_config.attn_pdrop = 0;
    network = read_decoder_weights(directory, decoder);
    EXPECT_THAT(decoder.notes, ::testing::IsEmpty());
    EXPECT_EQ(parameter_count(network), network.config.parameters());
  }
};

double distance(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  double most = 0;
  for (std::size_t i = 0; i < a.values().size() && a.shape() == b.shape(); ++i) {
    most = std::max(most, std::abs(double(a.values()[i]) - double(b.values()[i])));
  }
  return most;
}

MptBatch batch_of(const std::vector<std::vector<std::int32_t>>& texts) {
  MptBatch batch;
  std::vector<std::int64_t> lengths;
  for (const auto& ids : texts) {
    batch.ids.insert(batch.ids.end(), ids.begin(), ids.end());
    lengths.push_back(std::ssize(ids));
  }
  batch.segments = Segments(lengths);
  return batch;
}

class ImportedDecoder : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(HuggingFace, ImportedDecoder, ::testing::ValuesIn(kModels),
                         [](const auto& model) {
                           std::string name = model.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST_P(ImportedDecoder, StatesAndLogits) {
  const Imported model(GetParam());
  const Golden golden(GetParam());
  for (const std::string n : {"0", "1"}) {
    SCOPED_TRACE(n);
    const MptBatch batch = batch_of({golden.ids(n + ".ids")});
    for (std::size_t depth = 0; depth < model.network.blocks.size(); ++depth) {
      Mpt part = model.network;  // the lower layers without a norm behind them
      part.blocks.resize(depth);
      part.norm_f = {};
      EXPECT_LT(distance(part(batch), golden[n + ".hidden." + std::to_string(depth)]), 1e-5);
    }
    const Tensor hidden = model.network(batch);
    EXPECT_LT(distance(hidden, golden[n + ".hidden.2"]), 1e-5);
    EXPECT_LT(distance(model.network.logits(hidden), golden[n + ".logits"]), 1e-5);
  }
}

TEST_P(ImportedDecoder, LossAndGradientsOfTwoTextsTogether) {
  const Imported model(GetParam());
  const Golden golden(GetParam());
  std::vector<std::int32_t> labels;
  for (const std::string n : {"0", "1"}) {
    const auto part = golden.ids(n + ".labels");
    labels.insert(labels.end(), part.begin(), part.end());
  }
  const auto counted =
      static_cast<double>(std::ranges::count_if(labels, [](auto label) { return label >= 0; }));
  Tape tape;
  CrossEntropyResult result;
  {
    const Recording on(tape);
    result = model.network.loss(batch_of({golden.ids("0.ids"), golden.ids("1.ids")}), labels,
                                {.scale = 1.0 / counted});
  }
  tape.backward(result.loss);
  EXPECT_NEAR(result.loss_sum / counted, golden.number("loss"), 5e-6);
  StateEntries entries = decoder_entries(model.network, model.decoder.family);
  for (StateEntry& entry : entries) {
    for (Tensor& part : entry.parts) {
      if (part.defined()) part = gradient_of(part);
    }
  }
  int compared = 0;
  for (const auto& [name, gradient] : read_state(entries)) {
    if (!golden.has("grad." + name)) continue;
    EXPECT_LT(distance(gradient, golden["grad." + name]), 5e-5) << name;
    ++compared;
  }
  EXPECT_EQ(compared, 3);
}

TEST_P(ImportedDecoder, GreedyAndBeamIds) {
  const Imported model(GetParam());
  const Golden golden(GetParam());
  const MptDecoder decoder(model.network);
  constexpr std::int64_t kPrompt = 3, kMost = 12;
  for (const std::string n : {"0", "1"}) {
    SCOPED_TRACE(n);
    std::vector<std::int32_t> prompt = golden.ids(n + ".ids");
    prompt.resize(kPrompt);
    for (const int beam : {1, 4}) {
      SearchOptions o{.beam = beam, .stop = Stop::worst, .bos = 38, .eos = 39};
      o.max_length = kMost - kPrompt;
      o.at_limit = AtLimit::cut;
      const Prompt given{.tokens = prompt};
      const Hypothesis best = search(decoder, std::span(&given, 1), o).front().front();
      std::vector<std::int32_t> wanted = golden.ids(n + (beam == 1 ? ".greedy" : ".beam"));
      wanted.erase(wanted.begin(), wanted.begin() + kPrompt);
      if (!wanted.empty() && wanted.back() == 39) wanted.pop_back();
      EXPECT_EQ(best.tokens, wanted) << beam;
      if (beam > 1) {
        EXPECT_NEAR(best.score, golden.number(n + ".beam.score"), 1e-5);
      }
    }
  }
}

TEST_P(ImportedDecoder, StepsGiveWhatTheWholeGives) {
  const Imported model(GetParam());
  const Golden golden(GetParam());
  const auto ids = golden.ids("0.ids");
  const Tensor whole = model.network(batch_of({ids}));
  MptCache cache;
  for (std::size_t t = 0; t < ids.size(); ++t) {
    const auto at = static_cast<std::int64_t>(t);
    const Tensor step = model.network.extend(cache, batch_of({{ids[t]}}));
    EXPECT_LT(distance(step, whole.rows(at, at + 1)), 2e-5) << t;
  }
}

}  // namespace
}  // namespace qkv
