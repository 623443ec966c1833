#include "app/classify_pictures.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <span>

#include "app/lines.h"
#include "app/output.h"
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"
#include "qkv/data/lines.h"
#include "qkv/media/folders.h"
#include "qkv/media/media_sets.h"
#include "qkv/systems/picture_classifier.h"

namespace qkv::app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::size_t kAtOnce = 64;

Json json_of(const PictureClassifier& model, const std::string& file, const ClassifiedPicture& p,
             bool scores, std::int64_t top) {
  Json json = {{"file", file}, {"label", p.label}, {"probability", p.probability}};
  for (const std::size_t k : p.likeliest(static_cast<std::size_t>(top))) {
    json["top"].push_back({{"label", model.labels()[k]}, {"probability", p.probabilities[k]}});
  }
  for (std::size_t k = 0; scores && k < model.labels().size(); ++k) {
    json["scores"][model.labels()[k]] = p.probabilities[k];
  }
  return json;
}

std::string line_of(const PictureClassifier& model, const std::string& file,
                    const ClassifiedPicture& p, bool scores, std::int64_t top) {
  std::string line = file;
  if (top > 0) {
    for (const std::size_t k : p.likeliest(static_cast<std::size_t>(top))) {
      line += fmt::format("\t{} {:.6f}", model.labels()[k], p.probabilities[k]);
    }
    return line + "\n";
  }
  line += "\t" + p.label;
  if (scores) line += fmt::format("\t{:.6f}", p.probability);
  return line + "\n";
}

/// Reads, answers and prints some files; counts those that are left out.
class Answers {
 public:
  Answers(const PictureClassifier& model, bool scores, const PictureSettings& s, Program& program)
      : model_(model), scores_(scores), s_(s), program_(program) {}

  void of(std::span<const std::string> files) {
    std::vector<Picture> pictures;
    std::vector<std::string> names;
    for (const std::string& file : files) {
      try {
        pictures.push_back(read_picture(file));
        names.push_back(file);
      } catch (const Error& e) {
        if (!s_.skip_broken) {
          answer(pictures, names);
          throw;
        }
        if (skipped_++ == 0) first_ = e.what();
      }
    }
    answer(pictures, names);
    asked_ += static_cast<std::int64_t>(files.size());
  }
  void finish() const {
    if (skipped_ == 0) return;
    program_.console.line(
        fmt::format("qkv: {} of {} files are left out; the first: {}", skipped_, asked_, first_));
    if (skipped_ == asked_) fail("no file could be read");
  }

 private:
  void answer(const std::vector<Picture>& pictures, const std::vector<std::string>& names) const {
    const std::vector<ClassifiedPicture> answers = model_.classify(pictures);
    for (std::size_t i = 0; i < answers.size(); ++i) {
      write_output(program_.json
                       ? json_of(model_, names[i], answers[i], scores_, s_.top).dump() + "\n"
                       : line_of(model_, names[i], answers[i], scores_, s_.top));
    }
  }

  const PictureClassifier& model_;
  bool scores_;
  const PictureSettings& s_;
  Program& program_;
  std::int64_t asked_ = 0, skipped_ = 0;
  std::string first_;
};

std::vector<std::string> files_of(const std::vector<std::string>& inputs) {
  std::vector<std::string> files;
  for (const std::string& input : inputs) {
    if (!fs::is_directory(input)) {
      files.push_back(input);
      continue;
    }
    const std::vector<fs::path> inside = files_in(input, picture_endings());
    if (inside.empty()) fail("{}: holds no pictures (.png, .jpg, .ppm …)", input);
    for (const fs::path& file : inside) files.push_back(file.string());
  }
  return files;
}

}  // namespace

void classify_pictures(const std::string& directory, const std::vector<std::string>& inputs,
                       const std::vector<std::string>& evaluate, bool scores,
                       const PictureSettings& s, Program& program) {
  const auto model = PictureClassifier::load(directory);
  if (!evaluate.empty()) {
    if (!inputs.empty()) throw UsageError(inputs.front() + ": has no use beside --evaluate");
    if (s.top > 0) throw UsageError("--top has no use beside --evaluate");
    const std::vector<fs::path> sources(evaluate.begin(), evaluate.end());
    const ClassReport report =
        model.score(read_pictures(sources, {.picture = {}, .skip_broken = s.skip_broken}));
    return write_output(program.json ? report.json() + "\n" : report.text());
  }
  Answers answers(model, scores, s, program);
  if (inputs.empty()) {
    LineReader reader("-");
    by_lines(reader, kAtOnce, [&](const std::vector<std::string>& lines, std::int64_t) {
      std::vector<std::string> files;
      std::ranges::copy_if(lines, std::back_inserter(files),
                           [](const std::string& line) { return !line.empty(); });
      answers.of(files);
    });
  } else {
    const std::vector<std::string> files = files_of(inputs);
    for (std::size_t begin = 0; begin < files.size(); begin += kAtOnce) {
      answers.of(std::span(files).subspan(begin, std::min(kAtOnce, files.size() - begin)));
    }
  }
  answers.finish();
}

}  // namespace qkv::app
