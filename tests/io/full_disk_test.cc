// A disk that fills up while a file is written, played by a limit on the size of files: the old
// file must survive and nothing may be left beside it.
#include <csignal>

#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/io/json.h"
#include "qkv/io/safetensors.h"

namespace qkv {
namespace {

enum Outcome { kNothingThrown, kFileError, kOther };

/// What f() does in a process that cannot write past `limit` bytes of a file.
template <class F>
Outcome outcome_with_limit(rlim_t limit, F&& f) {
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);  // so that write() fails with EFBIG, as ENOSPC would
    const rlimit bound{limit, limit};
    if (::setrlimit(RLIMIT_FSIZE, &bound) != 0) ::_exit(kOther);
    try {
      f();
    } catch (const FileError&) {
      ::_exit(kFileError);
    } catch (...) {
      ::_exit(kOther);
    }
    ::_exit(kNothingThrown);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? static_cast<Outcome>(WEXITSTATUS(status)) : kOther;
}

int files_in(const Temporary& folder) {
  int count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    ++count;
  }
  return count;
}

TEST(FullDisk, SavingWeightsKeepsTheOldFile) {
  const Temporary folder;
  const auto path = folder / "model.safetensors";
  save_safetensors(path, {{{"w", Tensor::full({4}, 1)}}});
  const std::string before = read_file(path);
  const std::vector<NamedTensor> large = {{"w", Tensor::full({10000}, 2)}};
  // In the length, in the header, in the numbers.
  for (const rlim_t limit : {rlim_t{0}, rlim_t{4}, rlim_t{100}, rlim_t{4096}, rlim_t{40000}}) {
    EXPECT_EQ(outcome_with_limit(limit, [&] { save_safetensors(path, large); }), kFileError)
        << limit;
    EXPECT_EQ(read_file(path), before) << limit;
    EXPECT_EQ(files_in(folder), 1) << limit;
  }
  EXPECT_EQ(outcome_with_limit(50000, [&] { save_safetensors(path, large); }), kNothingThrown);
  EXPECT_EQ(SafetensorsFile(path).tensor("w").dim(0), 10000);
}

TEST(FullDisk, SavingAConfigurationKeepsTheOldFile) {
  const Temporary folder;
  const auto path = folder / "config.json";
  write_json(path, {{"format", 1}});
  const Json large = {{"text", std::string(5000, 'x')}};
  EXPECT_EQ(outcome_with_limit(4096, [&] { write_json(path, large); }), kFileError);
  EXPECT_EQ(read_json(path), (Json{{"format", 1}}));
  EXPECT_EQ(files_in(folder), 1);
}

TEST(FullDisk, AppendingMetricsAddsAllOrNothing) {
  const Temporary folder;
  const auto path = folder / "metrics.jsonl";
  append_jsonl(path, {{"step", 1}});
  const std::string before = read_file(path);
  const Json large = {{"text", std::string(5000, 'x')}};
  EXPECT_EQ(outcome_with_limit(4096, [&] { append_jsonl(path, large); }), kFileError);
  EXPECT_EQ(read_file(path), before);
}

}  // namespace
}  // namespace qkv
