/** What TUNs, sockets and monitors have in common, and the table that names them by handles. */
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "status.h"

namespace mpfwd {

/** Open TUNs, sockets and monitors of one engine. */
constexpr size_t kDescriptorsMax = 256;

constexpr uint32_t kReadable = 1;
constexpr uint32_t kWritable = 2;
constexpr uint32_t kError = 4;

class Descriptor {
 public:
  /** The sockets' kinds are the numbers of their transports, see `address.h`. */
  enum class Kind : uint8_t { raw, udp, tcp, tun, monitor };

  explicit Descriptor(Kind kind) : kind(kind) {}
  virtual ~Descriptor() = default;

  const Kind kind;
  /** A `Socket`: packets go through it. */
  bool isSocket() const { return kind <= Kind::tcp; }
  Fd fd;
  int32_t handle = 0;
  /** kReadable and kWritable bits that are watched. */
  uint32_t interest = kReadable;
  /** The same as epoll knows it. */
  uint32_t watched = 0;

  /** Packets taken from the kernel and not yet handed on: readable, whatever the kernel says. */
  virtual bool hasLeftover() const { return false; }
  /** Octets that the kernel has to take before anything else: writable is watched on its own. */
  virtual bool owesOutput() const { return false; }
  /** Hands them to the kernel, as far as it takes them. */
  virtual void flush() {}
};

/** Handles are 1 and up; a closed one's number is given again after all others. */
class Descriptors {
 public:
  Descriptor* find(int32_t handle) const {
    return handle >= 1 && static_cast<size_t>(handle) <= slots_.size() ? slots_[handle - 1].get()
                                                                       : nullptr;
  }

  bool full() const { return slots_.size() >= kDescriptorsMax && free_.empty(); }

  /** Not when full. */
  Descriptor* add(std::unique_ptr<Descriptor> descriptor) {
    if (slots_.size() < kDescriptorsMax) {
      slots_.emplace_back();
      descriptor->handle = static_cast<int32_t>(slots_.size());
    } else {
      descriptor->handle = free_.front();
      free_.erase(free_.begin());
    }
    auto& slot = slots_[descriptor->handle - 1];
    slot = std::move(descriptor);
    return slot.get();
  }

  void remove(int32_t handle) {
    slots_[handle - 1].reset();
    free_.push_back(handle);
  }

  template <typename Visit>
  void each(Visit visit) const {
    for (const auto& slot : slots_) {
      if (slot != nullptr) visit(*slot);
    }
  }

  void clear() {
    slots_.clear();
    free_.clear();
  }

 private:
  std::vector<std::unique_ptr<Descriptor>> slots_;
  std::vector<int32_t> free_;
};

}  // namespace mpfwd
