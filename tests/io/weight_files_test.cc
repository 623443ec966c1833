#include "qkv/io/weight_files.h"

#include <fstream>

#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/io/json.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class WeightFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    save("model-00001-of-00002.safetensors", {"a", "b"});
    save("model-00002-of-00002.safetensors", {"c"});
    put(index_);
  }

  void save(const std::string& file, const std::vector<std::string>& names) {
    std::vector<NamedTensor> tensors;
    for (const std::string& name : names) {
      tensors.push_back({name, Tensor::full({2, 3}, static_cast<double>(name[0]))});
    }
    save_safetensors(folder_ / file, tensors);
  }
  void put(const Json& index) { write_file(folder_ / kWeightsIndexFile, index.dump()); }
  WeightFiles open() const { return WeightFiles(folder_); }
  std::string error() const {
    try {
      (void)open();
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }
  std::string error_with(const std::string& tensor, const Json& file) {
    Json index = index_;
    index["weight_map"][tensor] = file;
    put(index);
    return error();
  }

  Temporary temporary_;
  fs::path folder_ = temporary_.path();
  Json index_ = {{"metadata", {{"total_size", 72}}},
                 {"weight_map",
                  {{"a", "model-00001-of-00002.safetensors"},
                   {"b", "model-00001-of-00002.safetensors"},
                   {"c", "model-00002-of-00002.safetensors"}}}};
};

TEST_F(WeightFilesTest, ShardsAreOneSetOfWeights) {
  const WeightFiles weights = open();
  EXPECT_TRUE(weights.sharded());
  EXPECT_THAT(weights.names(), ElementsAre("a", "b", "c"));
  EXPECT_THAT(weights.notes(), IsEmpty());
  for (const std::string& name : weights.names()) {
    EXPECT_EQ(weights.file_of(name).float_tensor(name).values()[5], static_cast<float>(name[0]));
  }
  EXPECT_FALSE(weights.contains("d"));
  EXPECT_THROW((void)weights.file_of("d"), DataError);
}

TEST_F(WeightFilesTest, OneFileComesFirst) {
  save("model.safetensors", {"z"});
  const WeightFiles weights = open();
  EXPECT_FALSE(weights.sharded());
  EXPECT_THAT(weights.names(), ElementsAre("z"));
}

TEST_F(WeightFilesTest, NamesThatLeadElsewhereAreRefused) {
  for (const char* bad : {"../model-00001-of-00002.safetensors", "/etc/passwd", "", ".", "..",
                          "sub/model.safetensors", ".hidden.safetensors", "a\\b.safetensors",
                          "a..safetensors", "model.bin", ".safetensors", "line\nend.safetensors"}) {
    EXPECT_THAT(error_with("c", bad), AllOf(HasSubstr("weight_map"), HasSubstr("'c'"))) << bad;
  }
  for (const Json& bad : {Json(5), Json(nullptr), Json::array({"model.safetensors"})}) {
    EXPECT_THAT(error_with("c", bad), HasSubstr("weight_map")) << bad.dump();
  }
}

TEST_F(WeightFilesTest, NoIndexAtAll) {
  for (const char* bad : {"", "5", "[]", "{}", R"({"weight_map": []})", R"({"weight_map": {}})",
                          "\xff", R"({"weight_map": {"a")"}) {
    write_file(folder_ / kWeightsIndexFile, bad);
    EXPECT_THAT(error(), HasSubstr(kWeightsIndexFile)) << bad;
  }
  write_file(folder_ / kWeightsIndexFile,
             R"({"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}})");
  EXPECT_THAT(error(), HasSubstr("'a'")) << "a name given twice";
}

TEST_F(WeightFilesTest, EveryTensorIsInJustItsFile) {
  EXPECT_THAT(error_with("a", "model-00002-of-00002.safetensors"), HasSubstr("no tensor 'a'"));
  EXPECT_THAT(error_with("d", "model-00002-of-00002.safetensors"), HasSubstr("no tensor 'd'"));
  EXPECT_THAT(error_with("d", "model-00003-of-00003.safetensors"), HasSubstr("is missing"));
  put(index_);
  save("model-00002-of-00002.safetensors", {"c", "a"});
  EXPECT_THAT(error(), AllOf(HasSubstr("'a'"), HasSubstr("two files")));
  fs::remove(folder_ / "model-00002-of-00002.safetensors");
  EXPECT_THAT(error(), HasSubstr("model-00002-of-00002.safetensors: is missing"));
}

TEST_F(WeightFilesTest, WhatIsOnlyStrangeIsNoted) {
  save("model-00002-of-00002.safetensors", {"c", "extra"});
  const WeightFiles weights = open();
  EXPECT_FALSE(weights.contains("extra"));
  EXPECT_THAT(weights.notes(), ElementsAre(HasSubstr("'extra'")));
  save("model-00002-of-00002.safetensors", {"c"});
  Json index = index_;
  for (const Json& odd : {Json(-1), Json("many"), Json(nullptr), Json(1.5)}) {
    index["metadata"]["total_size"] = odd;
    put(index);
    EXPECT_THAT(open().notes(), IsEmpty());
  }
  index["metadata"]["total_size"] = 73;
  put(index);
  EXPECT_THAT(open().notes(), ElementsAre(AllOf(HasSubstr("73"), HasSubstr("72"))));
  index.erase("metadata");
  put(index);
  EXPECT_THAT(open().notes(), IsEmpty());
}

TEST_F(WeightFilesTest, ShardsCutShortAreRefused) {
  const fs::path shard = folder_ / "model-00002-of-00002.safetensors";
  const std::string whole = read_file(shard);
  for (std::size_t size = 0; size < whole.size(); size += 7) {
    write_file(shard, whole.substr(0, size));
    EXPECT_THAT(error(), HasSubstr("model-00002-of-00002.safetensors")) << size;
  }
  std::string damaged = whole;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  write_file(shard, damaged);
  EXPECT_THAT(error(), HasSubstr("checksum"));
}

TEST_F(WeightFilesTest, HalfNumbersBecomeFloatsAndAreNoted) {
  const std::string header = R"({"h":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},)"
                             R"("b":{"dtype":"BF16","shape":[2],"data_offsets":[4,8]}})";
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size());
  const unsigned char numbers[] = {0x00, 0x3e, 0x01, 0x00, 0xc0, 0x3f, 0x80, 0xbf};
  write_file(folder_ / "model.safetensors",
             bytes + header + std::string(reinterpret_cast<const char*>(numbers), 8));
  const WeightFiles weights = open();
  const Tensor half = weights.file_of("h").float_tensor("h");
  const Tensor bfloat = weights.file_of("b").float_tensor("b");
  EXPECT_EQ(half.values()[0], 1.5f);
  EXPECT_EQ(half.values()[1], 0x1p-24f) << "a subnormal";
  EXPECT_EQ(bfloat.values()[0], 1.5f);
  EXPECT_EQ(bfloat.values()[1], -1.0f);
  EXPECT_THAT(weights.notes(), ElementsAre(HasSubstr("1 of 2 tensors are BF16"),
                                           HasSubstr("1 of 2 tensors are F16")));
}

TEST(ForeignWeights, AreRefusedByNameWithTheWayOut) {
  for (const auto& [name, way] :
       {std::pair{"pytorch_model.bin", "weights_only=True"}, std::pair{"a.pt", "torch.load('a.pt'"},
        std::pair{"Model.PTH", "pickle"}, std::pair{"x.ckpt", "pickle"},
        std::pair{"pytorch_model.bin.index.json", "pickle"},
        std::pair{"tf_model.h5", "from_tf=True"}, std::pair{"flax_model.msgpack", "from_flax=True"},
        std::pair{"model.onnx", "model.safetensors"},
        std::pair{"q4.gguf", "gguf_file='q4.gguf'"}}) {
    EXPECT_THAT(why_refused(name).value_or("nothing"), HasSubstr(way)) << name;
    const Temporary folder;
    write_file(folder.path() / name, "x");
    write_file(folder.path() / "optimizer.pt", "x");
    try {
      const WeightFiles weights(folder.path());
      ADD_FAILURE() << name;
    } catch (const FileError& e) {
      EXPECT_THAT(e.what(), AllOf(HasSubstr(name), HasSubstr(way)));
    }
  }
  for (const char* name : {"model.safetensors", "model.bin", "optimizer.pt", "rng_state_0.pth",
                           "training_args.bin", "config.json", "bin", "a.bin.txt"}) {
    EXPECT_EQ(why_refused(name), std::nullopt) << name;
  }
  // A name is not put into a command that somebody may run.
  EXPECT_THAT(*why_refused("a'; rm -r x; '.bin"), HasSubstr("torch.load('FILE'"));
}

TEST(ForeignWeights, AnEmptyDirectoryMissesTheFile) {
  const Temporary folder;
  EXPECT_NO_THROW(refuse_foreign_weights(folder.path()));
  EXPECT_NO_THROW(refuse_foreign_weights(folder.path() / "none"));
  EXPECT_THROW((void)WeightFiles(folder.path()), FileError);
}

}  // namespace
}  // namespace qkv
