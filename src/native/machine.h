/**
 * What the kernel tells of this machine's devices, addresses and routes: a socket that hears of changes,
 * and questions that are answered at once.
 */
#pragma once

#include <net/if.h>

#include <memory>

#include "descriptor.h"

namespace mpfwd {

/** `CHANGE` of `native.ts`. */
constexpr uint32_t kChangeDevice = 1;
constexpr uint32_t kChangeAddress = 2;
constexpr uint32_t kChangeRoute = 4;
constexpr uint32_t kChangeMissed = 8;

/** Hears of changes (rtnetlink multicast groups). */
class Monitor : public Descriptor {
 public:
  Monitor() : Descriptor(Kind::monitor) {}

  Status open();
  /** Takes what has come, at most 1024 messages; what kinds there were, as bits. */
  uint32_t read();
};

/** Asks rtnetlink and the device table. Opened with the first question. */
class Machine {
 public:
  static constexpr size_t kRequestMax = 256;

  /**
   * Sends a request that gets one answer, which the kernel gives before the call returns. `octets` of
   * it are at `answer` until the next question.
   */
  Status ask(const uint8_t* request, size_t requestOctets, const uint8_t*& answer, size_t& octets);
  /** By `request.ifr_name`, or where that is empty by `index`: its name, index and flags. */
  Status device(ifreq& request, int& index);

 private:
  Status open();

  Fd fd_;
  uint32_t asked_ = 0;
  std::unique_ptr<uint8_t[]> answer_;
};

}  // namespace mpfwd
