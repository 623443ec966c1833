// The table of docs/errors.md: what goes wrong outside gets one line and an exit code, never a
// crash.
#include "app/run_qkv.h"
#include <gtest/gtest.h>

namespace qkv {
namespace {

/// One line that holds all of `parts`.
void expect_one_line(const Ran& ran, int exit, std::initializer_list<const char*> parts) {
  EXPECT_EQ(ran.exit, exit) << ran.err;
  std::string last = ran.err;
  if (!last.empty() && last.back() == '\n') last.pop_back();
  const auto begin = last.find("qkv: ");
  ASSERT_NE(begin, std::string::npos) << ran.err;
  if (exit == 1) {
    EXPECT_EQ(last.find('\n', begin), std::string::npos) << "more than one line: " << ran.err;
  }
  for (const char* part : parts) {
    EXPECT_NE(last.find(part, begin), std::string::npos) << "no '" << part << "' in: " << ran.err;
  }
}

class BadInput : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = new Temporary;
    const Ran ran = run_qkv(toy_training(*shared_, "model") + "--steps 12");
    ASSERT_EQ(ran.exit, 0) << ran.err;
  }
  static void TearDownTestSuite() {
    delete shared_;
    shared_ = nullptr;
  }
  std::string train_on(const std::string& source, const std::string& target) {
    spill(folder_ / "s", source);
    spill(folder_ / "t", target);
    return "train translate --train '" + (folder_ / "s").string() + "' '" +
           (folder_ / "t").string() + "' --model '" + (folder_ / "m").string() + "' --steps 1";
  }
  /// A copy of the trained model, to be damaged.
  std::filesystem::path copied() {
    const auto to = folder_ / "copy";
    std::filesystem::remove_all(to);
    std::filesystem::copy(*shared_ / "model", to, std::filesystem::copy_options::recursive);
    return to;
  }
  static std::string translate_with(const std::filesystem::path& model) {
    return "translate --threads 1 --model '" + model.string() + "'";
  }
  static Temporary* shared_;
  Temporary folder_;
};
Temporary* BadInput::shared_ = nullptr;

TEST_F(BadInput, MissingFile) {
  const Ran ran = run_qkv("train translate --train /none/a /none/b --model '" +
                          (folder_ / "m").string() + "' --steps 1");
  expect_one_line(ran, 1, {"/none/a", "No such file"});
}

TEST_F(BadInput, EmptyFile) { expect_one_line(run_qkv(train_on("", "")), 1, {"/s"}); }

TEST_F(BadInput, UnequalFiles) {
  expect_one_line(run_qkv(train_on("a\nb\nc\n", "a\nb\n")), 1, {"3", "2", "/s", "/t"});
}

TEST_F(BadInput, BinaryFile) {
  expect_one_line(run_qkv(train_on(std::string("a\n\0b\n", 5), "a\nb\n")), 1, {"/s:2:"});
}

TEST_F(BadInput, WrongEncoding) {
  expect_one_line(run_qkv(train_on("a\nb\n", "a\nb\xfc\x62\n")), 1, {"/t:2:", "UTF-8"});
}

TEST_F(BadInput, OnlyEmptyLines) { EXPECT_EQ(run_qkv(train_on("\n\n\n", "\n\n\n")).exit, 1); }

TEST_F(BadInput, EmptyLinesStayEmptyWhenTranslating) {
  const Ran ran = run_qkv(translate_with(*shared_ / "model"), "\nthe dog sees 3 trees\n\n");
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(std::count(ran.out.begin(), ran.out.end(), '\n'), 3);
  EXPECT_EQ(ran.out.front(), '\n');
}

TEST_F(BadInput, OneLineOfAHundredThousandWords) {
  std::string line;
  for (int i = 0; i < 100000; ++i) line += "tree ";
  const Ran ran = run_qkv(translate_with(*shared_ / "model") + " --max-length 5",
                          line + "\nthe dog sees 3 trees\n");
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_NE(ran.err.find("<stdin>:1:"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("tokens beyond"), std::string::npos) << ran.err;
  EXPECT_EQ(std::count(ran.out.begin(), ran.out.end(), '\n'), 2);
}

TEST_F(BadInput, LongLineWhileTraining) {
  Temporary text;
  std::string command = toy_training(text, "m");
  std::string line;
  for (int i = 0; i < 100000; ++i) line += "tree ";
  spill(text / "toy.en", toy_text().first + line + "\n");
  spill(text / "toy.de", toy_text().second + line + "\n");
  const Ran ran = run_qkv(command + "--steps 1");
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_NE(ran.err.find("1 too long"), std::string::npos) << ran.err;
}

TEST_F(BadInput, NoModelDirectory) {
  expect_one_line(run_qkv(translate_with(folder_ / "none")), 1, {"none"});
  expect_one_line(run_qkv(translate_with(folder_.path())), 1, {"config.json"});
}

TEST_F(BadInput, TruncatedModelFiles) {
  for (const char* name :
       {"config.json", "model.safetensors", "joint.model", "joint.tokeniser.json"}) {
    const std::string whole = slurp(*shared_ / "model" / name);
    ASSERT_FALSE(whole.empty()) << name;
    for (int part = 0; part < 8; ++part) {
      const auto model = copied();
      spill(model / name, whole.substr(0, whole.size() * static_cast<std::size_t>(part) / 8));
      expect_one_line(run_qkv(translate_with(model), "a\n"), 1, {name});
    }
    const auto model = copied();
    spill(model / name, whole.substr(0, whole.size() - 1));
    // A JSON file without its last newline is whole.
    if (whole.back() != '\n') expect_one_line(run_qkv(translate_with(model), "a\n"), 1, {name});
  }
}

TEST_F(BadInput, AnotherVersionAndUnknownFields) {
  const std::string config = slurp(*shared_ / "model" / "config.json");
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string text = config;
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    const auto model = copied();
    spill(model / "config.json", text);
    return run_qkv(translate_with(model), "a\n");
  };
  expect_one_line(replaced("\"format\": 2", "\"format\": 99"), 1, {"config.json", "99"});
  expect_one_line(replaced("\"width\"", "\"widht\""), 1, {"config.json", "width"});
  expect_one_line(replaced("\"width\": 16", "\"width\": 32"), 1, {"model.safetensors"});
  expect_one_line(replaced("\"width\": 16", "\"width\": \"wide\""), 1, {"config.json", "width"});
  expect_one_line(replaced("\"encoder_layers\": 1", "\"encoder_layers\": 1000000000"), 1,
                  {"model.safetensors"});
  expect_one_line(replaced("\"task\": \"translate\"", "\"task\": \"tag\""), 1,
                  {"config.json", "tag"});
}

TEST_F(BadInput, NanWeights) {
  const auto model = copied();
  std::string weights = slurp(model / "model.safetensors");
  const unsigned char nan[] = {0, 0, 0xc0, 0x7f};
  for (std::size_t i = 0; i < 4; ++i) weights[weights.size() - 4 + i] = static_cast<char>(nan[i]);
  spill(model / "model.safetensors", weights);
  expect_one_line(run_qkv(translate_with(model), "a\n"), 1, {"model.safetensors"});
}

TEST_F(BadInput, FullDiskWhileSavingLosesNothing) {
  const auto model = copied();
  const std::string before = slurp(model / "model.safetensors");
  const std::string state = slurp(model / "state" / "state.safetensors");
  // 8 KiB a file: the log still fits, weights and state do not.
  Temporary text;
  std::string command = toy_training(text, "unused");
  const auto at = command.find("--model '");
  command = command.substr(0, at) + "--model '" + model.string() + "' " +
            command.substr(command.find("--width"));
  const Ran ran = run_qkv(command + " --steps 40 --resume", "", "ulimit -f 8; trap '' XFSZ; ");
  EXPECT_EQ(ran.exit, 1) << ran.err;
  EXPECT_EQ(slurp(model / "model.safetensors"), before);
  EXPECT_EQ(slurp(model / "state" / "state.safetensors"), state);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(model)) {
    EXPECT_EQ(entry.path().string().find(".tmp"), std::string::npos) << entry.path();
  }
}

TEST_F(BadInput, ClosedPipe) {
  const std::string binary = std::string(QKV_BINARY_DIR) + "/qkv";
  std::string lines;
  for (int i = 0; i < 300; ++i) lines += "the dog sees 3 trees\n";
  spill(folder_ / "in", lines);
  const std::string command =
      "set -o pipefail; '" + binary + "' " + translate_with(*shared_ / "model") + " <'" +
      (folder_ / "in").string() + "' 2>'" + (folder_ / "err").string() + "' | head -n 1 >/dev/null";
  const int status = std::system(("bash -c \"" + command + "\"").c_str());
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0) << slurp(folder_ / "err");
  EXPECT_EQ(slurp(folder_ / "err"), "");
}

TEST_F(BadInput, WrongFlags) {
  expect_one_line(run_qkv("translate"), 2, {"--model"});
  expect_one_line(run_qkv("translate --model x --beam many"), 2, {"many"});
  expect_one_line(run_qkv("sing"), 2, {"sing"});
  expect_one_line(run_qkv(""), 2, {});
  EXPECT_EQ(run_qkv("--help").exit, 0);
  EXPECT_EQ(run_qkv("train translate --help").exit, 0);
  expect_one_line(run_qkv(train_on("a\nb\n", "a\nb\n") + " --preset huge"), 2, {"huge", "tiny"});
  expect_one_line(run_qkv(train_on("a\nb\n", "a\nb\n") + " --heads 3 --width 16"), 1, {"heads"});
}

TEST_F(BadInput, ConfigFile) {
  spill(folder_ / "bad.toml", "steps = 3\nrate = \n");
  expect_one_line(run_qkv("train translate --config '" + (folder_ / "bad.toml").string() + "'"), 1,
                  {"bad.toml:2"});
  spill(folder_ / "wrong.toml", "setps = 3\n");
  expect_one_line(
      run_qkv("train translate --model x --config '" + (folder_ / "wrong.toml").string() + "'"), 1,
      {"setps"});
}

}  // namespace
}  // namespace qkv
