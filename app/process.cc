#include "app/process.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <string>
#include <system_error>
#include <thread>

#include "app/output.h"
#include <fcntl.h>
#include <unistd.h>

namespace qkv::app {
namespace {

std::atomic<std::atomic<int>*> g_stop_flag = nullptr;

/// Gives closed standard descriptors a place, so that no file gets their numbers.
void keep_standard_descriptors() {
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) != -1 || errno != EBADF) continue;
    // The lowest free number is `fd`. Open the wrong way round: using it is an error, as if closed.
    if (::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) return;
  }
}

/// libgomp's threads spin for milliseconds before they sleep, and take the time from whoever works
/// beside them, their own program included. Its setting is read while it is loaded, so the program
/// starts once more with it; where that is not possible it goes on as it is.
void let_waiting_threads_sleep(char** argv) {
  // Long enough for the gaps inside a step, short beside a time slice (docs/results.md).
  constexpr const char* kSpins = "10000";
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
  char self[4096];
  const ssize_t n = ::readlink("/proc/self/exe", self, sizeof self - 1);
  if (n <= 0) return;
  self[n] = '\0';
  if (::setenv("GOMP_SPINCOUNT", kSpins, 1) != 0) return;
  ::execv(self, argv);  // returns only if it failed
}

sigset_t stop_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGINT);
  ::sigaddset(&set, SIGTERM);
  return set;
}

/// Ends the program as if the signal had never been waited for.
void die_of(int signal) {
  struct sigaction action {};
  ::sigaction(signal, nullptr, &action);
  if (action.sa_handler == SIG_IGN) return;  // as nohup and background jobs have it
  const sigset_t set = stop_signals();
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  ::kill(::getpid(), signal);
}

void take_signals() {
  using Clock = std::chrono::steady_clock;
  // timeout(1) and others send one to the program and one to its group: one wish, not two.
  constexpr auto kOneWish = std::chrono::milliseconds(100);
  const sigset_t set = stop_signals();
  Clock::time_point first;
  for (;;) {
    int signal = 0;
    if (::sigwait(&set, &signal) != 0) continue;
    std::atomic<int>* flag = g_stop_flag.load();
    if (!flag) {
      die_of(signal);
    } else if (flag->exchange(1) == 0) {
      first = Clock::now();
    } else if (Clock::now() - first > kOneWish) {
      if (::isatty(STDERR_FILENO) == 1) write_error("\r\033[K");  // a bar may stand there
      ::_exit(130);
    }
  }
}

/// A handler would run on the stack of whichever thread the signal hits, which may be multiplying
/// (qkv/kernels/gemm.h). So all threads block the signals but one, which does nothing but wait.
void start_signal_thread() {
  const sigset_t set = stop_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  try {
    std::thread(take_signals).detach();
  } catch (const std::system_error&) {
    ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);  // no thread to be had: they end the program
  }
}

}  // namespace

void prepare_process(char** argv) {
  keep_standard_descriptors();
  let_waiting_threads_sleep(argv);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  start_signal_thread();
}

StopSignals::StopSignals(std::atomic<int>& flag) {
  flag = 0;
  g_stop_flag = &flag;
}
StopSignals::~StopSignals() { g_stop_flag = nullptr; }

}  // namespace qkv::app
