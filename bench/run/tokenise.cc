#include "bench/run/tokenise.h"

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/data/lines.h"
#include "qkv/text/token_pipeline.h"

namespace qkv::bench {

Report tokenise(const TokeniseBenchOptions& o, const Say&) {
  const TokenPipeline pipeline = read_token_pipeline(o.model);
  const std::vector<std::string> lines = read_lines(o.file);
  if (lines.empty()) throw DataError(o.file, 0, "has no line to cut");
  std::vector<double> seconds;
  std::size_t tokens = 0;
  for (int run = 0; run < o.runs + 1; ++run) {
    tokens = 0;
    const double taken = seconds_of([&] {
      if (o.full) {
        for (const std::string& line : lines) tokens += pipeline.encode(line).ids.size();
        return;
      }
      for (const auto& ids : pipeline.ids(lines)) tokens += ids.size();
    });
    if (run > 0) seconds.push_back(taken);  // the first one warms up
  }
  const double middle = median(seconds);
  const auto count = static_cast<double>(lines.size());
  const int used = o.full ? 1 : threads();
  return {.json = {{"bench", "tokenise"},
                   {"lines", lines.size()},
                   {"tokens", tokens},
                   {"threads", used},
                   {"seconds", middle},
                   {"lines_a_second", count / middle}},
          .text = fmt::format("tokenise: {} lines, {} tokens, {} threads: {:.0f} lines/s\n",
                              lines.size(), tokens, used, count / middle)};
}

}  // namespace qkv::bench
