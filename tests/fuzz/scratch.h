// A file in memory for readers that take a path.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

#include <sys/mman.h>
#include <unistd.h>

namespace qkv {

/// Holds the bytes that were written last; opens as often as one likes.
class ScratchFile {
 public:
  ScratchFile() : descriptor_(::memfd_create("fuzz", 0)) {
    if (descriptor_ < 0) throw std::runtime_error("no file in memory");
  }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  ~ScratchFile() { ::close(descriptor_); }

  const std::string& write(std::string_view bytes) {
    if (::ftruncate(descriptor_, 0) != 0) throw std::runtime_error("cannot empty the file");
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t n =
          ::pwrite(descriptor_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
      if (n <= 0) throw std::runtime_error("cannot write the file");
      done += static_cast<std::size_t>(n);
    }
    return path_;
  }

 private:
  int descriptor_;
  std::string path_ = "/proc/self/fd/" + std::to_string(descriptor_);
};

}  // namespace qkv
