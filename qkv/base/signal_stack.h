// A stack for signal handlers, for threads whose own stack pointer cannot be trusted.
#pragma once

#include <cstddef>
#include <memory>

namespace qkv {

/// Gives the thread that makes it an alternate signal stack (sigaltstack), unless it has one; takes
/// it away again. Meant as a thread_local object. Handlers installed with SA_ONSTACK use it.
class SignalStack {
 public:
  SignalStack();
  ~SignalStack();
  SignalStack(const SignalStack&) = delete;
  SignalStack& operator=(const SignalStack&) = delete;

 private:
  std::unique_ptr<std::byte[]> memory_;  // none: the thread had a stack
};

}  // namespace qkv
