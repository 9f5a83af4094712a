/** What the kernel tells of a packet that arrived, and where its message lies. */
#pragma once

#include <sys/socket.h>

#include "address.h"
#include "memory.h"

namespace mpfwd {

/** The shortest IPv4 header. */
constexpr size_t kIpv4Header = 20;

struct Arrival {
  uint32_t trafficClass = 0;
  /** As it arrived; 0: not told. */
  uint32_t hopLimit = 0;
  /** Octets of each datagram that the kernel joined, the last excepted; 0: not joined. */
  uint32_t segment = 0;
  bool hasLocal = false;
  SocketAddress local;
};

Arrival readControl(const msghdr& header);

/**
 * The message of a raw packet, behind the IP header that IPv4 delivers with it. False when there is
 * none.
 */
bool findMessage(const mmsghdr& packet, bool v6, uint8_t*& octets, size_t& count, Counter& reason);

}  // namespace mpfwd
