/** Addresses between text, path octets (`src/core/path.ts`) and the kernel's structures. */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>

#include "contexts.h"
#include "memory.h"

namespace mpfwd {

namespace path_at {
constexpr size_t family = 0;
constexpr size_t transport = 1;
constexpr size_t port = 2;
constexpr size_t scope = 4;
constexpr size_t remote = 8;
constexpr size_t local = 24;
}  // namespace path_at

constexpr uint8_t kTransportRaw = 0;
constexpr uint8_t kTransportUdp = 1;
constexpr uint8_t kTransportTcp = 2;
/** Longest address text: IPv6, `%` and an interface name. */
constexpr size_t kAddressTextMax = 64;

union SocketAddress {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
  sockaddr_storage storage;
};

/** Reads `192.0.2.1`, `2001:db8::1` or `fe80::1%eth0`; returns the octets used, 0 when it is none.
 */
socklen_t parseAddress(const char* text, bool v6, uint16_t port, SocketAddress& out);

/** Writes the address without its port. */
void addressText(const SocketAddress& address, char out[kAddressTextMax]);

uint16_t portOf(const SocketAddress& address);

/** Whether a path's family and transport fit a socket. */
bool pathFits(const uint8_t* path, bool v6, uint8_t transport);

/** Turns a path into what `sendmsg` takes. */
void setDestination(const uint8_t* path, Destination& to);

/** Sets DSCP and ECN of what goes there; `to.v6` says in which form. */
void setTrafficClass(uint8_t trafficClass, Destination& to);

/** Writes a path's fixed part and its remote end. */
void writePathRemote(uint8_t* path, uint8_t transport, const SocketAddress& remote);
void writePathLocal(uint8_t* path, const SocketAddress& local);

/** Whether two paths have one remote end: everything but the local address. */
bool sameRemote(const uint8_t* a, const uint8_t* b);

}  // namespace mpfwd
