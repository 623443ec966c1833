// Dense modules behind pooling as sentence-transformers computes them (tools/golden_dense.py),
// their gradients, their directories, and what is refused of them.
#include "qkv/systems/sentence_dense.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "golden/golden.h"
#include "systems/golden_folders.h"
#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/data/lines.h"
#include "qkv/io/safetensors.h"
#include "qkv/systems/bert_model.h"
#include "qkv/systems/export/export.h"
#include "qkv/systems/nearest_texts.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::Golden;
using ::testing::HasSubstr;

double difference(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(to_string(a.shape()), to_string(b.shape()));
  double most = a.count() == b.count() ? 0 : 1e9;
  for (std::int64_t i = 0; i < std::min(a.count(), b.count()); ++i) {
    most = std::max(most, std::abs(double(a.data()[i]) - double(b.data()[i])));
  }
  return most;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::ranges::equal(a.values(), b.values());
}

std::vector<std::string> lines_of(const std::string& name) {
  return read_lines((testing::golden_folder(name) / "lines.txt").string());
}

std::string fact(const Info& info, const std::string& name) {
  for (const auto& [key, value] : info.facts) {
    if (key == name) return value;
  }
  return "none";
}

class GoldenDense : public ::testing::TestWithParam<const char*> {
 protected:
  GoldenDense() { testing::make_golden_bert(name_, folder_.path()); }

  const std::string name_ = GetParam();
  const Golden golden_{name_};
  const std::vector<std::string> lines_ = lines_of(name_);
  Temporary folder_;
};

TEST_P(GoldenDense, GivesTheSameVectors) {
  const Encoder encoder = Encoder::load(folder_.path());
  EXPECT_THAT(encoder.info().notes, ::testing::IsEmpty());
  EXPECT_LT(difference(encoder.embed(lines_), golden_["vectors"]), 1e-5);
  EXPECT_LT(difference(encoder.embed(lines_, {.normalise = false}), golden_["unscaled"]), 1e-5);
  EXPECT_EQ(encoder.embed(lines_[0]).size(), std::size_t(encoder.model().vector_width()));
  EXPECT_EQ(encoder.embed(std::vector<std::string>{}).dim(1), encoder.model().vector_width());
  // Another pooling goes through the same modules.
  const Tensor other = encoder.embed(lines_, {.pooling = TextVector::pooled});
  EXPECT_EQ(to_string(other.shape()), to_string(golden_["vectors"].shape()));
  EXPECT_GT(difference(other, golden_["vectors"]), 1e-3);
  EXPECT_TRUE(same_bits(encoder.embed(lines_, {.batch_sentences = 1}), encoder.embed(lines_)));
}

TEST_P(GoldenDense, LearnsTheSame) {
  const BertModel model = load_bert_model(folder_.path());
  Tape tape;
  {
    const Recording recording(tape);
    const Tensor vectors =
        sentence_vectors(model, sentence_rows(model, lines_), model.sentence.pooling);
    tape.backward(vectors, golden_["weight"]);
  }
  std::vector<int> module;  // number of each Dense there
  const int first = model.sentence.dense.front().length_one ? 3 : 2;
  for (const SentenceDense& dense : model.sentence.dense) {
    module.push_back(module.empty() ? first : module.back() + 1 + int(dense.length_one));
  }
  int compared = 0;
  for_each_parameter(model, [&](std::string_view path, const Tensor& p) {
    std::string there(path);
    if (path.starts_with(kDenseName)) {
      const std::string rest = there.substr(std::string_view(kDenseName).size() + 1);
      const std::size_t dot = rest.find('.');
      there = std::to_string(module.at(std::stoul(rest.substr(0, dot)))) + rest.substr(dot);
    } else {
      there = there.substr(there.find('.') + 1);  // without "bert."
    }
    there = "grad." + there;
    if (!golden_.has(there)) return;
    const Tensor wanted = p.shape().rank() == 2 ? golden_.matrix(there) : golden_[there];
    EXPECT_LT(difference(gradient_of(p), wanted), 1e-5) << path;
    ++compared;
  });
  EXPECT_EQ(compared, name_ == "bert-dense" ? 4 : 14);
}

TEST_P(GoldenDense, KeepsEveryBitInADirectoryOfOursAndInAnExport) {
  const Encoder encoder = Encoder::load(folder_.path());
  const Tensor before = encoder.embed(lines_);
  const Temporary other;
  encoder.save(other / "own");
  const Encoder own = Encoder::load(other / "own");
  EXPECT_THAT(own.info().notes, ::testing::IsEmpty());
  EXPECT_TRUE(same_bits(own.embed(lines_), before));
  EXPECT_EQ(fact(own.info(), "vectors"), fact(encoder.info(), "vectors"));
  EXPECT_EQ(own.info().parameters, encoder.info().parameters);
  (void)export_huggingface(own, other / "hf");
  const Encoder again = Encoder::load(other / "hf");
  EXPECT_THAT(again.info().notes, ::testing::IsEmpty());
  EXPECT_TRUE(same_bits(again.embed(lines_), before));
  const Json there = read_json(folder_ / "modules.json"),
             here = read_json(other / "hf/modules.json");
  ASSERT_EQ(here.size(), there.size());
  for (std::size_t i = 0; i < here.size(); ++i) EXPECT_EQ(here[i]["path"], there[i]["path"]);
}

TEST_P(GoldenDense, FindsTheNearest) {
  const NearestTexts texts(Encoder::load(folder_.path()), lines_);
  const auto found = texts.nearest(lines_);
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    EXPECT_EQ(found.at(i).front().index, i);
    EXPECT_NEAR(found[i].front().score, 1, 1e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenDense, ::testing::Values("bert-dense", "bert-dense-many"),
                         [](const auto& param) {
                           std::string name = param.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(SentenceDense, SaysWhatItIs) {
  const Temporary folder;
  testing::make_golden_bert("bert-dense", folder / "one");
  testing::make_golden_bert("bert-dense-many", folder / "many");
  EXPECT_EQ(fact(Encoder::load(folder / "one").info(), "vectors"),
            "6 numbers: mean, dense 16 -> 6 tanh, length 1");
  EXPECT_EQ(
      fact(Encoder::load(folder / "many").info(), "vectors"),
      "7 numbers: cls, dense of length 1, 16 -> 12 gelu, dense 12 -> 12 silu + input, dense of "
      "length 1, 12 -> 9 elu + input, dense 9 -> 9 sigmoid, dense 9 -> 8 relu + input, dense 8 "
      "-> 7");
}

/// bert-dense with something wrong.
class WrongDense : public ::testing::Test {
 protected:
  WrongDense() { testing::make_golden_bert("bert-dense", folder_.path()); }

  void set(const std::string& file, const std::string& field, const Json& value) {
    Json json = read_json(folder_ / file);
    json[field] = value;
    write_json(folder_ / file, json);
  }
  /// Changes the weights of the module.
  void put(const std::vector<NamedTensor>& tensors) {
    save_safetensors(folder_ / "2_Dense/model.safetensors", tensors);
  }
  std::string loading() {
    try {
      (void)load_bert_model(folder_.path());
    } catch (const Error& e) {
      return e.what();
    }
    return "loads";
  }
  /// It loads, but how texts become vectors is refused.
  std::string embedding() {
    const Encoder encoder = Encoder::load(folder_.path());
    EXPECT_EQ(encoder.embed("w5", {.pooling = TextVector::mean}).size(), 16U) << "without modules";
    try {
      (void)encoder.embed("w5");
    } catch (const Error& e) {
      return e.what();
    }
    return "embeds";
  }

  Temporary folder_;
};

TEST_F(WrongDense, WhatItCannotComputeIsRefusedByName) {
  const auto refused = [&](const char* file, const char* field, const Json& value) {
    const Json before = read_json(folder_ / file);
    set(file, field, value);
    EXPECT_THAT(embedding(), AllOf(HasSubstr(file), HasSubstr(value.get<std::string>()),
                                   HasSubstr("--pooling")));
    write_json(folder_ / file, before);
  };
  refused("2_Dense/config.json", "activation_function", "torch.nn.modules.activation.Hardswish");
  refused("2_Dense/config.json", "activation_function", "own.module.Tanh");
  refused("2_Dense/config.json", "module_input_name", "token_embeddings");
  refused("2_Dense/config.json", "module_output_name", "other");
  refused("3_Normalize/config.json", "module_input_name", "token_embeddings");
  Json modules = read_json(folder_ / "modules.json");
  std::swap(modules[1]["idx"], modules[2]["idx"]);
  write_json(folder_ / "modules.json", modules);
  EXPECT_THAT(embedding(), HasSubstr("'Dense' is not supported before Pooling"));
}

TEST_F(WrongDense, DefaultsAreThoseOfTheClass) {
  const Encoder before = Encoder::load(folder_.path());
  Json config = read_json(folder_ / "2_Dense/config.json");
  for (const char* field : {"activation_function", "bias", "module_input_name"})
    config.erase(field);
  config["module_output_name"] = nullptr;
  write_json(folder_ / "2_Dense/config.json", config);
  EXPECT_EQ(Encoder::load(folder_.path()).embed("w5 w6"), before.embed("w5 w6"));
}

TEST_F(WrongDense, WhatDoesNotFitIsAnError) {
  const Json config = read_json(folder_ / "2_Dense/config.json");
  const auto wrong = [&](const char* field, const Json& value, const std::string& why) {
    set("2_Dense/config.json", field, value);
    EXPECT_THAT(loading(), AllOf(HasSubstr("2_Dense"), HasSubstr(why))) << field;
    write_json(folder_ / "2_Dense/config.json", config);
  };
  wrong("in_features", 8, "'linear.weight' is [6 16], but");
  wrong("out_features", 5, "out_features 5");
  wrong("out_features", "6", "out_features");
  wrong("bias", false, "has a tensor 'linear.bias'");
  set("2_Dense/config.json", "use_residual", true);
  EXPECT_THAT(loading(), AllOf(HasSubstr("modules.json"), HasSubstr("lacks a tensor 'residual.")));
  write_json(folder_ / "2_Dense/config.json", config);
  const Tensor weight = Tensor::zeros({6, 16}), bias = Tensor::zeros({6});
  put({{"linear.weight", weight}});
  EXPECT_THAT(loading(), HasSubstr("has no tensor 'linear.bias'"));
  put({{"linear.bias", bias}});
  EXPECT_THAT(loading(), HasSubstr("has no tensor 'linear.weight'"));
  put({{"linear.weight", bias}, {"linear.bias", bias}});
  EXPECT_THAT(loading(), HasSubstr("no matrix [out_features, in_features]"));
  put({{"linear.weight", weight}, {"linear.bias", Tensor::zeros({5})}});
  EXPECT_THAT(loading(), HasSubstr("linear.bias"));
  put({{"linear.weight", weight}, {"linear.bias", bias}, {"other", bias}});
  EXPECT_THAT(loading(), HasSubstr("other"));
  put({{"linear.weight", weight}, {"linear.bias", bias}, {"residual.weight", weight}});
  EXPECT_THAT(loading(), HasSubstr("has no use for a tensor 'residual.weight'"));
  put({{"linear.weight", Tensor::zeros({6, 8})}, {"linear.bias", bias}});
  set("2_Dense/config.json", "in_features", 8);
  EXPECT_THAT(loading(), AllOf(HasSubstr("modules.json"),
                               HasSubstr("takes vectors of 8 numbers, but the pooling gives 16")));
  fs::remove(folder_ / "2_Dense/model.safetensors");
  EXPECT_THAT(loading(), HasSubstr("2_Dense"));
  fs::remove(folder_ / "2_Dense/config.json");
  EXPECT_THAT(loading(), HasSubstr("modules.json names its folder"));
}

TEST_F(WrongDense, OurOwnDirectoryMustAgreeWithItself) {
  const BertModel model = load_bert_model(folder_.path());
  const auto refused = [&](auto&& change) {
    const Temporary other;
    save_bert_model(model, other / "m");
    Json config = read_json(other / "m/config.json");
    change(config);
    write_json(other / "m/config.json", config);
    try {
      (void)load_bert_model(other / "m");
    } catch (const DataError& e) {
      return std::string(e.what());
    }
    return std::string("loads");
  };
  EXPECT_THAT(refused([](Json& c) { c["sentence"].erase("dense"); }), HasSubstr("lists 0 modules"));
  EXPECT_THAT(refused([](Json& c) { c.erase("sentence"); }), HasSubstr("lists 0 modules"));
  EXPECT_THAT(refused([](Json& c) { c["sentence"]["dense"] = "tanh"; }), HasSubstr("no list"));
  EXPECT_THAT(refused([](Json& c) { c["sentence"]["dense"].push_back(Json::object()); }),
              HasSubstr("lists 2 modules, the weights hold 1"));
  EXPECT_THAT(refused([](Json& c) { c["sentence"]["dense"][0]["activation"] = "cube"; }),
              HasSubstr("sentence.dense.0.activation"));
  EXPECT_THAT(refused([](Json& c) { c["sentence"]["dense"][0]["extra"] = 1; }),
              HasSubstr("sentence.dense.0.extra"));
  EXPECT_THAT(refused([](Json& c) { c["sentence"]["dense"][0]["adds_residual"] = true; }),
              HasSubstr("lacks a tensor 'residual.weight'"));
}

}  // namespace
}  // namespace qkv
