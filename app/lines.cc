#include "app/lines.h"

#include <optional>

#include "app/output.h"
#include <fmt/format.h>

namespace qkv::app {

LineSource source_of(LineReader& reader) {
  return {.next = [&reader]() -> std::optional<std::string> {
            std::string line;
            if (!reader.next(line)) return std::nullopt;
            return line;
          },
          .ready = [&reader] { return reader.ready(); }};
}

void by_lines(LineReader& reader, std::int64_t most,
              const std::function<void(const std::vector<std::string>&, std::int64_t)>& f) {
  const LineSource source = source_of(reader);
  std::int64_t number = 1;
  for (;;) {
    const std::vector<std::string> lines = next_lines(source, most);
    if (lines.empty()) return;
    f(lines, number);
    number += static_cast<std::int64_t>(lines.size());
    flush_output();
  }
}

std::string cut_note(const LineReader& reader, std::int64_t line, std::int64_t cut,
                     std::string_view what, std::int64_t most) {
  return fmt::format("qkv: {}:{}: {} {} beyond the model's {} were not read", reader.name(), line,
                     cut, what, most);
}

}  // namespace qkv::app
