#include "qkv/base/file.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qkv/base/error.h"

namespace qkv {
namespace {

[[noreturn]] void system_error(std::string_view what, const std::filesystem::path& path) {
  const int code = errno;
  fail<FileError>("{}: cannot {}: {}", path.string(), what, std::strerror(code));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

void append_all(int fd, std::string_view bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      system_error("write", path);
    }
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

constexpr std::string_view kTemporary = ".tmp";  // and the number of the process that writes

/// Removes what processes that were killed while they wrote `path` left beside it. A file whose
/// writer lives, here or on another machine, is locked by it and stays.
void remove_abandoned(const std::filesystem::path& path, const std::filesystem::path& folder) {
  const std::string start = path.filename().string() + std::string(kTemporary);
  std::error_code ignored;
  for (std::filesystem::directory_iterator entry(folder, ignored), end; !ignored && entry != end;
       entry.increment(ignored)) {
    const std::string name = entry->path().filename().string();
    pid_t writer = 0;
    const auto [rest, error] = std::from_chars(name.data() + std::min(start.size(), name.size()),
                                               name.data() + name.size(), writer);
    if (!name.starts_with(start) || error != std::errc() || rest != name.data() + name.size() ||
        writer <= 0 || ::kill(writer, 0) == 0 || errno != ESRCH) {
      continue;
    }
    Descriptor file(::open(entry->path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (file.get() >= 0 && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0) {
      ::unlink(entry->path().c_str());
    }
  }
}

}  // namespace

std::string read_file(const std::filesystem::path& path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) system_error("open", path);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) system_error("stat", path);
  if (S_ISDIR(info.st_mode)) fail<FileError>("{}: is a directory, expected a file", path.string());
  std::string bytes;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t n = ::read(file.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) system_error("read", path);
    if (n == 0) return bytes;
    bytes.append(buffer, static_cast<std::size_t>(n));
  }
}

void write_file(const std::filesystem::path& path,
                const std::function<void(const std::function<void(std::string_view)>&)>& write) {
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  const std::filesystem::path temporary =
      path.string() + fmt::format("{}{}", kTemporary, ::getpid());
  remove_abandoned(path, folder);
  Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (file.get() < 0) system_error("create", temporary);
  ::flock(file.get(), LOCK_EX | LOCK_NB);  // tells remove_abandoned() that somebody writes
  try {
    write([&](std::string_view bytes) { append_all(file.get(), bytes, path); });
    if (::fsync(file.get()) != 0) system_error("sync", path);
    if (::close(file.release()) != 0) system_error("close", path);
    if (::rename(temporary.c_str(), path.c_str()) != 0) system_error("rename to", path);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_folder(folder);
}

void write_file(const std::filesystem::path& path, std::string_view bytes) {
  write_file(path, [&](const auto& append) { append(bytes); });
}

void make_folder(const std::filesystem::path& folder) {
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  if (code) fail<FileError>("{}: cannot make the folder: {}", folder.string(), code.message());
  if (!std::filesystem::is_directory(folder, code)) {
    fail<FileError>("{}: is a file, expected a folder", folder.string());
  }
}

void sync_folder(const std::filesystem::path& folder) {
  const Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() >= 0) ::fsync(directory.get());
}

void require_writable(const std::filesystem::path& directory) {
  std::filesystem::path nearest = std::filesystem::absolute(directory);
  std::error_code code;
  while (!std::filesystem::exists(nearest, code) && nearest.has_relative_path())
    nearest = nearest.parent_path();
  if (!std::filesystem::is_directory(nearest, code)) {
    fail<FileError>("{}: is a file; name another directory for the model", nearest.string());
  }
  if (::access(nearest.c_str(), W_OK | X_OK) != 0) {
    fail<FileError>("{}: cannot write to the directory: {}", nearest.string(),
                    std::strerror(errno));
  }
}

std::error_code exchange_folders(const std::filesystem::path& fresh,
                                 const std::filesystem::path& old,
                                 const std::filesystem::path& aside) {
  std::error_code code;
  if (!std::filesystem::exists(old, code)) {
    std::filesystem::rename(fresh, old, code);
  } else if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, old.c_str(), RENAME_EXCHANGE) != 0) {
    std::filesystem::remove_all(aside, code);
    std::filesystem::rename(old, aside, code);
    if (!code) std::filesystem::rename(fresh, old, code);
    if (!code) std::filesystem::remove_all(aside, code);
  } else {
    std::filesystem::remove_all(fresh, code);
    code.clear();
  }
  return code;
}

MappedFile::MappedFile(const std::filesystem::path& path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) system_error("open", path);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) system_error("stat", path);
  if (S_ISDIR(info.st_mode)) fail<FileError>("{}: is a directory, expected a file", path.string());
  size_ = static_cast<std::size_t>(info.st_size);
  if (size_ == 0) return;
  void* data = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (data == MAP_FAILED) system_error("map", path);
  data_ = static_cast<const std::byte*>(data);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace qkv
