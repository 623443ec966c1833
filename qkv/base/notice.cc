#include "qkv/base/notice.h"

#include <mutex>
#include <utility>

namespace qkv {
namespace {

struct Sink {
  std::mutex lock;
  NoticeSink call;
};
Sink& sink() {
  static Sink the;
  return the;
}

}  // namespace

NoticeSink set_notice_sink(NoticeSink call) {
  Sink& to = sink();
  const std::lock_guard guard(to.lock);
  return std::exchange(to.call, std::move(call));
}

void notice(std::string_view line) {
  Sink& to = sink();
  const std::lock_guard guard(to.lock);
  if (to.call) to.call(line);
}

}  // namespace qkv
