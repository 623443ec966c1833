// A model directory is one thing: at every moment, and after every accident, it holds the old model
// or the new one, and what is neither is told apart.
#include <csignal>

#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/io/directory.h"
#include "qkv/io/manifest.h"

namespace qkv {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

/// A model of three files whose every byte says which one it is.
void save(const fs::path& directory, char letter, const std::string& own) {
  DirectoryWriter writer(directory);
  write_file(writer.folder() / "model.safetensors", std::string(3000, letter));
  write_file(writer.folder() / "words.vocabulary", std::string(2000, letter));
  write_file(writer.folder() / own, std::string(10, letter));
  writer.commit({{"task", "test"}, {"letter", std::string(1, letter)}, {"own", own}});
}

/// The letter of the model that loads; throws as loaders do.
std::string load(const fs::path& directory) {
  return read_whole(directory, [](const ModelDirectory& d) {
    const auto letter = d.config().value("letter", "");
    const auto own = d.config().value("own", "part");
    for (const std::string& name :
         {std::string("model.safetensors"), std::string("words.vocabulary"), own}) {
      (void)read_file(d.file(name));
    }
    return letter;
  });
}

std::string error_of(const fs::path& directory) {
  try {
    return "loaded " + load(directory);
  } catch (const Error& error) {
    return error.what();
  }
}

std::set<std::string> names_in(const fs::path& directory) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) {
    names.insert(entry.path().filename().string());
  }
  return names;
}

TEST(DirectoryWriter, ReplacesAModelAsAWhole) {
  const Temporary folder;
  save(folder / "m", 'a', "old.part");
  write_file(folder / "m" / "notes.txt", "mine");
  save(folder / "m", 'b', "new.part");
  EXPECT_EQ(load(folder / "m"), "b");
  EXPECT_EQ(names_in(folder / "m"),
            (std::set<std::string>{"config.json", "model.safetensors", "words.vocabulary",
                                   "new.part", "notes.txt"}))
      << "the old model's own file goes, the user's stays";
}

TEST(DirectoryWriter, ReplacesTheFilesOfAModelWithoutManifest) {
  const Temporary folder;
  write_json(folder / kConfigFile, {{"format", 1}});
  for (const char* name : {"source.vocab", "model.safetensors", "notes.txt"}) {
    write_file(folder / name, "x");
  }
  save(folder.path(), 'b', "new.part");
  EXPECT_EQ(names_in(folder.path()),
            (std::set<std::string>{"config.json", "model.safetensors", "words.vocabulary",
                                   "new.part", "notes.txt"}));
}

TEST(DirectoryWriter, LeavesTheOldModelWhenItIsNotCommitted) {
  const Temporary folder;
  save(folder / "m", 'a', "part");
  const auto before = names_in(folder / "m");
  {
    DirectoryWriter writer(folder / "m");
    write_file(writer.folder() / "model.safetensors", "b");
  }
  EXPECT_EQ(load(folder / "m"), "a");
  EXPECT_EQ(names_in(folder / "m"), before);
  { const DirectoryWriter writer(folder / "fresh"); }
  EXPECT_FALSE(fs::exists(folder / "fresh")) << "nothing was there, nothing is left";
}

TEST(DirectoryWriter, KeepsTheOldModelOnAFullDisk) {
  const Temporary folder;
  save(folder / "m", 'a', "part");
  const auto before = names_in(folder / "m");
  // The limit strikes in the weights, in the vocabulary, in config.json.
  for (const rlim_t limit : {rlim_t{2500}, rlim_t{1000}, rlim_t{5}}) {
    const pid_t child = ::fork();
    if (child == 0) {
      std::signal(SIGXFSZ, SIG_IGN);
      const rlimit bound{limit, limit};
      ::setrlimit(RLIMIT_FSIZE, &bound);
      try {
        save(folder / "m", 'b', "other.part");
      } catch (const FileError&) {
        ::_exit(7);
      } catch (...) {
      }
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(WEXITSTATUS(status), 7) << limit;
    EXPECT_EQ(load(folder / "m"), "a") << limit;
    EXPECT_EQ(names_in(folder / "m"), before) << limit;
  }
}

/// The directory as a kill leaves it after `moved` steps of the move from model a to model b.
void half_way(const fs::path& m, int moved) {
  save(m, 'a', "old.part");
  save(m.string() + ".new", 'b', "new.part");
  fs::rename(m.string() + ".new", m / kSavingFolder);
  if (moved >= 1) fs::rename(m / kConfigFile, m / kSavingFolder / manifest::kReplaced);
  int step = 1;
  for (const char* name : {"model.safetensors", "new.part", "words.vocabulary"}) {
    if (++step <= moved) fs::rename(m / kSavingFolder / name, m / name);
  }
  if (moved >= 5) fs::remove(m / "old.part");
  if (moved >= 6) fs::rename(m / kSavingFolder / kConfigFile, m / kConfigFile);
}

TEST(DirectoryWriter, AKillAtAnyMomentLeavesOneModel) {
  for (int moved = 0; moved <= 6; ++moved) {
    const Temporary folder;
    half_way(folder / "m", moved);
    EXPECT_EQ(load(folder / "m"), moved == 0 ? "a" : "b") << moved;
    if (moved >= 1 && moved < 6) {
      EXPECT_EQ(names_in(folder / "m"), (std::set<std::string>{"config.json", "model.safetensors",
                                                               "words.vocabulary", "new.part"}))
          << moved;
    }
    save(folder / "m", 'c', "last.part");
    EXPECT_EQ(load(folder / "m"), "c") << moved;
    EXPECT_FALSE(fs::exists(folder / "m" / kSavingFolder)) << moved;
  }
}

TEST(DirectoryWriter, OneWritesAtATime) {
  const Temporary folder;
  save(folder / "m", 'a', "part");
  const DirectoryWriter first(folder / "m");
  try {
    const DirectoryWriter second(folder / "m");
    ADD_FAILURE() << "two at once";
  } catch (const FileError& e) {
    EXPECT_THAT(e.what(), HasSubstr("another program is saving a model here"));
  }
  EXPECT_EQ(load(folder / "m"), "a") << "readers do not mind";
}

TEST(DirectoryWriter, AReaderBesideAWriterSeesOneModelOrTheOther) {
  const Temporary folder;
  save(folder / "m", 'a', "a.part");
  const pid_t child = ::fork();
  if (child == 0) {
    for (int i = 0; i < 150; ++i)
      save(folder / "m", i % 2 ? 'a' : 'b', i % 2 ? "a.part" : "b.part");
    ::_exit(0);
  }
  int reads = 0, status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    const std::string letter = load(folder / "m");
    EXPECT_TRUE(letter == "a" || letter == "b");
    ++reads;
  }
  EXPECT_GT(reads, 0);
}

TEST(DirectoryWriter, AReaderBeginsAgainWhenTwoSavesGaveTheSameConfiguration) {
  const Temporary folder;
  save(folder / "m", 'a', "a.part");
  int reads = 0;
  const int last = read_whole(folder / "m", [&](const ModelDirectory&) {
    if (++reads == 1) {
      save(folder / "m", 'b', "b.part");
      save(folder / "m", 'a', "a.part");
    }
    return reads;
  });
  EXPECT_EQ(last, 2);
}

TEST(Manifest, TellsFilesOfTwoModelsApart) {
  const Temporary folder;
  save(folder / "a", 'a', "part");
  save(folder / "b", 'b', "part");
  for (const char* name : {"model.safetensors", "words.vocabulary", "part"}) {
    const fs::path mixed = folder / (std::string("mixed.") + name);
    fs::copy(folder / "a", mixed);
    fs::copy_file(folder / "b" / name, mixed / name, fs::copy_options::overwrite_existing);
    EXPECT_THAT(error_of(mixed), AllOf(HasSubstr(name), HasSubstr("files of two models")));
    fs::remove(mixed / name);
    EXPECT_THAT(error_of(mixed), HasSubstr(name)) << "removed";
  }
}

TEST(Manifest, FindsAnyFlippedBitAndAnyCut) {
  const Temporary folder;
  save(folder / "m", 'a', "part");
  for (const char* name : {"model.safetensors", "words.vocabulary", "part", "config.json"}) {
    const fs::path path = folder / "m" / name;
    const std::string whole = read_file(path);
    const std::size_t step = std::max<std::size_t>(1, whole.size() / 97);
    for (std::size_t at = 0; at < whole.size(); at += step) {
      std::string bad = whole;
      bad[at] = static_cast<char>(bad[at] ^ 4);
      write_file(path, bad);
      EXPECT_THROW((void)load(folder / "m"), Error) << name << " " << at;
      write_file(path, std::string_view(whole).substr(0, at));
      EXPECT_THROW((void)load(folder / "m"), Error) << name << " cut at " << at;
    }
    write_file(path, whole);
  }
  EXPECT_EQ(load(folder / "m"), "a");
}

TEST(Manifest, AConfigurationChangedOnPurposeLoadsWithoutIt) {
  const Temporary folder;
  save(folder / "m", 'a', "part");
  Json config = read_json(folder / "m" / kConfigFile);
  config["preset"] = "changed";
  write_json(folder / "m" / kConfigFile, config);
  EXPECT_THAT(error_of(folder / "m"),
              HasSubstr("remove the field 'manifest' and set 'format' to 1"));
  config.erase(kManifest);
  write_json(folder / "m" / kConfigFile, config);
  EXPECT_THAT(error_of(folder / "m"), HasSubstr("has no field 'manifest'"));
  config["format"] = 1;
  write_json(folder / "m" / kConfigFile, config);
  EXPECT_EQ(load(folder / "m"), "a");
  EXPECT_FALSE(ModelDirectory(folder / "m").has_manifest());
}

TEST(Manifest, NamesNoFileOutside) {
  const Temporary folder;
  save(folder / "m", 'a', "part");
  for (const char* name : {"../m/part", "", ".", "/etc/passwd"}) {
    Json config = read_json(folder / "m" / kConfigFile);
    config[kManifest]["files"][name] = {{"bytes", 10}, {"crc32", "00000000"}};
    write_json(folder / "m" / kConfigFile, config);
    EXPECT_THAT(error_of(folder / "m"), HasSubstr("no file of a model directory")) << name;
    EXPECT_FALSE(manifest::files_of(config).contains("../m/part"));
    save(folder / "m", 'a', "part");
  }
  for (const Json& bad :
       {Json(5), Json::array(), Json{{"files", 3}, {"config", "0"}},
        Json{{"files", Json::object()}}, Json{{"config", 3}, {"files", nullptr}}}) {
    Json config = read_json(folder / "m" / kConfigFile);
    config[kManifest] = bad;
    write_json(folder / "m" / kConfigFile, config);
    EXPECT_THROW((void)load(folder / "m"), DataError) << bad.dump();
    save(folder / "m", 'a', "part");
  }
}

}  // namespace
}  // namespace qkv
