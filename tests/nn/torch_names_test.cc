// States under PyTorch's names: read into modules they give the numbers that PyTorch 1.13 computes
// in double, and what is read comes back.
#include "qkv/nn/torch_names.h"

#include <cmath>
#include <functional>

#include "nn/random_tensor.h"
#include <gtest/gtest.h>

#include "qkv/attention/attend.h"
#include "qkv/base/error.h"
#include "qkv/ops/features.h"

namespace qkv {
namespace {

using testing::distance;

/// f(0), f(1), f(2) … row by row.
Tensor counted(const Shape& shape, const std::function<double(double)>& f, std::int64_t from = 0) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < shape.count(); ++i) values.push_back(f(double(from + i)));
  return Tensor::of(values, shape).to(DType::f32);
}
double cosine(double x) { return std::cos(x); }
double sine(double x) { return std::sin(x); }

/// The same names and shapes, the numbers of one tensor going on from those of the one before.
StateDict cosines(StateDict state) {
  std::int64_t next = 0;
  for (auto& [name, tensor] : state) {
    tensor = counted(tensor.shape(), cosine, next);
    next += tensor.count();
  }
  return state;
}

void expect_numbers(const Tensor& got, const std::vector<double>& want) {
  ASSERT_EQ(got.count(), static_cast<std::int64_t>(want.size()));
  for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got.values()[i], want[i], 1e-6) << i;
}

Recurrent make(const Recurrent::Config& config) {
  Initialiser init(3);
  return Recurrent::make(init, config);
}

struct RecurrentGolden {
  Recurrent::Config config;
  std::vector<double> out;  // nn.GRU or nn.LSTM over x_t = (sin 2t, sin 2t+1), t = 0, 1, 2
};
const std::vector<RecurrentGolden> kRecurrent = {
    {{.cell = Cell::gru, .input = 2, .width = 2, .layers = 2, .bidirectional = true},
     {.1475147, .6782977, -.2245781, -.7891182, -.2703853, .8604463, -.1576297, -.6481456, .0172466,
      .9019059, -.1025732, -.5564508}},
    {{.cell = Cell::gru, .input = 2, .width = 2, .bias = false},
     {-.2841926, .0012905, -.3088973, -.1790972, .0751908, .6137550}},
    {{.cell = Cell::lstm, .input = 2, .width = 2, .layers = 2, .bidirectional = true},
     {-.1606156, .0007626, .1748363, .1948458, -.0632182, -.1048973, .1666454, .1861318, -.3156882,
      .0672785, .2303201, .0887639}},
    {{.cell = Cell::lstm, .input = 2, .width = 2, .bias = false},
     {-.2560028, .0003898, -.2930794, -.1180355, -.0113000, .1557696}},
};

TEST(TorchNames, RecurrentStatesGivePyTorchsNumbers) {
  for (const RecurrentGolden& golden : kRecurrent) {
    Recurrent m = make(golden.config);
    const StateDict state = cosines(state_dict(m));
    load_state_dict(m, state);
    expect_numbers(m(counted({3, 2}, sine), Segments({3})).out, golden.out);
    const StateDict back = state_dict(m);
    ASSERT_EQ(back.size(), state.size());
    for (std::size_t i = 0; i < back.size(); ++i) {
      EXPECT_EQ(back[i].first, state[i].first);
      EXPECT_EQ(distance(back[i].second, state[i].second), 0.0) << back[i].first;
    }
  }
}

TEST(TorchNames, RecurrentNamesAndShapesAreThoseOfPyTorch) {
  const StateDict state = state_dict(
      make({.cell = Cell::lstm, .input = 3, .width = 2, .layers = 2, .bidirectional = true}));
  const std::vector<std::pair<std::string, Shape>> want = {
      {"weight_ih_l0", {8, 3}},
      {"weight_hh_l0", {8, 2}},
      {"bias_ih_l0", {8}},
      {"bias_hh_l0", {8}},
      {"weight_ih_l0_reverse", {8, 3}},
      {"weight_hh_l0_reverse", {8, 2}},
      {"bias_ih_l0_reverse", {8}},
      {"bias_hh_l0_reverse", {8}},
      {"weight_ih_l1", {8, 4}},
      {"weight_hh_l1", {8, 2}},
      {"bias_ih_l1", {8}},
      {"bias_hh_l1", {8}},
      {"weight_ih_l1_reverse", {8, 4}},
      {"weight_hh_l1_reverse", {8, 2}},
      {"bias_ih_l1_reverse", {8}},
      {"bias_hh_l1_reverse", {8}},
  };
  ASSERT_EQ(state.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(state[i].first, want[i].first);
    EXPECT_TRUE(state[i].second.shape() == want[i].second) << want[i].first;
  }
}

TEST(TorchNames, RecurrentStatesThatDoNotFitChangeNothing) {
  Recurrent m = make({.input = 3, .width = 2});
  const StateDict before = state_dict(m), good = cosines(before);
  const auto refused = [&](StateDict state, const std::string& word) {
    try {
      load_state_dict(m, state);
      ADD_FAILURE() << word;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(word), std::string::npos) << e.what();
    }
    const StateDict now = state_dict(m);
    for (std::size_t i = 0; i < now.size(); ++i) {
      EXPECT_EQ(distance(now[i].second, before[i].second), 0.0);
    }
  };
  refused({good.begin(), good.end() - 1}, "'bias_hh_l0' is missing");
  StateDict more = good;
  more.emplace_back("weight_hr_l0", Tensor::zeros({2, 2}));  // proj_size
  refused(more, "'weight_hr_l0' has no place");
  StateDict turned = good;
  turned[0].second = Tensor::zeros({3, 6});
  refused(turned, "weight_ih_l0");
  Recurrent plain = make({.input = 3, .width = 2, .bias = false});
  EXPECT_THROW(load_state_dict(plain, good), Error);  // biases that it would not add
  const Recurrent other = make({.cell = Cell::gru_reset_before, .input = 3, .width = 2});
  EXPECT_THROW((void)state_dict(other), Error);
}

const Tensor kValues = Tensor::of<float>({0, 1, 4, 5, 8, 9, 12, 13}, {4, 1, 2});

/// Two queries of three numbers over four keys of two, all cosines.
Tensor looked(const Score& score) {
  return attend(counted({2, 1, 3}, cosine), counted({4, 1, 2}, cosine), kValues, {.score = score});
}

TEST(TorchNames, AdditiveScoresGivePyTorchsNumbers) {
  const Additive score{
      .weight = Tensor::zeros({4}), .query = Tensor::zeros({3, 4}), .key = Tensor::zeros({2, 4})};
  StateEntries entries;
  list_state(score, "attention.", entries);
  StateDict state = read_state(entries);
  const char* names[] = {"attention.W_k.weight", "attention.W_q.weight", "attention.w_v.weight"};
  const Shape shapes[] = {{4, 2}, {4, 3}, {1, 4}};
  ASSERT_EQ(state.size(), 3u);
  for (std::int64_t i = 0; i < 3; ++i) {
    auto& [name, tensor] = state[static_cast<std::size_t>(i)];
    EXPECT_EQ(name, names[i]);
    EXPECT_TRUE(tensor.shape() == shapes[i]) << name;
    tensor = counted(tensor.shape(), sine, i);
  }
  write_state(entries, state);
  expect_numbers(looked(score), {6.1287721, 7.1287721, 6.2151697, 7.2151697});

  entries.clear();  // names of one's own, and a list that others are joined to
  list_state(score, "a.", entries, {.key = "k", .query = "q", .weight = "v"});
  Initialiser init(1);
  list_state(Linear::make(init, 2, 5), "dense.", entries);
  std::string all;
  for (const auto& [name, tensor] : read_state(entries)) all += name + " ";
  EXPECT_EQ(all, "a.k a.q a.v dense.weight dense.bias ");
}

struct Tied {
  Tensor table, again;
  Linear dense;

  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("table", m.table);
    visit("again", m.again);
    visit("dense", m.dense);
  }
};

TEST(TorchNames, TakesWhatLiesThereAsItIsWithoutACopy) {
  Initialiser init = Initialiser::blank();
  Tied m{.table = init.zeros({5, 2}), .again = {}, .dense = Linear::make(init, 2, 3)};
  m.again = m.table;
  StateEntries entries = {{"table", {m.table}, StateLayout::same}};
  list_state(m.dense, "dense.", entries);
  const StateDict state = {{"table", counted({5, 2}, cosine)},
                           {"dense.weight", counted({3, 2}, sine)},
                           {"dense.bias", counted({3}, sine)}};
  take_state(m, entries, state);
  EXPECT_EQ(m.table.data(), state[0].second.data());
  EXPECT_EQ(m.table.tape_node(), m.again.tape_node());  // still one parameter
  EXPECT_EQ(m.dense.bias.data(), state[2].second.data());
  EXPECT_EQ(distance(m.dense.weight, transposed(state[1].second)), 0.0);
  EXPECT_THROW(take_state(m, entries, {state[0], state[1]}), Error);
}

TEST(TorchNames, ConcatAndGeneralScoresGivePyTorchsNumbers) {
  const Concat concat{.matrix = Tensor::zeros({5, 3}), .weight = Tensor::zeros({3})};
  StateEntries entries;
  list_state(concat, "", entries);
  write_state(entries,
              {{"W.weight", counted({3, 5}, cosine)}, {"v.weight", counted({1, 3}, cosine)}});
  expect_numbers(looked(concat), {5.6244815, 6.6244815, 5.3634421, 6.3634421});

  const General general{.weight = Tensor::zeros({3, 2})};
  entries.clear();
  list_state(general, "", entries);
  write_state(entries, {{"W.weight", counted({3, 2}, cosine)}});
  expect_numbers(looked(general), {5.7668234, 6.7668234, 6.4009733, 7.4009733});
}

TEST(TorchNames, WhatHeadsHaveEachStaysAsItIs) {
  Initialiser init(1);
  SelfAttention m = SelfAttention::make(init, {.width = 6,
                                               .heads = 2,
                                               .match = SelfAttention::Match::additive,
                                               .two_stage = true,
                                               .output = true});
  StateEntries entries;
  list_state(m, "self.", entries);
  const StateDict state = read_state(entries);
  std::string all;
  for (const auto& [name, tensor] : state) all += name + " ";
  EXPECT_EQ(all,
            "self.first_q.weight self.first_k.weight self.first_v.weight self.q.weight "
            "self.k.weight self.v.weight self.match self.o.weight ");
  EXPECT_EQ(distance(state[6].second, m.match), 0.0);
  EXPECT_EQ(state[3].second.values()[1], m.q.weight.values()[6]);

  const Additive heads{.weight = counted({2, 4}, cosine), .query = counted({2, 3, 4}, sine)};
  entries.clear();
  list_state(heads, "", entries);
  const StateDict of_heads = read_state(entries);
  ASSERT_EQ(of_heads.size(), 2u);  // no key: keys come projected
  EXPECT_EQ(distance(of_heads[0].second, heads.query), 0.0);
  EXPECT_EQ(distance(of_heads[1].second, heads.weight), 0.0);
}

}  // namespace
}  // namespace qkv
