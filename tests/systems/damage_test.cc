// Thousands of damaged model directories: each gives an error of ours or the very answer that the
// whole directory gives, never another one and never a signal. Where the checksums are made to fit
// the damage, the answer may be another, but it is one of finite numbers.
//
// Some mutations of each kind run with the fast tests. All of them:
//   QKV_DAMAGE=10000 build/release/tests/systems_test --gtest_filter='Damage.*'
#include <cstdlib>
#include <map>

#include "fuzz/mutate.h"
#include "systems/tiny_models.h"
#include "text/temporary.h"
#include <gtest/gtest.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using tiny::Kind;
namespace fs = std::filesystem;

int mutations() {
  const char* many = std::getenv("QKV_DAMAGE");
  return many ? std::max(1, std::atoi(many) / static_cast<int>(tiny::kinds().size())) : 25;
}

using Files = std::map<std::string, std::string>;

Files read_all(const fs::path& directory) {
  Files files;
  for (const std::string& name : tiny::files_in(directory)) {
    files[name] = read_file(directory / name);
  }
  return files;
}

void write_all(const fs::path& directory, const Files& files) {
  fs::remove_all(directory);
  fs::create_directories(directory);
  for (const auto& [name, bytes] : files) tiny::spill(directory / name, bytes);
}

/// Two names of one length in a header of safetensors exchanged: every offset still fits.
void exchange_names(std::string& bytes, Philox& random) {
  std::vector<std::pair<std::size_t, std::string>> names;
  try {
    const SafetensorsFile file(std::as_bytes(std::span(bytes)), nullptr, "whole");
    for (const std::string& name : file.names()) {
      names.emplace_back(bytes.find("\"" + name + "\":{") + 1, name);
    }
  } catch (const Error&) {
    return;
  }
  for (int attempt = 0; attempt < 50 && names.size() > 1; ++attempt) {
    const auto& [a, first] = names[random.below(names.size())];
    const auto& [b, second] = names[random.below(names.size())];
    if (a == b || first.size() != second.size()) continue;
    bytes.replace(a, first.size(), second);
    bytes.replace(b, second.size(), first);
    return;
  }
}

/// Damages one file, or takes it away, or takes it from another model.
void damage(Files& files, const std::vector<Files>& others, Philox& random) {
  auto file = files.begin();
  std::advance(file, static_cast<std::ptrdiff_t>(random.below(files.size())));
  switch (random.below(8)) {
    case 0:
      files.erase(file);
      return;
    case 1: {
      const Files& other = others[random.below(others.size())];
      const auto same = other.find(file->first);
      if (same != other.end()) file->second = same->second;
      return;
    }
    case 2:
      return exchange_names(file->second, random);
    case 3:
      file->second.resize(random.below(file->second.size() + 1));
      return;
    case 4:
    case 5:
      for (std::uint64_t n = 1 + random.below(8); n > 0 && !file->second.empty(); --n) {
        char& byte = file->second[random.below(file->second.size())];
        byte = static_cast<char>(byte ^ (1 << random.below(8)));
      }
      return;
    default: {
      std::vector<std::string> seeds;
      for (const auto& [name, bytes] : files) seeds.push_back(bytes);
      file->second = mutated(file->second, seeds, random);
    }
  }
}

struct Counts {
  int errors = 0, same = 0, other = 0;
};

/// Runs the mutations of a kind; `fit` makes the checksums right again.
Counts run(const Kind& kind, const std::vector<Files>& whole, std::size_t number, bool fit) {
  const Temporary folder;
  const fs::path m = folder / "m";
  write_all(m, whole[number]);
  const std::string expected = kind.ask(m);
  Counts counts;
  Philox random(key_of(2026, number, fit));
  for (int i = 0; i < mutations(); ++i) {
    Files files = whole[number];
    damage(files, whole, random);
    write_all(m, files);
    if (fit) tiny::put_checksums_right(m);
    try {
      const std::string answer = kind.ask(m);
      ++(answer == expected ? counts.same : counts.other);
    } catch (const Error&) {
      ++counts.errors;
    } catch (const std::exception& e) {
      ADD_FAILURE() << kind.name << " " << i << ": no error of ours: " << e.what();
    }
  }
  return counts;
}

class Damage : public testing::Test {
 protected:
  static const std::vector<Files>& whole() {
    static const std::vector<Files> all = [] {
      std::vector<Files> made;
      for (const Kind& kind : tiny::kinds()) {
        const Temporary folder;
        kind.make(folder / "m");
        made.push_back(read_all(folder / "m"));
      }
      return made;
    }();
    return all;
  }
};

TEST_F(Damage, GivesAnErrorOrTheSameAnswer) {
  for (std::size_t k = 0; k < tiny::kinds().size(); ++k) {
    const Kind& kind = tiny::kinds()[k];
    if (!kind.manifest) continue;
    const Counts counts = run(kind, whole(), k, false);
    EXPECT_EQ(counts.other, 0) << kind.name;
    EXPECT_GT(counts.errors, 0) << kind.name;
    std::printf("%-16s %5d errors %5d the same\n", kind.name, counts.errors, counts.same);
  }
}

TEST_F(Damage, WithFittingChecksumsGivesAnErrorOrFiniteNumbers) {
  for (std::size_t k = 0; k < tiny::kinds().size(); ++k) {
    const Kind& kind = tiny::kinds()[k];
    const Counts counts = run(kind, whole(), k, true);
    EXPECT_GT(counts.errors, 0) << kind.name;
    std::printf("%-16s %5d errors %5d the same %5d other\n", kind.name, counts.errors, counts.same,
                counts.other);
  }
}

}  // namespace
}  // namespace qkv
