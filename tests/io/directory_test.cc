#include "qkv/io/directory.h"

#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"

namespace qkv {
namespace {

using testing::HasSubstr;

std::string error_of(const std::filesystem::path& directory) {
  try {
    require_model_directory(directory);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(ModelDirectory, GivesItsConfiguration) {
  const Temporary folder;
  write_json(folder / kConfigFile, {{"format", kModelFormat}, {"task", "translate"}});
  EXPECT_EQ(require_model_directory(folder.path())["task"], "translate");
}

TEST(ModelDirectory, SaysWhatIsMissing) {
  const Temporary folder;
  EXPECT_THAT(error_of(folder / "none"), HasSubstr("none: no such model directory"));
  EXPECT_THAT(error_of(folder.path()), HasSubstr("is no model directory: it has no config.json"));
  std::filesystem::create_directory(folder / kStateFolder);
  EXPECT_THAT(error_of(folder.path()), HasSubstr("has not kept a model yet"));
  write_file(folder / "file", "x");
  EXPECT_THAT(error_of(folder / "file"), HasSubstr("is a file; name the model directory"));
  EXPECT_THAT(error_of(folder / "file" / "below"), HasSubstr("below: "));
  std::filesystem::create_directory(folder / kConfigFile);
  EXPECT_THAT(error_of(folder.path()), HasSubstr("config.json: is a directory"));
}

TEST(ModelDirectory, SaysWhichFormatItWants) {
  const Temporary folder;
  const auto with = [&](std::string_view config) {
    write_file(folder / kConfigFile, config);
    return error_of(folder.path());
  };
  EXPECT_THAT(with(R"({"format": 3})"),
              HasSubstr("the model has format 3, this program reads format 2; use a newer qkv"));
  EXPECT_THAT(with(R"({"format": "1"})"),
              HasSubstr("field 'format': expected a positive integer, got \"1\""));
  EXPECT_THAT(with(R"({"format": 0})"), HasSubstr("got 0"));
  EXPECT_THAT(with(R"({"layers": 6})"),
              HasSubstr("has no field 'format'; this is no model of qkv"));
  EXPECT_THAT(with("[]"), HasSubstr("expected an object"));
  EXPECT_THAT(with(""), HasSubstr("config.json: is empty"));
  EXPECT_EQ(with(R"({"format": 1})"), "no error");
  EXPECT_EQ(with(R"({"format": 2})"), "no error");
}

}  // namespace
}  // namespace qkv
