// Sounds for the verbs that answer: which files are meant, and the answers of classify and tag.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "app/command.h"

namespace qkv::app {

/// f(path) for the files that were given; without any for the lines of stdin, each a path.
void each_sound(const std::vector<std::string>& files,
                const std::function<void(const std::filesystem::path&)>& f);

/// What `qkv classify` and `qkv tag` are asked of sounds.
struct SoundQuestion {
  std::string model;
  std::vector<std::string> files, evaluate;
  bool tags = false, scores = false;
};
void label_sounds(const SoundQuestion& question, Program& program);

}  // namespace qkv::app
