// model.bin of CTranslate2: what is in it, and what damage says.
#include "fuzz/ct2.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qkv {
namespace {

using testing::HasSubstr;

Ct2File file_of(const std::string& bytes) {
  const auto copy = std::make_shared<const std::string>(bytes);
  return {std::as_bytes(std::span(*copy)), copy, "model.bin"};
}

std::string error_of(const std::string& bytes) {
  try {
    (void)file_of(bytes);
  } catch (const DataError& e) {
    return e.what();
  }
  return "no error";
}

TEST(Ct2File, GivesVariablesOfOldAndNewVersions) {
  for (const std::uint32_t version : {2u, 6u}) {
    const Ct2File file = file_of(ct2_seed(version));
    EXPECT_EQ(file.network(), "TransformerSpec");
    EXPECT_EQ(file.scalar("encoder/num_heads"), 2.0);
    EXPECT_EQ(file.scalar("encoder/pre_norm"), std::nullopt);
    EXPECT_EQ(file.tensor("decoder/projection/bias").values()[2], 0.5f);
    EXPECT_EQ(file.same("decoder/projection/weight", "decoder/embeddings/weight"), version == 6);
    std::vector<std::string> notes;
    const Transformer network = ct2_network(file, 1e-5, notes);
    EXPECT_EQ(network.config.tie_output, version == 6);
    EXPECT_EQ(network.config.heads, 2);
    // The keys of the cross attention are the upper half of a matrix of both, [out in] there.
    EXPECT_EQ(network.decoder[0].cross.k.weight.values()[1],
              file.tensor("decoder/layer_0/attention/linear_1/weight").values()[8]);
  }
}

TEST(Ct2File, SaysWhereItIsDamaged) {
  const std::string whole = ct2_seed(6);
  for (std::size_t cut = 0; cut < whole.size(); cut += 97) {
    EXPECT_NE(error_of(whole.substr(0, cut)), "no error") << cut;
  }
  EXPECT_THAT(error_of(whole + "x"), HasSubstr("more bytes"));
  std::string other = whole;
  other[0] = 9;
  EXPECT_THAT(error_of(other), HasSubstr("version 9"));
}

}  // namespace
}  // namespace qkv
