// What the library has to say while one of these lives.
#pragma once

#include <string>
#include <vector>

#include "qkv/base/notice.h"

namespace qkv {

struct Notices {
  Notices()
      : before(set_notice_sink([this](std::string_view line) { lines.emplace_back(line); })) {}
  Notices(const Notices&) = delete;
  Notices& operator=(const Notices&) = delete;
  ~Notices() { set_notice_sink(std::move(before)); }

  std::vector<std::string> lines;
  NoticeSink before;
};

}  // namespace qkv
