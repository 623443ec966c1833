// Recurrent translators under PyTorch's names, against an encoder-decoder written in PyTorch 1.13.
#include <algorithm>
#include <cmath>

#include "models/helpers.h"

#include "qkv/base/error.h"
#include "qkv/models/rnn_translator.h"

namespace qkv {
namespace {

using testing::expect_near;
using testing::same_bits;

RnnTranslator::Config tiny(Cell cell = Cell::gru) {
  return {.source_vocabulary = 5,
          .target_vocabulary = 4,
          .embedding = 2,
          .width = 3,
          .layers = 2,
          .cell = cell,
          .attention_width = 2,
          .dropout = 0.0};
}

// Encoder: nn.Embedding(5, 2), rnn(2, 3, 2). Decoder, step by step: additive attention of
// nn.Linear(3, 2), nn.Linear(3, 2) and nn.Linear(2, 1) without biases, asked by the last layer's
// state; rnn(5, 3, 2) of cat(context, embedding); nn.Linear(3, 4). Every tensor ½ cos n, n going on
// from one to the next in the order of its state dict. Source 4 1 3, target 1 3 2.
struct Golden {
  Cell cell;
  std::vector<double> logits;  // [3 4]
};
const std::vector<Golden> kGoldens = {
    {Cell::gru,
     {.0273354, -.5445491, -.3378167, -.0778995, .0413612, -.5499083, -.3412315, -.0657790,
      .0486126, -.5554748, -.3374612, -.0676776}},
    {Cell::lstm,
     {.6742988, .0413805, -.1691024, -.5784842, .7066183, .0089972, -.1373035, -.6090622, .7213843,
      -.0050340, -.1242880, -.6208016}},
};

TEST(RnnState, GivesPyTorchsNumbers) {
  for (const Golden& golden : kGoldens) {
    RnnTranslator m = RnnTranslator::make(1, tiny(golden.cell));
    StateDict state = state_dict(m);
    ASSERT_EQ(state.size(), 23u);
    EXPECT_EQ(state[8].first, "encoder.rnn.bias_hh_l1");
    EXPECT_EQ(state[9].first, "decoder.attention.W_k.weight");
    EXPECT_EQ(state[13].first, "decoder.rnn.weight_ih_l0");
    EXPECT_EQ(state[22].first, "decoder.dense.bias");
    double next = 0;
    for (auto& [name, tensor] : state) {
      for (float& value : tensor.values()) value = static_cast<float>(0.5 * std::cos(next++));
    }
    load_state_dict(m, state);
    const RnnMemory memory = m.encode(std::vector<std::int32_t>{4, 1, 3}, Segments::one(3));
    const Tensor hidden = m.decode(std::vector<std::int32_t>{1, 3, 2}, Segments::one(3), memory);
    expect_near(m.output(hidden), Tensor::of(golden.logits, {3, 4}), 1e-6);
  }
}

TEST(RnnState, ComesBackForEveryKindOfModel) {
  std::vector<RnnTranslator::Config> kinds = {tiny(), tiny(Cell::lstm), tiny(), tiny()};
  kinds[0].context = RnnContext::fixed;
  kinds[1].bidirectional = true;
  kinds[1].score = RnnScore::general;
  kinds[1].context = RnnContext::after;
  kinds[2].local = RnnLocal::predictive;
  kinds[3].context = RnnContext::after;
  kinds[3].score = RnnScore::dot;
  for (const RnnTranslator::Config& c : kinds) {
    const RnnTranslator from = RnnTranslator::make(1, c);
    RnnTranslator to = RnnTranslator::make(2, c);
    const StateDict state = state_dict(from);
    std::int64_t count = 0;
    for (const auto& [name, tensor] : state) count += tensor.count();
    EXPECT_EQ(count, parameter_count(from));  // nothing is left out
    load_state_dict(to, state);
    std::vector<Tensor> want;
    for_each_parameter(from, [&](std::string_view, const Tensor& p) { want.push_back(p); });
    std::size_t i = 0;
    for_each_parameter(to, [&](std::string_view path, const Tensor& p) {
      EXPECT_TRUE(same_bits(p, want[i++])) << path;
    });
  }
}

TEST(RnnState, NamesOfTheOtherParts) {
  RnnTranslator::Config c = tiny(Cell::lstm);
  c.bidirectional = true;
  c.score = RnnScore::general;
  c.context = RnnContext::after;
  c.local = RnnLocal::predictive;
  const StateDict state = state_dict(RnnTranslator::make(1, c));
  const auto shape = [&](std::string_view name) {
    const auto at = std::find_if(state.begin(), state.end(),
                                 [&](const auto& entry) { return entry.first == name; });
    return at == state.end() ? Shape{} : at->second.shape();
  };
  EXPECT_EQ(shape("encoder.rnn.weight_ih_l1_reverse"), (Shape{12, 6}));
  EXPECT_EQ(shape("decoder.attention.W.weight"), (Shape{3, 6}));
  EXPECT_EQ(shape("decoder.attention.v_p.weight"), (Shape{1, 3}));
  EXPECT_EQ(shape("decoder.bridge_c.1.weight"), (Shape{3, 6}));
  EXPECT_EQ(shape("decoder.combine.weight"), (Shape{3, 9}));
  EXPECT_THROW((void)state_dict(RnnTranslator::make(1, tiny(Cell::gru_reset_before))), Error);
}

}  // namespace
}  // namespace qkv
