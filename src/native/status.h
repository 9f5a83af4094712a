/** How a system call ended, and an owner for descriptors. */
#pragma once

#include <unistd.h>

#include <cerrno>
#include <utility>

namespace mpfwd {

/** `error` 0: it went well. Else an errno number and the call that gave it. */
struct Status {
  int error = 0;
  const char* call = "";

  bool failed() const { return error != 0; }
  static Status ok() { return {}; }
  /** What errno says now. */
  static Status last(const char* call) { return {errno, call}; }
};

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/** Symbolic name of an errno number, such as "ECONNREFUSED"; "EOF" for a stream's end (below 0). */
const char* errnoName(int error);

}  // namespace mpfwd
