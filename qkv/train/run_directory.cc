#include "qkv/train/run_directory.h"

#include <string>
#include <system_error>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/io/directory.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStateFile = "state.safetensors";
constexpr const char* kNewState = "state.tmp";
constexpr const char* kOldState = "state.old";

bool there(const fs::path& path) {
  std::error_code code;
  return fs::exists(path, code);
}

/// The name of what makes a directory one of a run or a model; empty when there is nothing.
const char* found_in(const fs::path& directory) {
  for (const char* name : {kConfigFile, kStateFolder, kMetricsFile, kWeightsFile,
                           "model.safetensors.index.json", "pytorch_model.bin"}) {
    if (there(directory / name)) return name;
  }
  return "";
}

/// Whether config.json, if there is one, is of qkv.
bool ours(const fs::path& directory) {
  if (!there(directory / kConfigFile))
    return there(directory / kStateFolder) || !there(directory / kWeightsFile);
  try {
    const Json config = read_json(directory / kConfigFile);
    return config.is_object() && config.contains("format");
  } catch (const DataError&) {
    return there(directory / kStateFolder);  // damaged, but beside a run
  }
}

Begin begin_of(const fs::path& directory, bool resume, bool overwrite, const char* ways) {
  if (resume && overwrite) {
    fail("to resume a run and to overwrite it exclude each other; give one of both");
  }
  require_writable(directory);
  if (resume) return Begin::resume;
  const std::string found = found_in(directory);
  if (found.empty()) return Begin::fresh;
  if (!overwrite) {
    fail("{}: holds a model or a run already ({}); {}, or name another directory",
         directory.string(), found, ways);
  }
  if (!ours(directory)) {
    fail(
        "{}: holds a model of another program, which is never overwritten; name another "
        "directory",
        directory.string());
  }
  return Begin::over;
}

}  // namespace

Begin begin_of(const fs::path& directory, bool resume, bool overwrite) {
  return begin_of(directory, resume, overwrite,
                  "go on with --resume, start again with --overwrite");
}

Begin begin_of(const fs::path& directory, bool overwrite) {
  return begin_of(directory, false, overwrite, "start again with --overwrite");
}

void forget_run(const fs::path& directory) {
  std::error_code code;
  for (const char* name : {kStateFolder, kNewState, kOldState, kMetricsFile, kCurveFile}) {
    fs::remove_all(directory / name, code);
  }
}

RunDirectory::RunDirectory(fs::path directory, bool resume,
                           std::function<void(const fs::path&)> keep)
    : directory_(std::move(directory)), keep_(std::move(keep)), begun_(resume) {}

fs::path RunDirectory::state_file() const { return directory_ / kStateFolder / kStateFile; }

void RunDirectory::metrics(Json line) {
  if (begun_) {
    append_jsonl(directory_ / kMetricsFile, line);
  } else {
    waiting_.push_back(std::move(line));
  }
}

void RunDirectory::save_state(const std::function<void(const fs::path&)>& write) {
  if (begun_) {
    write(state_file());
  } else {
    begin(write);
  }
}

void RunDirectory::begin(const std::function<void(const fs::path&)>& write) {
  const bool made = !there(directory_);
  const fs::path fresh = directory_ / kNewState;
  std::error_code code;
  try {
    make_folder(directory_);
    fs::remove_all(fresh, code);
    make_folder(fresh);
    if (keep_) keep_(fresh);
    write(fresh / kStateFile);
    sync_folder(fresh);
  } catch (...) {
    fs::remove_all(fresh, code);
    if (made) fs::remove(directory_, code);  // only when nothing else is in it
    throw;
  }
  // Metrics go before the state they belong to is gone: lines of two runs must never follow each
  // other.
  for (const char* name : {kMetricsFile, kCurveFile}) fs::remove(directory_ / name, code);
  const fs::path state = directory_ / kStateFolder;
  code = exchange_folders(fresh, state, directory_ / kOldState);
  if (code)
    fail<FileError>("{}: cannot put the new state here: {}", state.string(), code.message());
  sync_folder(directory_);
  begun_ = true;
  for (const Json& line : waiting_) append_jsonl(directory_ / kMetricsFile, line);
  waiting_.clear();
}

void RunDirectory::trim_metrics(std::int64_t step) const {
  const fs::path path = directory_ / kMetricsFile;
  if (!there(path)) return;
  std::string kept;
  for (const Json& line : read_jsonl(path)) {
    if (!line.is_object() || !line.contains("step") || !line["step"].is_number_integer()) {
      throw DataError(path.string(), 0,
                      fmt::format("the line {} is none of metrics, it has no step; remove it",
                                  line.dump().substr(0, 60)));
    }
    if (line["step"].get<std::int64_t>() <= step) kept += line.dump() + "\n";
  }
  write_file(path, kept);
}

}  // namespace qkv
