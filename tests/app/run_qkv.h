// Runs the program as a user does and keeps what it says.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "text/temporary.h"
#include <sys/wait.h>

namespace qkv {

struct Ran {
  int exit = 0;
  std::string out, err;
};

inline std::string slurp(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline void spill(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/// "qkv ARGUMENTS" through a shell, in an empty environment but for PATH and HOME.
inline Ran run_qkv(const std::string& arguments, const std::string& input = "",
                   const std::string& before = "") {
  const Temporary folder;
  spill(folder / "in", input);
  const std::string binary = std::string(QKV_BINARY_DIR) + "/qkv";
  const std::string command = before + "'" + binary + "' " + arguments + " <'" +
                              (folder / "in").string() + "' >'" + (folder / "out").string() +
                              "' 2>'" + (folder / "err").string() + "'";
  const int status = std::system(command.c_str());
  Ran ran;
  ran.exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  ran.out = slurp(folder / "out");
  ran.err = slurp(folder / "err");
  return ran;
}

/// 120 short pairs over a dozen words.
inline std::pair<std::string, std::string> toy_text() {
  const char* subjects[][2] = {
      {"the dog", "der hund"}, {"the cat", "die katze"}, {"a man", "ein mann"}};
  const char* verbs[][2] = {
      {"sees", "sieht"}, {"likes", "mag"}, {"hears", "hört"}, {"finds", "findet"}};
  std::string source, target;
  for (int n = 0; n < 10; ++n) {
    for (const auto& s : subjects) {
      for (const auto& v : verbs) {
        source += std::string(s[0]) + " " + v[0] + " " + std::to_string(n) + " trees\n";
        target += std::string(s[1]) + " " + v[1] + " " + std::to_string(n) + " bäume\n";
      }
    }
  }
  return {source, target};
}

inline std::string toy_training(const Temporary& folder, const std::string& model) {
  const auto [source, target] = toy_text();
  spill(folder / "toy.en", source);
  spill(folder / "toy.de", target);
  return "train translate --train '" + (folder / "toy.en").string() + "' '" +
         (folder / "toy.de").string() + "' --model '" + (folder / model).string() +
         "' --width 16 --heads 2 --layers 1 --feed-forward 32 --dropout 0.1 --vocabulary 60 "
         "--batch-tokens 200 --accumulate 1 --warm-up 10 --valid-bleu 5 --threads 1 ";
}

}  // namespace qkv
