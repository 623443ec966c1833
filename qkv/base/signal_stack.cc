#include "qkv/base/signal_stack.h"

#include <csignal>

namespace qkv {
namespace {
// The kernel saves all registers there (about 3 KiB with AVX-512, 11 KiB with AMX); the rest is for
// the handler.
constexpr std::size_t kBytes = std::size_t{64} << 10;
}  // namespace

SignalStack::SignalStack() {
  stack_t now{};
  if (::sigaltstack(nullptr, &now) != 0 || (now.ss_flags & SS_DISABLE) == 0) return;
  memory_ = std::make_unique_for_overwrite<std::byte[]>(kBytes);
  stack_t ours{};
  ours.ss_sp = memory_.get();
  ours.ss_size = kBytes;
  if (::sigaltstack(&ours, nullptr) != 0) memory_.reset();
}

SignalStack::~SignalStack() {
  stack_t now{};
  if (!memory_ || ::sigaltstack(nullptr, &now) != 0) return;
  if (now.ss_sp != memory_.get()) return;  // replaced meanwhile
  stack_t none{};
  none.ss_flags = SS_DISABLE;
  ::sigaltstack(&none, nullptr);
}

}  // namespace qkv
