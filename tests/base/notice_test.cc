#include "qkv/base/notice.h"

#include <vector>

#include <gtest/gtest.h>

namespace qkv {
namespace {

TEST(Notice, GoesToTheSinkThatIsSet) {
  notice("nobody looks");
  std::vector<std::string> seen;
  const NoticeSink before =
      set_notice_sink([&](std::string_view line) { seen.emplace_back(line); });
  notice("one");
  set_notice_sink(before);
  notice("two");
  EXPECT_EQ(seen, std::vector<std::string>{"one"});
}

}  // namespace
}  // namespace qkv
